//! A person with a notebook, and apps that remember nothing of each other over one database.

use chrono::TimeDelta;
use command_api::app::{App, Cache, CommandMeta, Loaded, Parts, Snapshots};
use command_api::notebooks::{Notebook, NotebookCommand};
use command_api::notes::{Note, NoteCommand};
use command_api::service::{self, Running, Setup};
use command_api::sessions::{Session, SessionCommand};
use kit::{Level, database, master};
use servers::testing::TestDatabase;
use shared::domain::clock::{Clock, random};
use shared::domain::id::{SessionId, UserId};
use shared::log::keyring::Keyring;
use shared::process::auth::{Caller, Issuer};
use shared::process::lifecycle::Shutdown;
use sqlx::PgPool;

/// What the title of every note begins with.
pub(crate) const CANARY: &str = "Canary7f3a";

pub(crate) struct World {
    pub(crate) owner: PgPool,
    pub(crate) notebook: String,
    running: Running,
    caller: Caller,
    _shutdown: Shutdown,
    _database: TestDatabase,
}

/// A row of `es.snapshot`.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Row {
    pub(crate) sequence: i64,
    pub(crate) snapshot_version: i32,
    pub(crate) encrypted: Vec<u8>,
}

pub(crate) fn retitle(number: usize) -> NoteCommand {
    NoteCommand::Retitle { title: format!("{CANARY} {number}").try_into().expect("a title") }
}

impl World {
    pub(crate) async fn start() -> Self {
        let database = database(Level::Log).await.expect("a database");
        let shutdown = Shutdown::new();
        let setup = Setup {
            database_url: database.url.clone(),
            nats: None,
            master: master(),
            clock: Clock::System,
            throwaway: true,
        };
        let running = service::start(setup, &shutdown).await.expect("it starts");
        let caller = log_in(&running.app).await;
        let owner = PgPool::connect(&database.url).await.expect("the owner may always connect");
        let notebook = String::new();
        let mut world = Self { owner, notebook, running, caller, _shutdown: shutdown, _database: database };
        world.notebook = world.another_notebook().await;
        world
    }

    pub(crate) async fn another_notebook(&self) -> String {
        let id = Clock::System.new_id().to_string();
        let name = "Lab".to_owned().try_into().expect("a name");
        let create = NotebookCommand::Create { owner: self.caller.user, name };
        let made = self.app(1_000).execute::<Notebook>(&self.command_meta(), &id, vec![create], &()).await;
        made.expect("it is made");
        id
    }

    /// An app that takes a snapshot after so many events, with nothing in memory.
    pub(crate) fn app(&self, every: i64) -> App {
        let app = &self.running.app;
        App::new(Parts {
            log: app.log.clone(),
            pool: app.pool.clone(),
            keyring: Keyring::new(master(), app.pool.clone()),
            keys: app.keys.clone(),
            verifier: app.verifier.clone(),
            clock: app.clock,
            cache: Cache::default(),
            snapshots: Snapshots::every(every),
            epoch: app.epoch.clone(),
            guard: app.guard,
            chain: app.chain,
        })
    }

    pub(crate) fn command_meta(&self) -> CommandMeta {
        CommandMeta { caller: Some(self.caller), ..CommandMeta::new("ada", "c", "POST /here") }
    }

    /// A new note with so many events.
    pub(crate) async fn note(&self, app: &App, events: usize) -> String {
        let note = Clock::System.new_id().to_string();
        let title = CANARY.to_owned().try_into().expect("a title");
        let notebook_id = self.notebook.parse().expect("an id");
        let create = std::iter::once(NoteCommand::Create { notebook_id, title });
        self.change(app, &note, create.chain((1..events).map(retitle)).collect()).await;
        note
    }

    pub(crate) async fn change(&self, app: &App, note: &str, commands: Vec<NoteCommand>) {
        app.execute::<Note>(&self.command_meta(), note, commands, &()).await.expect("the owner may");
    }

    pub(crate) async fn row(&self, note: &str) -> Option<Row> {
        sqlx::query_as(
            "select sequence, snapshot_version, encrypted from es.snapshot where aggregate_id = $1",
        )
        .bind(note)
        .fetch_optional(&self.owner)
        .await
        .expect("the owner may read it")
    }

    pub(crate) async fn as_owner(&self, statements: &[&str], note: &str) {
        let mut connection = self.owner.acquire().await.expect("a connection");
        for statement in statements {
            let query = sqlx::query(statement);
            let query = if statement.contains("$1") { query.bind(note) } else { query };
            query.execute(&mut *connection).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
    }

    /// Loads again, checks that the snapshot changes nothing, and returns what was loaded.
    pub(crate) async fn agrees(&self, app: &App, note: &str) -> Loaded<Note> {
        let loaded = app.load::<Note>(note).await.expect("it loads");
        let whole = app.load_whole::<Note>(note).await.expect("it loads");
        assert_eq!(Loaded { snapshot: 0, ..loaded.clone() }, whole);
        app.snapshots.settled().await;
        loaded
    }
}

async fn log_in(app: &App) -> Caller {
    let (user_id, session) = (UserId(Clock::System.new_id()), SessionId(Clock::System.new_id()));
    let open = SessionCommand::Open {
        user_id,
        device: None,
        address: None,
        refresh: random::<32>().to_vec(),
        lifetime: TimeDelta::days(1),
    };
    app.execute::<Session>(
        &CommandMeta::new("ada", "c", "POST /here"),
        &session.to_string(),
        vec![open],
        &(),
    )
    .await
    .expect("it opens");
    app.verifier.verify(&Issuer::new(&app.keys, app.clock).issue(user_id, session).0).expect("a good token")
}
