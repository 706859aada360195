//! Whatever persons do on either side, and however late, often or incompletely the policy runs: both sides end equal
//! after a bounded number of events, and then nothing more happens.

use chrono::DateTime;
use command_api::app::At;
use command_api::blocks::{BlockContext, LastEdits, Origin, TaskFacts};
use command_api::tasks::{Past, TaskContext};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, json};
use shared::domain::blocks::BlockType;
use shared::domain::rank::Rank;
use uuid::Uuid;

use super::*;

/// The most events that one reaction may append: a task that moves, comes back, and takes text and state.
const MOST: usize = 4;

/// What a person asks; whatever the aggregates refuse did not happen.
#[derive(Clone, Debug)]
enum Action {
    AddBlock { task: bool, text: u8 },
    Write(u8),
    Check(bool),
    Become(BlockType),
    MoveBlock,
    RemoveBlock,
    RestoreBlock,
    AddTask(u8),
    Retitle(u8),
    Complete(bool),
    RemoveTask,
    RestoreTask,
}

/// What happens next.
#[derive(Clone, Debug)]
enum Turn {
    Person(Action),
    /// The policy looks at both sides, because of an event that it has to see to.
    Look,
    /// It appends what it decided on when it looked.
    Append,
    /// It has appended, but forgets that it did.
    AppendAndCrash,
    /// It forgets what it decided on.
    Crash,
    /// From now on snapshots serve.
    Rest,
}

/// A block or a task, and how it came about.
struct Side<A: Decide> {
    state: A,
    sequence: i64,
    events: Vec<(At, A::Event)>,
}

impl<A: Decide> Default for Side<A> {
    fn default() -> Self {
        Self { state: A::default(), sequence: 0, events: Vec::new() }
    }
}

impl<A: Decide> Side<A> {
    fn take(&mut self, at: At, event: A::Event) {
        self.state.apply_at(event.clone(), at);
        self.sequence += 1;
        self.events.push((at, event));
    }

    /// From now on it is what a snapshot held.
    fn rest(&mut self) {
        let snapshot = serde_json::to_vec(&self.state).expect("an aggregate serializes");
        self.state = serde_json::from_slice(&snapshot).expect("and is read back");
    }

    /// What the whole stream says of the last edits.
    fn whole(&self, facts: impl Fn(&A) -> TaskFacts) -> LastEdits {
        let (mut state, mut last) = (A::default(), LastEdits::default());
        for (at, event) in &self.events {
            let before = facts(&state);
            state.apply(event.clone());
            let after = facts(&state);
            let edit = |field: &mut i64, changed: bool| {
                if at.by_person && changed {
                    *field = at.position;
                }
            };
            edit(&mut last.alive, before.alive != after.alive);
            edit(&mut last.text, before.text != after.text);
            edit(&mut last.done, before.done != after.done);
        }
        last
    }
}

/// An item, and the policy on its way.
#[derive(Default)]
struct World {
    block: Side<Block>,
    task: Side<Task>,
    position: i64,
    /// Events of persons that the policy has yet to see to.
    due: usize,
    /// Both sequences when it looked, and what it then wanted.
    looked: Option<(i64, i64, Plan)>,
    by_policy: usize,
    reactions: usize,
    /// What persons said last, on either side.
    said: TaskFacts,
}

fn note(n: u128) -> NoteId {
    NoteId(Uuid::from_u128(n))
}

fn text(n: u8) -> BlockText {
    BlockText::try_from(format!("text {n}")).expect("a short text")
}

fn rank() -> Rank {
    Rank::try_from("a0".to_owned()).expect("a rank")
}

fn origin() -> Origin {
    Origin { by: "ada".to_owned(), at: DateTime::UNIX_EPOCH }
}

/// What the command path finds out.
fn block_context() -> BlockContext {
    BlockContext { rank: Some(rank()), origin: Some(origin()) }
}

fn task_context() -> TaskContext {
    TaskContext { past: Some(Past { origin: origin(), completed_at: Some(DateTime::UNIX_EPOCH) }) }
}

/// Takes over what a person changed.
fn hear(said: &mut TaskFacts, by_person: bool, before: &TaskFacts, after: &TaskFacts) {
    if !by_person {
        // A block that is a text again, as its task was removed, no longer says whether it is done.
        if after.done.is_none() {
            said.done = None;
        }
        return;
    }
    if before.alive != after.alive {
        said.alive = after.alive;
    }
    if before.text != after.text {
        said.text.clone_from(&after.text);
    }
    if before.done != after.done {
        said.done = after.done;
    }
}

impl World {
    /// The note that the id belongs to: a claim that both sides hold.
    fn note(&self) -> NoteId {
        let facts = (self.block.state.task_facts(), self.task.state.task_facts());
        facts.0.note.or(facts.1.note).unwrap_or_else(|| note(1))
    }

    fn on_block(&mut self, by_person: bool, command: BlockCommand) {
        for event in self.block.state.decide(command, &block_context()).unwrap_or_default() {
            let before = self.block.state.task_facts();
            self.position += 1;
            self.block.take(At { position: self.position, by_person }, event);
            *(if by_person { &mut self.due } else { &mut self.by_policy }) += 1;
            hear(&mut self.said, by_person, &before, &self.block.state.task_facts());
        }
    }

    fn on_task(&mut self, by_person: bool, command: TaskCommand) {
        for event in self.task.state.decide(command, &task_context()).unwrap_or_default() {
            let before = self.task.state.task_facts();
            self.position += 1;
            self.task.take(At { position: self.position, by_person }, event);
            *(if by_person { &mut self.due } else { &mut self.by_policy }) += 1;
            hear(&mut self.said, by_person, &before, &self.task.state.task_facts());
        }
    }

    fn person(&mut self, action: &Action) {
        let edit = |block_type, content: Map<_, _>| BlockCommand::Edit { block_type, content: Some(content) };
        let fields = |value: serde_json::Value| value.as_object().cloned().unwrap_or_default();
        match *action {
            Action::AddBlock { task, text: n } => {
                let rich = RichText::from(text(n));
                let block = if task {
                    Content::Task { checked: n % 2 == 0, depth: Depth::LEAST, rich }
                } else {
                    Content::Text { rich }
                };
                let anchor = Anchor::End;
                self.on_block(true, BlockCommand::Add { note_id: self.note(), block, anchor });
            }
            Action::Write(n) => self.on_block(true, edit(None, fields(json!({"text": format!("text {n}")})))),
            Action::Check(checked) => self.on_block(true, edit(None, fields(json!({"checked": checked})))),
            Action::Become(block_type) => {
                let level = if block_type == BlockType::Header { json!({"level": 1}) } else { json!({}) };
                self.on_block(true, edit(Some(block_type), fields(level)));
            }
            Action::MoveBlock => {
                let to = if self.note() == note(1) { note(2) } else { note(1) };
                self.on_block(true, BlockCommand::Move { note_id: to, anchor: Anchor::End });
            }
            Action::RemoveBlock => self.on_block(true, BlockCommand::Remove),
            Action::RestoreBlock => {
                self.on_block(true, BlockCommand::Restore { anchor: Anchor::Former });
            }
            Action::AddTask(n) => {
                let (note_id, owner) = (Some(self.note()), UserId(Uuid::from_u128(3)));
                let (title, completed, details) = (text(n), false, Details::default());
                self.on_task(true, TaskCommand::Add { note_id, owner, title, completed, details });
            }
            Action::Retitle(n) => self.on_task(true, TaskCommand::Retitle { title: text(n) }),
            Action::Complete(true) => self.on_task(true, TaskCommand::Complete),
            Action::Complete(false) => self.on_task(true, TaskCommand::Reopen),
            Action::RemoveTask => self.on_task(true, TaskCommand::Remove),
            Action::RestoreTask => self.on_task(true, TaskCommand::Restore),
        }
    }

    fn look(&mut self) {
        if self.due > 0 {
            let plan = Plan::new(&self.block.state, &self.task.state, UserId(Uuid::from_u128(3)));
            self.looked = Some((self.block.sequence, self.task.sequence, plan));
        }
    }

    /// Appends, if both sides are as they were; else it looks again, as the command path does.
    fn append(&mut self) {
        let Some((block, task, mut plan)) = self.looked.take() else { return };
        if (block, task) != (self.block.sequence, self.task.sequence) {
            plan = Plan::new(&self.block.state, &self.task.state, UserId(Uuid::from_u128(3)));
        }
        self.reactions += 1;
        for command in plan.block {
            self.on_block(false, command);
        }
        for command in plan.task {
            self.on_task(false, command);
        }
    }

    fn turn(&mut self, turn: &Turn) {
        match turn {
            Turn::Person(action) => self.person(action),
            Turn::Look => self.look(),
            Turn::Append => {
                if self.looked.is_some() {
                    self.append();
                    self.due -= 1;
                }
            }
            Turn::AppendAndCrash => self.append(),
            Turn::Crash => self.looked = None,
            Turn::Rest => {
                self.block.rest();
                self.task.rest();
            }
        }
    }

    /// The policy sees to all that is left.
    fn settle(&mut self) {
        while self.due > 0 {
            self.look();
            self.turn(&Turn::Append);
        }
    }

    fn sides(&self) -> (TaskFacts, TaskFacts) {
        let seen = |facts: TaskFacts| if facts.alive { facts } else { TaskFacts::default() };
        (seen(self.block.state.task_facts()), seen(self.task.state.task_facts()))
    }
}

fn action() -> impl Strategy<Value = Action> {
    let n = || 0..4_u8;
    let types = [
        BlockType::Text,
        BlockType::Task,
        BlockType::Header,
        BlockType::ListItem,
        BlockType::Code,
        BlockType::Rule,
    ];
    prop_oneof![
        2 => (any::<bool>(), n()).prop_map(|(task, text)| Action::AddBlock { task, text }),
        3 => n().prop_map(Action::Write),
        3 => any::<bool>().prop_map(Action::Check),
        3 => proptest::sample::select(types.to_vec()).prop_map(Action::Become),
        2 => Just(Action::MoveBlock),
        2 => Just(Action::RemoveBlock),
        2 => Just(Action::RestoreBlock),
        2 => n().prop_map(Action::AddTask),
        3 => n().prop_map(Action::Retitle),
        3 => any::<bool>().prop_map(Action::Complete),
        2 => Just(Action::RemoveTask),
        2 => Just(Action::RestoreTask),
    ]
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        10 => action().prop_map(Turn::Person),
        4 => Just(Turn::Look),
        4 => Just(Turn::Append),
        1 => Just(Turn::AppendAndCrash),
        1 => Just(Turn::Crash),
        1 => Just(Turn::Rest),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_sides_end_equal_and_silent(turns in vec(turn(), 1..30)) {
        let mut world = World::default();
        for turn in &turns {
            world.turn(turn);
        }
        let (by_block, by_task) = (world.block.state.last_edits(), world.task.state.last_edits());
        prop_assert_eq!(by_block, world.block.whole(Block::task_facts));
        prop_assert_eq!(by_task, world.task.whole(Task::task_facts));
        world.settle();
        let (block, task) = world.sides();
        prop_assert_eq!(&block, &task);
        // Whoever spoke last is heard; what has no text or state any more says nothing about it.
        let textless = world.block.state.part().is_some_and(|part| part.block.text().is_none());
        prop_assert_eq!(block.alive, world.said.alive && !textless);
        if block.alive {
            prop_assert!(world.said.text.is_none() || world.said.text == block.text);
            prop_assert!(world.said.done.is_none() || world.said.done == block.done);
        }
        prop_assert!(world.by_policy <= MOST * world.reactions, "{} events", world.by_policy);
        let plan = Plan::new(&world.block.state, &world.task.state, UserId(Uuid::from_u128(3)));
        prop_assert!(plan.block.is_empty() && plan.task.is_empty(), "{:?}", plan);
    }
}
