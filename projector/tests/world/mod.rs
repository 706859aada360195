//! A database with a log of its own, and projectors over it.

#![expect(dead_code, reason = "each test file uses a part of it")]
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::HashMap;
use std::time::Duration;

use async_nats::Client;
use kit::{Fact, Level, Scribe, database, master, rewrite};
use projector::engine::{Engine, Tools};
use projector::{Handles, ShadowBuild, Status, run};
use serde_json::{Value, json};
use servers::testing::TestDatabase;
use shared::log::event::Recorded;
use shared::log::event_log;
use shared::log::keyring::Keyring;
use shared::log::server_keys;
use shared::log::stored_event::{Payload, StoredEvent};
use shared::process::lifecycle::Shutdown;
use shared::process::postgres::{DatabaseRole, options, pool};
use shared::process::read_schema::{self, VERSIONS};
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use uuid::Uuid;

/// How long anything may take.
const DEADLINE: Duration = Duration::from_mins(2);

pub(crate) struct World {
    pub(crate) owner: PgPool,
    sequences: HashMap<String, i64>,
    position: i64,
    // Last, so that it outlives the pools.
    database: TestDatabase,
}

pub(crate) fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub(crate) fn note_created(note: u128, notebook: u128, title: &str) -> Fact {
    fact("note", note, "NoteCreated", json!({"notebook_id": id(notebook), "title": title}))
}

pub(crate) fn note_retitled(note: u128, title: &str) -> Fact {
    fact("note", note, "NoteRetitled", json!({"title": title}))
}

pub(crate) fn fact(aggregate: &'static str, number: u128, event_type: &'static str, data: Value) -> Fact {
    let scopes = vec![format!("{aggregate}:{}", id(number)), "everything:".to_owned()];
    let in_clear = event_type == "SessionEnded";
    Fact { scopes, in_clear, ..Fact::new(aggregate, id(number), event_type, data) }
}

/// A person becomes the owner of a notebook.
fn owner_added(notebook: u128, owner: u128) -> Fact {
    let notebook = format!("notebook:{}", id(notebook));
    let of_both = format!("{notebook}/{}", id(owner));
    let scopes = vec![notebook, format!("user:{}", id(owner))];
    Fact { scopes, in_clear: true, ..Fact::new("member", of_both, "MemberAdded", json!({"role": "owner"})) }
}

/// A block and a task, with each of their events and every column filled, and a bare one of each.
pub(crate) fn parts() -> Vec<Fact> {
    let text = json!({"type": "text", "content": {"text": "Milk \\ \"É\"", "spans": []}});
    let task = json!({"type": "task", "content": {"checked": true, "depth": 2, "text": "Milk", "spans": []}});
    let (from, to, at) = (id(1_000), id(1_001), "2026-01-31T12:00:00.000001Z");
    let details = json!({"description": "More", "due_at": at, "priority": 3, "assignee_id": id(3)});
    let whole = json!({"owner": id(1), "title": "Call", "completed_at": at, "details": details,
                       "added_by": "bob", "added_at": at});
    let whole_block = json!({"block": task, "added_by": "bob", "added_at": at});
    let one = |event_type, data| fact("block", 501, event_type, data);
    let todo = |event_type, data| fact("task", 601, event_type, data);
    let in_note =
        |fact: Fact| Fact { scopes: vec![format!("note:{to}"), format!("notebook:{}", id(11))], ..fact };
    vec![
        fact("block", 500, "BlockAdded", json!({"note_id": from, "block": text, "rank": "Zz"})),
        one("BlockAdded", json!({"note_id": from, "block": text, "rank": "a0"})),
        one("BlockEdited", json!({"note_id": from, "block": text})),
        one("BlockTypeChanged", json!({"note_id": from, "block": task})),
        one("BlockRemoved", json!({"note_id": from})),
        one("BlockRestored", json!({"note_id": from, "rank": "a1"})),
        one("BlockMoved", json!({"from": from, "to": to, "rank": "a2", "whole": whole_block})),
        one("BlockMoved", json!({"from": to, "to": to, "rank": "a3"})),
        one("BlockRemoved", json!({"note_id": to})),
        fact(
            "task",
            600,
            "TaskAdded",
            json!({"note_id": null, "owner": id(2), "title": "Own", "completed": false, "details": {"due_on": "2026-03-01"}}),
        ),
        todo("TaskAdded", json!({"note_id": from, "owner": id(1), "title": "", "completed": true})),
        todo("TaskReopened", json!({})),
        todo("TaskRetitled", json!({"title": "Call"})),
        todo("TaskDescribed", json!({"description": "Less"})),
        todo("TaskScheduled", json!({"due_on": "2026-03-02"})),
        todo("TaskScheduled", json!({"due_at": at})),
        todo("TaskUnscheduled", json!({})),
        todo("TaskPrioritized", json!({"priority": 4})),
        todo("TaskAssigned", json!({"assignee_id": id(2)})),
        todo("TaskUnassigned", json!({"assignee_id": id(2)})),
        todo("TaskCompleted", json!({})),
        todo("TaskRemoved", json!({"note_id": from})),
        todo("TaskRestored", json!({"note_id": from})),
        in_note(todo("TaskMoved", json!({"from": from, "to": to, "whole": whole}))),
        in_note(todo("TaskRemoved", json!({"note_id": to}))),
        fact("note", 1_001, "NoteMoved", json!({"from": id(11), "to": id(12)})),
    ]
}

/// A little of everything: 3 persons, 2 notebooks, `notes` notes that are each retitled and moved, 2 blocks, 2 tasks.
pub(crate) fn a_bit_of_all(notes: u128) -> Vec<Fact> {
    let mut facts = Vec::new();
    for user in 1..=3 {
        let registered = json!({"email": format!("u{user}@example.org"), "username": format!("User{user}"), "display_name": "U"});
        facts.push(fact("user", user, "UserRegistered", registered));
        let opened = json!({"user_id": id(user), "device": null, "address": "127.0.0.1"});
        facts.push(fact("session", 100 + user, "SessionOpened", opened));
    }
    for book in 10..=11 {
        facts.push(owner_added(book, 1));
        facts.push(fact("notebook", book, "NotebookCreated", json!({"owner": id(1), "name": "Lab"})));
    }
    for note in 1_000..1_000 + notes {
        facts.push(note_created(note, 10, "Dreams"));
        facts.push(note_retitled(note, "Plans"));
        facts.push(fact("note", note, "NoteMoved", json!({"from": id(10), "to": id(11)})));
    }
    facts.push(fact("session", 101, "SessionEnded", json!({"user_id": id(1)})));
    facts.push(fact("user", 2, "PreferencesSet", json!({"preferences": {"theme": "dark", "zoom": 1.25}})));
    facts.extend(parts());
    facts
}

impl World {
    pub(crate) async fn new() -> Self {
        let database = database(Level::Log).await.unwrap();
        let owner = PgPool::connect(&database.url).await.unwrap();
        Self { owner, sequences: HashMap::new(), position: 0, database }
    }

    /// Records facts as `es.append` would, encrypted under a key for each aggregate.
    pub(crate) async fn append(&mut self, mut facts: Vec<Fact>) {
        for fact in &mut facts {
            let sequence = self.sequences.entry(fact.id.clone()).and_modify(|last| *last += 1).or_insert(1);
            fact.sequence = Some(*sequence);
        }
        let mut connection = self.owner.acquire().await.unwrap();
        self.position = Scribe::new(master()).store(&mut connection, facts).await.unwrap();
    }

    /// The last position of the log.
    pub(crate) fn head(&self) -> i64 {
        self.position
    }

    /// Forgets what was recorded after `position`, as a restore of an older backup would.
    pub(crate) async fn lose_after(&mut self, position: i64) {
        let mut connection = self.owner.acquire().await.unwrap();
        let lose = format!("delete from es.event where position > {position}");
        rewrite(&mut connection, &lose).await.unwrap();
        self.position = position;
        // Numbers of lost events are given again; enough that they differ.
        for last in self.sequences.values_mut() {
            *last += 100;
        }
    }

    /// Puts the data of the event at `of` into the event at `position`, as somebody who can write the database might.
    pub(crate) async fn put_payload(&self, position: i64, of: i64) {
        let payload = format!("payload = (select payload from es.event where position = {of})");
        self.put(position, &payload).await;
    }

    /// Makes the event at `position` one of a newer form, as a newer release would have recorded it.
    pub(crate) async fn put_version(&self, position: i64, version: &str) {
        let event = event_log::at(&self.owner, position).await.unwrap().unwrap();
        let recorded = Recorded { event_version: version.to_owned(), ..event.recorded };
        let mac = self.genuine(recorded, event.payload).await.mac;
        let digits = hex::encode(mac);
        let put = format!("event_version = '{version}', mac = decode('{digits}', 'hex')");
        self.put(position, &put).await;
    }

    /// An event with the MAC of what it says.
    pub(crate) async fn genuine(&self, recorded: Recorded, payload: Payload) -> StoredEvent {
        let mac_key = server_keys::mac_key(&self.owner, &master()).await.unwrap();
        StoredEvent::new(recorded, payload, &mac_key)
    }

    async fn put(&self, position: i64, what: &str) {
        let mut connection = self.owner.acquire().await.unwrap();
        let put = format!("update es.event set {what} where position = {position}");
        rewrite(&mut connection, &put).await.unwrap();
    }

    pub(crate) async fn begin_epoch(&self, agreed: i64) {
        let epoch = shared::log::epoch::EpochId::fresh();
        sqlx::query("insert into es.epoch (epoch, agreed_position, reason) values ($1, $2, 'a test')")
            .bind(epoch)
            .bind(agreed)
            .execute(&self.owner)
            .await
            .unwrap();
    }

    /// The whole log, as the stream would carry it.
    pub(crate) async fn log(&self) -> Vec<StoredEvent> {
        event_log::after(&self.owner, 0, i64::MAX).await.unwrap()
    }

    pub(crate) fn pool(&self, schema: &str) -> PgPool {
        pool(&self.database.url, DatabaseRole::Projector, Some(schema), 4).unwrap()
    }

    pub(crate) fn tools(&self, schema: &str) -> Tools {
        let pool = self.pool(schema);
        Tools {
            keyring: Keyring::new(master(), pool.clone()),
            pool,
            schema: schema.to_owned(),
            nats: None,
            status: watch::channel(Status::default()).0,
        }
    }

    /// Where tables are built beside those of `schema`.
    pub(crate) fn shadow_build(&self, schema: &str) -> ShadowBuild {
        ShadowBuild {
            connect: options(&self.database.url, DatabaseRole::Projector, None).unwrap(),
            schema: schema.to_owned(),
            keyring: Keyring::new(master(), self.pool(schema)),
            status: watch::channel(Status::default()).0,
        }
    }

    /// The database's address, as its owner.
    pub(crate) fn url(&self) -> &str {
        &self.database.url
    }

    pub(crate) async fn engine(&self, schema: &str) -> Engine {
        Engine::resume(self.tools(schema)).await.unwrap()
    }

    /// What a projector makes of the log that never saw anything else, and reads it in one go.
    pub(crate) async fn expected(&self) -> Value {
        sqlx::query("drop schema if exists read_expected cascade").execute(&self.owner).await.unwrap();
        self.engine("read_expected").await.catch_up().await.unwrap();
        self.tables("read_expected").await
    }

    /// Every column of every row, and the position.
    pub(crate) async fn tables(&self, schema: &str) -> Value {
        let mut tables = serde_json::Map::new();
        for (table, _) in VERSIONS {
            let rows: Value = sqlx::query_scalar(&format!(
                "select coalesce(jsonb_agg(to_jsonb(t) order by to_jsonb(t)::text), '[]') from {schema}.{table} t"
            ))
            .fetch_one(&self.owner)
            .await
            .unwrap();
            tables.insert((*table).to_owned(), rows);
        }
        let position: i64 = sqlx::query_scalar(&format!("select position from {schema}.checkpoint"))
            .fetch_one(&self.owner)
            .await
            .unwrap();
        tables.insert("position".to_owned(), position.into());
        Value::Object(tables)
    }

    /// Starts the whole projector over the real schema.
    pub(crate) fn start(&self, nats: Option<Client>) -> Running {
        self.start_in(read_schema::name(), nats)
    }

    /// Starts the whole projector of another release.
    pub(crate) fn start_in(&self, schema: &str, nats: Option<Client>) -> Running {
        let pool = self.pool(schema);
        let handles = Handles {
            schema: schema.to_owned(),
            connect: options(&self.database.url, DatabaseRole::Projector, None).unwrap(),
            keyring: Keyring::new(master(), pool.clone()),
            pool,
            nats,
        };
        let (sender, status) = watch::channel(Status::default());
        let shutdown = Shutdown::new();
        let task = tokio::spawn(run(handles, sender, shutdown.clone()));
        Running { status, shutdown, task }
    }

    /// Whether nobody holds a lead.
    pub(crate) async fn lead_is_free(&self) -> bool {
        let locks = "select count(*) from pg_locks l join pg_database d on d.oid = l.database
                      where l.locktype = 'advisory' and d.datname = current_database()";
        sqlx::query_scalar::<_, i64>(locks).fetch_one(&self.owner).await.unwrap() == 0
    }

    /// Waits until so many sessions wait for a lock.
    pub(crate) async fn until_waiting(&self) {
        until(async || {
            let waiting: bool = sqlx::query_scalar(
                "select exists (select from pg_stat_activity
                                 where datname = current_database() and wait_event_type = 'Lock')",
            )
            .fetch_one(&self.owner)
            .await
            .unwrap();
            waiting
        })
        .await;
    }
}

/// A projector in a task.
pub(crate) struct Running {
    pub(crate) status: watch::Receiver<Status>,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

impl Running {
    /// Waits until its status is as wanted.
    pub(crate) async fn wait(&mut self, wanted: impl FnMut(&Status) -> bool) -> Status {
        let status = timeout(DEADLINE, self.status.wait_for(wanted)).await;
        status.expect("in time").expect("it runs").clone()
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        timeout(DEADLINE, self.task).await.expect("it stops in time").unwrap();
    }
}

/// Asks until it holds.
pub(crate) async fn until(mut holds: impl AsyncFnMut() -> bool) {
    kit::until(DEADLINE, "what a test waits for", async || holds().await.then_some(())).await;
}
