//! Policies over a real log: what they are refused is recorded once, whatever interrupts them, and passed over. What
//! fails holds up nobody, and what is nothing to them costs them nothing.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod world;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use command_api::app::{Answer, CommandMeta, Decide, Decision, UnitOfWork};
use command_api::blocks::{Anchor, Block, BlockCommand};
use command_api::notebooks::{Notebook, NotebookCommand};
use command_api::notes::{Note, NoteCommand};
use command_api::service::{self, Setup};
use command_api::tasks::{Task, TaskCommand};
use kit::{Fact, Scribe, master};
use projector::policies::{self, BlockTaskSync, Policy, Reaction};
use serde_json::json;
use servers::testing::{statements_with_rows, will_count_statements};
use shared::domain::blocks::{BlockText, Content, Depth, RichText};
use shared::domain::clock::Clock;
use shared::domain::id::{BlockId, NoteId, NotebookId, UserId};
use shared::log::event::Recorded;
use shared::log::event_log;
use shared::process::lifecycle::Shutdown;
use shared::process::postgres::{DatabaseRole, options};
use shared::process::problem::{Problem, ProblemType};
use shared::process::read_schema;
use sqlx::Executor;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;
use world::{World, id, until};

/// A pause between tries that takes no time.
const SHORT: Duration = Duration::from_millis(1);
/// A pause that no test sees the end of.
const LONG: Duration = Duration::from_hours(1);
/// After so many failures an event is passed over.
const FAILURES: usize = 30;

const OWNER: UserId = UserId(Uuid::from_u128(1));
const STRANGER: UserId = UserId(Uuid::from_u128(2));
const NOTEBOOK: NotebookId = NotebookId(Uuid::from_u128(3));
const NOTE: NoteId = NoteId(Uuid::from_u128(4));

/// A log with a command path to it, behind which policies may run.
struct House {
    world: World,
    command_path: service::Running,
    shutdown: Shutdown,
}

/// Policies in a task.
struct Running {
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

impl Running {
    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }

    /// It ends wherever it is.
    async fn crash(self) {
        self.task.abort();
        assert!(self.task.await.is_err_and(|error| error.is_cancelled()));
    }
}

impl House {
    /// One with a notebook of the owner, and a note in it.
    async fn new() -> Self {
        will_count_statements();
        let (world, shutdown) = (World::new().await, Shutdown::new());
        let setup = Setup {
            database_url: world.url().to_owned(),
            nats: None,
            master: master(),
            clock: Clock::System,
            throwaway: true,
        };
        let house = Self { command_path: service::start(setup, &shutdown).await.unwrap(), world, shutdown };
        let create = NotebookCommand::Create { owner: OWNER, name: "Lab".to_owned().try_into().unwrap() };
        house.execute::<Notebook>(OWNER, NOTEBOOK, create).await;
        let title = "Plans".to_owned().try_into().unwrap();
        let create = NoteCommand::Create { notebook_id: NOTEBOOK, title };
        house.execute::<Note>(OWNER, NOTE, create).await;
        house
    }

    /// Has the owner's rights asked, and records what happens as `actor`'s: as it is with somebody who has lost theirs
    /// since. Gives the position.
    async fn execute<A: Decide>(&self, actor: UserId, of: impl Display, command: A::Command) -> i64 {
        self.execute_all::<A>(actor, of, vec![command]).await
    }

    /// The same with several commands, of which the last event's position is given.
    async fn execute_all<A: Decide>(
        &self,
        actor: UserId,
        of: impl Display,
        commands: Vec<A::Command>,
    ) -> i64 {
        let meta = CommandMeta { on_behalf_of: Some(OWNER), ..CommandMeta::new(actor.to_string(), "c", "t") };
        let asked = self.command_path.app.execute::<A>(&meta, &of.to_string(), commands, &()).await;
        let accepted = serde_json::to_value(asked.unwrap()).unwrap();
        accepted["position"].as_i64().unwrap()
    }

    /// Somebody adds a task block to the note.
    async fn add_task_block(&self, actor: UserId, block: BlockId) -> i64 {
        let rich = RichText::from(BlockText::try_from("Milk".to_owned()).unwrap());
        let block_added = BlockCommand::Add {
            note_id: NOTE,
            block: Content::Task { checked: false, depth: Depth::LEAST, rich },
            anchor: Anchor::End,
        };
        self.execute::<Block>(actor, block, block_added).await
    }

    fn handles(&self, pause: Duration) -> policies::Handles {
        policies::Handles {
            app: self.command_path.app.clone(),
            connect: options(self.world.url(), DatabaseRole::Projector, None).unwrap(),
            pool: self.world.pool(read_schema::name()),
            pause,
        }
    }

    /// All policies that there are.
    fn start(&self) -> Running {
        let (handles, shutdown) = (self.handles(SHORT), Shutdown::new());
        Running { task: tokio::spawn(policies::run(handles, shutdown.clone())), shutdown }
    }

    /// A policy of a test.
    fn start_one<P: Policy + Send + 'static>(&self, policy: &Arc<P>, pause: Duration) -> Running {
        let (policy, handles, shutdown) = (Arc::clone(policy), self.handles(pause), Shutdown::new());
        let term = shutdown.clone();
        let task = tokio::spawn(async move { policies::work(&*policy, &handles, &term).await });
        Running { shutdown, task }
    }

    async fn position(&self) -> i64 {
        let position = "select coalesce(max(position), 0) from es.policy";
        sqlx::query_scalar(position).fetch_one(&self.world.owner).await.unwrap()
    }

    async fn end(self) {
        self.shutdown.cancel();
        self.command_path.stop().await;
    }

    async fn has_seen_all(&self) -> bool {
        let seen = "select exists (select from es.policy
                                    where position = (select max(position) from es.event))";
        sqlx::query_scalar(seen).fetch_one(&self.world.owner).await.unwrap()
    }

    /// Of each refusal the position, what it is about, in whose name, and the words.
    async fn refusals(&self) -> Vec<(i64, String, String, String, String)> {
        let rows = "select position, aggregate_id, person, slug, detail from es.refusal order by 1";
        sqlx::query_as(rows).fetch_all(&self.world.owner).await.unwrap()
    }

    async fn tasks(&self) -> Vec<String> {
        let tasks = "select aggregate_id from es.event where aggregate_type = 'task' order by position";
        sqlx::query_scalar(tasks).fetch_all(&self.world.owner).await.unwrap()
    }

    /// From now on no checkpoint moves, and how often that was tried is counted.
    async fn hold_checkpoints(&self) {
        let hold = "create sequence tried;
             create function hold() returns trigger language plpgsql security definer as $$
             begin perform nextval('public.tried'); raise exception 'not now'; end $$;
             create trigger hold before update on es.policy for each row
               when (new.position > old.position) execute function hold()";
        self.world.owner.execute(hold).await.unwrap();
    }

    async fn tried(&self) -> i64 {
        let tried = "select case when is_called then last_value else 0 end from tried";
        sqlx::query_scalar(tried).fetch_one(&self.world.owner).await.unwrap()
    }

    async fn write(&self, sql: &str) {
        self.world.owner.execute(sql).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_policy_is_refused_is_recorded_once_and_passed_over() {
    let house = House::new().await;
    let (refused, other) = (BlockId(id(5)), BlockId(id(6)));
    let position = house.add_task_block(STRANGER, refused).await;
    house.add_task_block(OWNER, other).await;
    house.hold_checkpoints().await;
    let running = house.start();
    until(async || house.tried().await > 1).await;
    assert_eq!(house.refusals().await, [], "it is recorded when the checkpoint moves, and not before");
    house.write("drop trigger hold on es.policy").await;
    until(async || house.has_seen_all().await).await;

    let words = "/note_id: There is no such note.".to_owned();
    let told = (position, refused.to_string(), STRANGER.to_string(), "invalid".to_owned(), words);
    assert_eq!(house.refusals().await, std::slice::from_ref(&told));
    assert_eq!(house.tasks().await, [other.to_string()], "others go on");
    running.stop().await;

    // Sent back, as after a restore, it is refused again.
    house.write("update es.policy set position = 0").await;
    let running = house.start();
    until(async || house.has_seen_all().await).await;
    assert_eq!(house.refusals().await, [told]);
    running.stop().await;
    house.end().await;
}

/// Answers each block that is added as it is told to, and remembers when it was asked.
struct Told<F> {
    answer: F,
    asked: Mutex<Vec<String>>,
}

impl<F: Fn(&str, usize) -> Result<(), Problem>> Told<F> {
    fn new(answer: F) -> Arc<Self> {
        Arc::new(Self { answer, asked: Mutex::new(Vec::new()) })
    }

    fn times(&self, block: BlockId) -> usize {
        let block = block.to_string();
        self.asked.lock().unwrap().iter().filter(|asked| **asked == block).count()
    }
}

impl<F: Fn(&str, usize) -> Result<(), Problem> + Sync> Policy for Told<F> {
    const NAME: &'static str = "told";

    fn cares(event: &Recorded) -> bool {
        event.event_type == "BlockAdded"
    }

    fn lane(event: &Recorded) -> &str {
        &event.scopes[0]
    }

    async fn react(&self, reaction: &mut Reaction<'_>) -> Result<(), Problem> {
        let id = reaction.event.aggregate.id.clone();
        let before = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(id.clone());
            asked.iter().filter(|asked| **asked == id).count() - 1
        };
        (self.answer)(&id, before)
    }
}

fn contended() -> Problem {
    Problem::passing(ProblemType::Contended, "Too many at once.", 1)
}

#[tokio::test]
async fn what_always_fails_is_passed_over_after_its_failures_and_holds_up_nobody() {
    let house = House::new().await;
    let (busy, broken, refused) = (BlockId(id(1_000)), BlockId(id(1_001)), BlockId(id(1_002)));
    let answer = move |asked: &str, _| match asked.parse::<BlockId>().unwrap() {
        asked if asked == busy => Err(contended()),
        asked if asked == broken => Err(Problem::internal("it is broken")),
        asked if asked == refused => Err(Problem::new(ProblemType::BlockMissing, "There is none.")),
        _ => Ok(()),
    };
    let mut special = BTreeMap::new();
    let mut others = Vec::new();
    for number in 0..100 {
        let of_them = [(0, busy), (30, broken), (60, refused)].into_iter().find(|(at, _)| *at == number);
        if let Some((_, block)) = of_them {
            special.insert(block, house.add_task_block(OWNER, block).await);
        }
        let other = BlockId(id(100 + number));
        house.add_task_block(OWNER, other).await;
        others.push(other);
    }

    // Those that fail rest until the end of the test. The others are seen to meanwhile, also those that come later.
    let policy = Told::new(answer);
    let running = house.start_one(&policy, LONG);
    until(async || others.iter().all(|other| policy.times(*other) == 1)).await;
    let later = BlockId(id(2_000));
    house.add_task_block(OWNER, later).await;
    until(async || policy.times(later) == 1).await;
    // What is not done is not behind the checkpoint.
    until(async || house.position().await == special[&busy] - 1).await;
    running.stop().await;
    assert_eq!((policy.times(busy), policy.times(broken), policy.times(refused)), (1, 1, 1));
    let row = |block: BlockId, slug: &str, words: &str| {
        let words = words.to_owned();
        (special[&block], block.to_string(), OWNER.to_string(), slug.to_owned(), words)
    };
    let told_refused = row(refused, "block-missing", "There is none.");
    assert_eq!(house.refusals().await, std::slice::from_ref(&told_refused));
    assert_eq!(house.position().await, special[&busy] - 1, "nothing is passed over yet");

    // With short pauses they come to their last failure, and are recorded once, whatever is done a second time.
    let words = Problem::internal("it is broken").detail;
    let told = [row(busy, "contended", "Too many at once."), row(broken, "internal", &words), told_refused];
    for _ in 0..2 {
        let policy = Told::new(answer);
        let running = house.start_one(&policy, SHORT);
        until(async || house.has_seen_all().await).await;
        running.stop().await;
        assert_eq!((policy.times(busy), policy.times(broken)), (FAILURES, FAILURES));
        assert_eq!(policy.times(refused), 1);
        assert!(others.iter().all(|other| policy.times(*other) == 1));
        assert_eq!(house.refusals().await, told);
        house.write("update es.policy set position = 0").await;
    }
    house.end().await;
}

#[tokio::test]
async fn a_command_that_cannot_be_recorded_holds_up_none_of_its_note() {
    let house = House::new().await;
    let poison = BlockId(id(1_000));
    // As a limit of the database would, that only this one exceeds.
    let refuse = format!(
        "create function refuse() returns trigger language plpgsql as $$
         begin raise exception 'too much' using errcode = '22001'; end $$;
         create trigger refuse before insert on es.event for each row
           when (new.aggregate_type = 'task' and new.aggregate_id = '{poison}') execute function refuse()"
    );
    house.write(&refuse).await;
    let position = house.add_task_block(OWNER, poison).await;
    let mut others = Vec::new();
    for number in 100..120 {
        house.add_task_block(OWNER, BlockId(id(number))).await;
        others.push(BlockId(id(number)).to_string());
    }
    let running = house.start();
    until(async || house.has_seen_all().await).await;
    running.stop().await;
    assert_eq!(house.tasks().await, others, "in the order of the note");
    let told = house.refusals().await;
    let told: Vec<_> = told.iter().map(|(at, about, _, slug, _)| (*at, &**about, &**slug)).collect();
    assert_eq!(told, [(position, &*poison.to_string(), "internal")]);
    house.end().await;
}

#[tokio::test]
async fn that_nothing_can_be_recorded_counts_against_nobody() {
    let house = House::new().await;
    let times = 2 * FAILURES;
    let (unlucky, other) = (BlockId(id(1_000)), BlockId(id(1_001)));
    house.add_task_block(OWNER, unlucky).await;
    house.add_task_block(OWNER, other).await;
    let policy = Told::new(move |asked: &str, before| {
        if asked != unlucky.to_string() || before >= times {
            return Ok(());
        }
        Err(match before % 3 {
            0 => Problem::database_unavailable(),
            1 => Problem::passing(ProblemType::OutcomeUnknown, "Nobody knows.", 1),
            _ => Problem::passing(ProblemType::Busy, "Too many wait.", 1),
        })
    });
    let running = house.start_one(&policy, SHORT);
    until(async || house.has_seen_all().await).await;
    running.stop().await;
    assert_eq!((policy.times(unlucky), policy.times(other)), (times + 1, 1));
    assert_eq!(house.refusals().await, []);
    house.end().await;
}

/// Adds an `x` to the text of each block that a person adds: what is done twice is seen.
struct Cross {
    crossed: watch::Sender<usize>,
}

impl Policy for Cross {
    const NAME: &'static str = "cross";

    fn cares(event: &Recorded) -> bool {
        event.event_type == "BlockAdded"
    }

    async fn react(&self, reaction: &mut Reaction<'_>) -> Result<(), Problem> {
        let id = reaction.event.aggregate.id.as_str();
        reaction.carry_out(&CrossOne { id }, &()).await?;
        self.crossed.send_modify(|crossed| *crossed += 1);
        Ok(())
    }
}

struct CrossOne<'a> {
    id: &'a str,
}

impl Decision for CrossOne<'_> {
    async fn decide(&self, work: &mut UnitOfWork<'_>) -> Result<Answer, Problem> {
        let block = work.load_to_change::<Block>(self.id).await?;
        let text = block.state.part().and_then(|part| part.block.text()).unwrap_or_default();
        let commands = vec![edit(&format!("{text}x"))];
        let authorized = block.state.authorize(work, self.id, &commands).await?;
        let version = work.change(self.id, &block, commands, authorized)?;
        Ok(Answer { id: self.id.to_owned(), version })
    }
}

fn edit(text: &str) -> BlockCommand {
    let content = json!({"text": text}).as_object().cloned();
    BlockCommand::Edit { block_type: None, content }
}

#[tokio::test]
async fn nothing_is_done_twice_and_nothing_missed_wherever_it_crashes() {
    let house = House::new().await;
    let blocks: Vec<BlockId> = (0..40).map(|number| BlockId(id(100 + number))).collect();
    for block in &blocks[..20] {
        house.add_task_block(OWNER, *block).await;
    }
    let policy = Arc::new(Cross { crossed: watch::Sender::new(0) });
    let mut crossed = policy.crossed.subscribe();
    let mut rest = blocks[20..].iter();
    house.hold_checkpoints().await;
    // At first no checkpoint moves, so that all is done again and again. Then they move, as far as it comes.
    for round in 1..=10 {
        let running = house.start_one(&policy, SHORT);
        let before = *crossed.borrow_and_update();
        for block in rest.by_ref().take(2) {
            house.add_task_block(OWNER, *block).await;
        }
        crossed.wait_for(|crossed| *crossed > before + round % 2).await.unwrap();
        running.crash().await;
        if round == 5 {
            house.write("drop trigger hold on es.policy").await;
            house.write("update es.policy set position = 0").await;
        } else if round > 5 {
            house.write("update es.policy set position = position / 2").await;
        }
    }
    let running = house.start_one(&policy, SHORT);
    until(async || house.has_seen_all().await).await;
    running.stop().await;
    let edits =
        "select aggregate_id, count(*) from es.event where metadata ->> 'actor' = 'policy:cross' group by 1";
    let edits: Vec<(String, i64)> = sqlx::query_as(edits).fetch_all(&house.world.owner).await.unwrap();
    let expected: BTreeMap<String, i64> = blocks.iter().map(|block| (block.to_string(), 1)).collect();
    assert_eq!(edits.into_iter().collect::<BTreeMap<_, _>>(), expected);
    assert_eq!(house.refusals().await, []);
    house.end().await;
}

/// Nothing is anything to it.
struct Careless;

impl Policy for Careless {
    const NAME: &'static str = "careless";

    fn cares(_: &Recorded) -> bool {
        false
    }

    async fn react(&self, reaction: &mut Reaction<'_>) -> Result<(), Problem> {
        panic!("it was asked to react to {}", reaction.event.event_type);
    }
}

#[tokio::test]
async fn what_is_nothing_to_a_policy_is_not_written_down_but_at_the_end() {
    let house = House::new().await;
    let mut connection = house.world.owner.acquire().await.unwrap();
    let retitled = Fact { in_clear: true, ..Fact::new("note", "n", "NoteRetitled", json!({})) };
    Scribe::new(master()).store(&mut connection, vec![retitled; 10_000]).await.unwrap();
    drop(connection);
    house
        .write(
            "create sequence written;
             create function count_one() returns trigger language plpgsql security definer as $$
             begin perform nextval('public.written'); return new; end $$;
             create trigger count after update on es.policy for each row execute function count_one()",
        )
        .await;
    let running = house.start_one(&Arc::new(Careless), SHORT);
    until(async || house.has_seen_all().await).await;
    running.stop().await;
    let written = "select case when is_called then last_value else 0 end from written";
    let written: i64 = sqlx::query_scalar(written).fetch_one(&house.world.owner).await.unwrap();
    assert_eq!(written, 1);
    house.end().await;
}

impl House {
    /// What it costs to bring a block's task up to an edit of the block: statements, and the rows that they gave.
    async fn cost_of_an_edit(&self, block: BlockId, text: &str) -> (usize, u64) {
        let app = &self.command_path.app;
        let position = self.execute::<Block>(OWNER, block, edit(text)).await;
        let event = event_log::headers_at(&self.world.owner, &[position]).await.unwrap().remove(0);
        let event = app.keyring.check(event).await.unwrap();
        // As in another process, which remembers nothing of it.
        for kind in ["block", "task"] {
            app.cache.drop_stale(kind, &block.to_string(), i64::MAX);
        }
        let mut reaction = Reaction::of::<BlockTaskSync>(app, &event);
        let (reacted, made) = statements_with_rows(BlockTaskSync.react(&mut reaction)).await;
        reacted.unwrap();
        app.snapshots.settled().await;
        let block = app.load::<Block>(&block.to_string()).await.unwrap();
        let task = app.load::<Task>(&event.aggregate.id).await.unwrap();
        assert_eq!(task.state.todo().unwrap().title.as_str(), text);
        // Snapshots, from whole streams or from memory, say the same as the whole stream.
        assert_eq!(block.state, app.load_whole::<Block>(&event.aggregate.id).await.unwrap().state);
        assert_eq!(task.state, app.load_whole::<Task>(&event.aggregate.id).await.unwrap().state);
        assert_eq!(block.state.last_edits().text, position);
        app.snapshots.settled().await;
        (made.len(), made.iter().map(|(_, rows)| rows).sum())
    }
}

#[tokio::test]
async fn a_reaction_costs_the_same_after_twenty_thousand_edits() {
    /// Edits in an append, and the most events behind a snapshot: of one append more than make one due.
    const EDITS: usize = 100;
    const BEHIND: u64 = 200 + 100;
    let house = House::new().await;
    let app = &house.command_path.app;
    let block = BlockId(id(100));
    house.add_task_block(OWNER, block).await;
    let mut costs = vec![house.cost_of_an_edit(block, "at first").await];
    for edits in (EDITS..=20_000).step_by(EDITS) {
        let texts = (0..EDITS).map(|n| edit(&format!("{n} of {edits}"))).collect();
        house.execute_all::<Block>(OWNER, block, texts).await;
        app.snapshots.settled().await;
        if [1_000, 5_000, 20_000].contains(&edits) {
            // A person's word on the other side, too.
            let title = BlockText::try_from(format!("title {edits}")).unwrap();
            house.execute::<Task>(OWNER, block, TaskCommand::Retitle { title }).await;
            costs.push(house.cost_of_an_edit(block, &format!("after {edits}")).await);
        }
    }
    for (statements, rows) in &costs {
        assert_eq!(*statements, costs[0].0, "{costs:?}");
        // A look at each side, from its snapshot on.
        assert!(*rows <= 2 * BEHIND, "{costs:?}");
    }
    house.end().await;
}
