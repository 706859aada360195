//! Every action of the write side on a container, asked for by people in every situation. What is due is written out by hand,
//! as DESIGN and FEATURES say it, and not taken from the permission table.

use command_api::app::CommandMeta;
use command_api::blocks::{Anchor, Block, BlockCommand};
use command_api::notebooks::{Notebook, NotebookCommand};
use command_api::notes::{Note, NoteCommand};
use command_api::tasks::{Task, TaskCommand};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared::domain::access::Role::{Editor, Owner, Viewer};
use shared::domain::access::{Action, Role};
use shared::domain::blocks::{BlockType, Content};
use shared::domain::tasks::{Details, Due};
use shared::process::problem::Problem;

use crate::members::user;
use crate::pair::{Pair, Tokens, new_id};

/// On what Ada grants a role, or takes it away: on the notebook, on the note in it, on the notebook to everyone.
#[derive(Clone, Copy, Debug)]
enum Step {
    Notebook(Option<Role>),
    Note(Option<Role>),
    Everyone(Role),
}

/// Those who ask, in the order of the letters of [`Due`], and what Ada did before.
const SITUATIONS: [(&str, &[Step]); 11] = [
    ("a viewer of the notebook", &[Step::Notebook(Some(Viewer))]),
    ("an editor of the notebook", &[Step::Notebook(Some(Editor))]),
    ("an owner of the notebook", &[Step::Notebook(Some(Owner))]),
    ("a viewer of the note alone", &[Step::Note(Some(Viewer))]),
    ("an editor of the note alone", &[Step::Note(Some(Editor))]),
    // Nobody can be one: the grant is refused.
    ("an owner of the note alone", &[Step::Note(Some(Owner))]),
    ("one of everyone, who may view", &[Step::Everyone(Viewer)]),
    ("one of everyone, who may edit", &[Step::Everyone(Editor)]),
    ("somebody without any role", &[]),
    ("one who was removed", &[Step::Notebook(Some(Editor)), Step::Notebook(None)]),
    ("the owner of another notebook", &[]),
];
/// Whoever asks here has no notebook either.
const WITHOUT_ANY_ROLE: usize = 8;

/// What each of them is answered: `y` it is done, `e` 403 editor-needed, `o` 403 owner-needed, `-` 404, and `?` 422 where
/// what they do not see is named in the body.
type Answers = &'static str;
const EDITORS_OF_THE_NOTE: Answers = "eyy ey- ey ---";
const EDITORS_OF_THE_NOTE_NAMED: Answers = "eyy ey? ey ???";
const EDITORS_OF_THE_NOTE_TO_COME: Answers = "eyy ey? ey -??";
const EDITORS_OF_THE_NOTEBOOK_NAMED: Answers = "eyy ??? ey ???";
const EDITORS_OF_THE_NOTEBOOK_TO_COME: Answers = "eyy ??? ey -??";
const OWNERS_OF_THE_NOTEBOOK: Answers = "ooy --- oo ---";

/// A command on one thing.
enum Ask {
    Notebook(String, NotebookCommand),
    Note(String, NoteCommand),
    Block(String, BlockCommand),
    Task(String, TaskCommand),
    /// By a policy, for the person.
    TaskByPolicy(String, TaskCommand),
}

/// Ada, whose things they are; those who ask; and the notebook of one of them, with a note, which she edits.
struct World {
    pair: Pair,
    ada: Tokens,
    bob: Tokens,
    nobody: Tokens,
    den: String,
    dreams: String,
}

/// A notebook of Ada's, and a note in it.
struct Place {
    notebook: String,
    note: String,
}

/// What is known to be valid: a title, a day, an id.
fn some<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("it is valid")
}

fn text(text: &str) -> Content {
    Content::parse(BlockType::Text, json!({"text": text, "spans": []})).expect("it is valid")
}

impl World {
    async fn new() -> Self {
        let pair = Pair::start().await;
        let [ada, bob, nobody] =
            [pair.person("ada").await, pair.person("bob").await, pair.person("carol").await];
        let den = pair.notebook(&bob, "Den").await;
        let dreams = pair.note(&bob, &den).await;
        pair.grant(&bob, &format!("notebook:{den}"), &user(&ada), Editor).await;
        Self { pair, ada, bob, nobody, den, dreams }
    }

    async fn place(&self, steps: &[Step]) -> Place {
        let notebook = self.pair.notebook(&self.ada, "Lab").await;
        let note = self.pair.note(&self.ada, &notebook).await;
        let place = Place { notebook, note };
        for step in steps {
            self.take(*step, &place).await;
        }
        place
    }

    async fn take(&self, step: Step, place: &Place) {
        let (notebook, note) = (format!("notebook:{}", place.notebook), format!("note:{}", place.note));
        let bob = user(&self.bob);
        let (on, who, role) = match step {
            Step::Notebook(role) => (&notebook, bob.as_str(), role),
            Step::Note(role) => (&note, bob.as_str(), role),
            Step::Everyone(role) => (&notebook, "everyone", Some(role)),
        };
        let set = self.pair.set_role(0, &self.ada, (on, who), role).await;
        assert_eq!(set.is_err(), matches!(step, Step::Note(Some(Owner))), "{step:?}: {set:?}");
    }

    async fn done(&self, by: &Tokens, ask: Ask) -> Result<(), Problem> {
        let app = self.pair.app(1);
        let mut meta = CommandMeta::new(&by.user, "roles", "POST /here");
        if matches!(ask, Ask::TaskByPolicy(..)) {
            meta.on_behalf_of = by.user.parse().ok();
        } else {
            meta.caller = Some(app.verifier.verify(&by.access).expect("a good token"));
        }
        let accepted = match ask {
            Ask::Notebook(id, command) => app.execute::<Notebook>(&meta, &id, vec![command], &()).await,
            Ask::Note(id, command) => app.execute::<Note>(&meta, &id, vec![command], &()).await,
            Ask::Block(id, command) => app.execute::<Block>(&meta, &id, vec![command], &()).await,
            Ask::Task(id, command) | Ask::TaskByPolicy(id, command) => {
                app.execute::<Task>(&meta, &id, vec![command], &()).await
            }
        };
        accepted.map(drop)
    }

    /// A new block, on which this has been done.
    async fn block(&self, by: &Tokens, note: &str, then: &[BlockCommand]) -> String {
        let (id, add) = (new_id(), add_block(note));
        for command in [&[add], then].concat() {
            self.done(by, Ask::Block(id.clone(), command)).await.expect("one's own");
        }
        id
    }

    /// A new task, on which this has been done.
    async fn task(&self, by: &Tokens, note: &str, then: &[TaskCommand]) -> String {
        let (id, add) = (new_id(), add_task(by, note));
        for command in [&[add], then].concat() {
            self.done(by, Ask::Task(id.clone(), command)).await.expect("one's own");
        }
        id
    }

    /// A task whose block has gone to another note.
    async fn left_behind(&self, note: &str, to: &str) -> String {
        let id = self.block(&self.ada, note, &[]).await;
        let add = Ask::Task(id.clone(), add_task(&self.ada, note));
        self.done(&self.ada, add).await.expect("one's own");
        self.done(&self.ada, Ask::Block(id.clone(), block_to(to))).await.expect("an editor of both");
        id
    }

    /// All that is asked for by an action in a place, and the answers that are due.
    #[expect(clippy::too_many_lines, reason = "an arm for each action")]
    async fn asks(&self, action: Action, place: &Place) -> Vec<(Ask, Answers)> {
        let Self { ada, bob, den, dreams, .. } = self;
        let Place { notebook, note } = place;
        let block = async |then: &[BlockCommand]| self.block(ada, note, then).await;
        let task = async |then: &[TaskCommand]| self.task(ada, note, then).await;
        let retitle = NoteCommand::Retitle { title: some(json!("Dreams")) };
        match action {
            Action::NotebooksChange => {
                let rename = NotebookCommand::Rename { name: some(json!("Attic")) };
                let describe = NotebookCommand::Describe { description: some(json!("What is hers")) };
                [rename, describe]
                    .map(|command| (Ask::Notebook(notebook.clone(), command), OWNERS_OF_THE_NOTEBOOK))
                    .into()
            }

            Action::NotesCreate => {
                let create = NoteCommand::Create {
                    notebook_id: notebook.parse().expect("an id"),
                    title: some(json!("Dreams")),
                };
                vec![(Ask::Note(new_id(), create), EDITORS_OF_THE_NOTEBOOK_NAMED)]
            }
            Action::NotesChange => vec![(Ask::Note(note.clone(), retitle), EDITORS_OF_THE_NOTE)],
            // An editor who took it out would own it.
            Action::NotesMoveOut => {
                vec![(Ask::Note(note.clone(), note_to(den)), "eoy eo- eo ---")]
            }
            Action::NotesMoveIn => {
                let own = self.pair.note(bob, den).await;
                vec![(Ask::Note(own, note_to(notebook)), EDITORS_OF_THE_NOTEBOOK_TO_COME)]
            }

            Action::BlocksAdd => {
                vec![(Ask::Block(new_id(), add_block(note)), EDITORS_OF_THE_NOTE_NAMED)]
            }
            Action::BlocksChange => {
                let content = json!({"text": "Two"}).as_object().cloned();
                let edit = BlockCommand::Edit { block_type: None, content };
                let become_other = BlockCommand::Become { block: text("Three") };
                vec![
                    (Ask::Block(block(&[]).await, edit), EDITORS_OF_THE_NOTE),
                    (Ask::Block(block(&[]).await, become_other), EDITORS_OF_THE_NOTE),
                ]
            }
            Action::BlocksMove => {
                let (first, _) = (block(&[]).await, block(&[]).await);
                let out = block(&[]).await;
                vec![
                    (Ask::Block(first, block_to(note)), EDITORS_OF_THE_NOTE),
                    (Ask::Block(out, block_to(dreams)), EDITORS_OF_THE_NOTE),
                ]
            }
            Action::BlocksMoveIn => {
                let own = self.block(bob, dreams, &[]).await;
                vec![(Ask::Block(own, block_to(note)), EDITORS_OF_THE_NOTE_TO_COME)]
            }
            Action::BlocksRemove => {
                vec![(Ask::Block(block(&[]).await, BlockCommand::Remove), EDITORS_OF_THE_NOTE)]
            }
            Action::BlocksRestore => {
                let removed = block(&[BlockCommand::Remove]).await;
                let restore = BlockCommand::Restore { anchor: Anchor::Former };
                vec![(Ask::Block(removed, restore), EDITORS_OF_THE_NOTE)]
            }

            Action::TasksAdd => {
                vec![(Ask::Task(new_id(), add_task(bob, note)), EDITORS_OF_THE_NOTE_NAMED)]
            }
            Action::TasksChange => {
                let at = TaskCommand::Schedule { due: Due::At(some(json!("2027-01-01T09:00:00Z"))) };
                let on = TaskCommand::Schedule { due: Due::On(some(json!("2027-01-01"))) };
                let changes = [
                    (vec![], TaskCommand::Retitle { title: some(json!("Call Eve")) }),
                    (vec![], TaskCommand::Describe { description: Some(some(json!("At noon"))) }),
                    (vec![], on.clone()),
                    (vec![at], TaskCommand::ClearDueAt),
                    (vec![on], TaskCommand::ClearDueOn),
                    (vec![], TaskCommand::Prioritize { priority: some(json!(3)) }),
                    (vec![], TaskCommand::Assign { assignee_id: ada.user.parse().ok() }),
                ];
                let mut asks = Vec::new();
                for (before, change) in changes {
                    asks.push((Ask::Task(task(&before).await, change), EDITORS_OF_THE_NOTE));
                }
                asks
            }
            Action::TasksComplete => {
                vec![(Ask::Task(task(&[]).await, TaskCommand::Complete), EDITORS_OF_THE_NOTE)]
            }
            Action::TasksReopen => {
                let done = task(&[TaskCommand::Complete]).await;
                vec![(Ask::Task(done, TaskCommand::Reopen), EDITORS_OF_THE_NOTE)]
            }
            Action::TasksRemove => {
                vec![(Ask::Task(task(&[]).await, TaskCommand::Remove), EDITORS_OF_THE_NOTE)]
            }
            Action::TasksRestore => {
                let removed = task(&[TaskCommand::Remove]).await;
                vec![(Ask::Task(removed, TaskCommand::Restore), EDITORS_OF_THE_NOTE)]
            }
            Action::BlockTaskSync => {
                let (out, inward) =
                    (self.left_behind(note, dreams).await, self.left_behind(dreams, note).await);
                vec![
                    (Ask::TaskByPolicy(out, task_to(dreams)), EDITORS_OF_THE_NOTE),
                    (Ask::TaskByPolicy(inward, task_to(note)), EDITORS_OF_THE_NOTE),
                ]
            }

            // About no container, or reads.
            Action::AuthRegister
            | Action::AuthLogin
            | Action::AuthRefresh
            | Action::AuthLogout
            | Action::MeRead
            | Action::MeChange
            | Action::NotebooksList
            | Action::NotebooksRead
            | Action::NotebooksCreate
            | Action::NotesList
            | Action::NotesRead
            | Action::NotesMarkdown
            | Action::TasksList
            | Action::TasksRead
            | Action::LiveOpen
            | Action::LiveTicket
            | Action::TopicAll
            | Action::TopicPerson
            | Action::TopicNotebook
            | Action::TopicNote => vec![],
        }
    }
}

fn note_to(notebook: &str) -> NoteCommand {
    NoteCommand::Move { notebook_id: notebook.parse().expect("an id") }
}

fn add_block(note: &str) -> BlockCommand {
    let note_id = note.parse().expect("an id");
    BlockCommand::Add { note_id, block: text("One"), anchor: Anchor::End }
}

fn block_to(note: &str) -> BlockCommand {
    BlockCommand::Move { note_id: note.parse().expect("an id"), anchor: Anchor::End }
}

fn add_task(by: &Tokens, note: &str) -> TaskCommand {
    TaskCommand::Add {
        note_id: note.parse().ok(),
        owner: by.user.parse().expect("an id"),
        title: some(json!("Call Bob")),
        completed: false,
        details: Details::default(),
    }
}

fn task_to(note: &str) -> TaskCommand {
    TaskCommand::Move { note_id: note.parse().expect("an id") }
}

fn letter(answer: &Result<(), Problem>) -> char {
    match answer.as_ref().map_err(|problem| (problem.status, problem.kind.slug())) {
        Ok(()) => 'y',
        Err((403, "editor-needed")) => 'e',
        Err((403, "owner-needed")) => 'o',
        Err((404, _)) => '-',
        Err((422, "invalid")) => '?',
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_action_is_done_for_those_who_may_and_for_nobody_else() {
    let world = World::new().await;
    let mut wrong = Vec::new();
    for (nth, (who, steps)) in SITUATIONS.iter().enumerate() {
        let by = if nth == WITHOUT_ANY_ROLE { &world.nobody } else { &world.bob };
        let mut place = world.place(steps).await;
        for action in Action::ALL {
            let asks = world.asks(*action, &place).await;
            if asks.is_empty() {
                continue;
            }
            for (kind, (ask, answers)) in asks.into_iter().enumerate() {
                let due =
                    answers.chars().filter(|letter| *letter != ' ').nth(nth).expect("a letter for each");
                let before = world.pair.events().await;
                let answer = letter(&world.done(by, ask).await);
                let is_recorded = world.pair.events().await > before;
                if answer != due || is_recorded != (due == 'y') {
                    wrong.push(format!("{action:?} ({kind}) by {who} is {answer}, not {due}"));
                }
            }
            place = world.place(steps).await;
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    world.pair.stop().await;
}
