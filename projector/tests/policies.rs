//! Policies over a real log: what they are refused is recorded once, whatever interrupts them, and passed over.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod world;

use std::fmt::Display;
use std::time::Duration;

use command_api::app::CommandMeta;
use command_api::app::Decide;
use command_api::blocks::{Anchor, Block, BlockCommand, Spot};
use command_api::notebooks::{Notebook, NotebookCommand};
use command_api::notes::{Note, NoteCommand};
use command_api::service::{self, Setup};
use projector::policies;
use shared::clock::Clock;
use shared::domain::blocks::{BlockText, Content, Depth, RichText};
use shared::id::{BlockId, NoteId, NotebookId, UserId};
use shared::lifecycle::Shutdown;
use shared::postgres::{DatabaseRole, options};
use shared::read_schema;
use sqlx::Executor;
use tokio::task::JoinHandle;
use uuid::Uuid;
use world::{World, id, until};

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
}

impl House {
    /// One with a notebook of the owner, and a note in it.
    async fn new() -> Self {
        let (world, shutdown) = (World::new().await, Shutdown::new());
        let setup = Setup {
            database_url: world.url().to_owned(),
            nats: None,
            master: world.master.clone(),
            clock: Clock::System,
            throwaway: true,
        };
        let house = Self { command_path: service::start(setup, &shutdown).await.unwrap(), world, shutdown };
        let create = NotebookCommand::Create { owner: OWNER, name: "Lab".to_owned().try_into().unwrap() };
        house.execute::<Notebook>(OWNER, NOTEBOOK, create).await;
        let title = "Plans".to_owned().try_into().unwrap();
        let create = NoteCommand::Create { notebook_id: NOTEBOOK, title, blocks: Vec::new() };
        house.execute::<Note>(OWNER, NOTE, create).await;
        house
    }

    /// Has the owner's rights asked, and records what happens as `actor`'s: as it is with somebody who has lost theirs
    /// since. Gives the position.
    async fn execute<A: Decide>(&self, actor: UserId, of: impl Display, command: A::Command) -> i64 {
        let meta = CommandMeta {
            caller: None,
            on_behalf_of: Some(OWNER),
            actor: actor.to_string(),
            remembered: actor.to_string(),
            key: None,
            if_match: None,
            correlation: "c".to_owned(),
            causation: "c".to_owned(),
            target: "t".to_owned(),
        };
        let asked = self.command_path.app.execute::<A>(&meta, &of.to_string(), vec![command], &()).await;
        let accepted = serde_json::to_value(asked.unwrap()).unwrap();
        accepted["position"].as_i64().unwrap()
    }

    /// Somebody adds a task block to the note.
    async fn add_task_block(&self, actor: UserId, block: BlockId) -> i64 {
        let rich = RichText::from(BlockText::try_from("Milk".to_owned()).unwrap());
        let block_added = BlockCommand::Add {
            note_id: NOTE,
            block: Content::Task { checked: false, depth: Depth::LEAST, rich },
            spot: Spot::Wanted(Anchor::End),
        };
        self.execute::<Block>(actor, block, block_added).await
    }

    fn start(&self) -> Running {
        let handles = policies::Handles {
            app: self.command_path.app.clone(),
            connect: options(self.world.url(), DatabaseRole::Projector, None).unwrap(),
            pool: self.world.pool(read_schema::name()),
            pause: Duration::from_millis(1),
        };
        let shutdown = Shutdown::new();
        Running { task: tokio::spawn(policies::run(handles, shutdown.clone())), shutdown }
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
        let tasks = "select aggregate_id from es.event where aggregate_type = 'task'";
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
    house.shutdown.cancel();
    house.command_path.stop().await;
}
