//! A gateway of one's own over a fresh database, with a hand in place of the command side and the projector.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use axum::Router;
use futures::{SinkExt, StreamExt};
use kit::{Answer, Fact, Level, Scribe, TestRequest, database, master};
use query_api::live::{self, Live, Parts, Settings};
use query_api::watermark::Watermark;
use serde_json::{Map, Value, json};
use servers::testing::TestDatabase;
use shared::domain::clock::Clock;
use shared::domain::id::{NoteId, NotebookId, SessionId, UserId};
use shared::log::keyring::Keyring;
use shared::log::server_keys::ServerKeys;
use shared::process::auth::{Issuer, Verifier};
use shared::process::lifecycle::Shutdown;
use shared::process::postgres::{DatabaseRole, pool};
use shared::process::read_schema;
use sqlx::PgPool;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use uuid::Uuid;

pub(crate) const ADA: UserId = UserId(Uuid::from_u128(0xada));
pub(crate) const BOB: UserId = UserId(Uuid::from_u128(0xb0b));
pub(crate) const LAB: NotebookId = NotebookId(Uuid::from_u128(0x1ab));
pub(crate) const SAFE: NotebookId = NotebookId(Uuid::from_u128(0x5afe));
pub(crate) const NOTE: NoteId = NoteId(Uuid::from_u128(0x207e));

pub(crate) const DEADLINE: Duration = Duration::from_mins(2);

pub(crate) struct World {
    /// Runs as the owner, with the read schema as its search path.
    pub(crate) owner: PgPool,
    pub(crate) query: PgPool,
    pub(crate) shutdown: Shutdown,
    pub(crate) epoch: String,
    keys: ServerKeys,
    /// What the events say that were written, by their positions.
    data: Mutex<Map<String, Value>>,
    address: SocketAddr,
    router: Router,
    _database: TestDatabase,
}

pub(crate) struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// Small, so that a few events are more than a ring, a page or a queue holds.
pub(crate) fn small() -> Settings {
    Settings { ring_events: 4, page: 3, queue: 2, catch_ups: 1, ..Settings::default() }
}

impl World {
    pub(crate) async fn start(settings: Settings) -> Self {
        Self::with(settings, None).await
    }

    pub(crate) async fn with(settings: Settings, nats: Option<async_nats::Client>) -> Self {
        let database = database(Level::Tables).await.expect("a database");
        let url = &database.url;
        let options: sqlx::postgres::PgConnectOptions = url.parse().expect("an address");
        let owner = PgPool::connect_lazy_with(options.options([("search_path", read_schema::name())]));
        let query = pool(url, DatabaseRole::Query, Some(read_schema::name()), 8).expect("a pool");
        let keys = ServerKeys::load(&query, &master()).await.expect("made by the migration");
        let epoch = sqlx::query_scalar("select epoch from es.epoch").fetch_one(&owner).await.expect("one");
        sqlx::query("update checkpoint set epoch = $1").bind(&epoch).execute(&owner).await.expect("one row");
        let (shutdown, address) = (Shutdown::new(), ([127, 0, 0, 1], 0).into());
        let mut world = Self {
            owner,
            query,
            shutdown,
            epoch,
            keys,
            data: Mutex::default(),
            address,
            router: Router::new(),
            _database: database,
        };
        world.serve(settings, nats).await;
        world
    }

    /// Starts (another) gateway process over the same database; clients come to the newest.
    pub(crate) async fn serve(&mut self, settings: Settings, nats: Option<async_nats::Client>) {
        let watermark = Watermark::start(self.query.clone(), nats, &self.shutdown);
        let mut marks = watermark.subscribe();
        let known = marks.wait_for(|mark| !mark.epoch.is_empty());
        drop(timeout(DEADLINE, known).await.expect("in time").expect("a mark"));
        let live = Live::start(
            Parts {
                pool: self.query.clone(),
                keyring: Keyring::new(master(), self.query.clone()),
                watermark,
                verifier: Verifier::start(&self.keys, Clock::System, self.query.clone(), &self.shutdown),
                clock: Clock::System,
                shutdown: self.shutdown.clone(),
            },
            settings,
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        self.address = listener.local_addr().expect("bound");
        let gateway = live::routes().with_state::<()>(live);
        let (router, _) =
            utoipa_axum::router::OpenApiRouter::new().nest("/api/v1", gateway).split_for_parts();
        self.router = router.clone();
        tokio::spawn(async move { axum::serve(listener, router).await });
    }

    /// Writes events and what they fold to, in one transaction, as projector and command side do between them.
    pub(crate) async fn append(&self, events: &[Value]) -> i64 {
        let head = self.append_unread(events).await;
        self.fold(head).await;
        head
    }

    /// Writes events that are not folded yet: they cannot be read.
    pub(crate) async fn append_unread(&self, events: &[Value]) -> i64 {
        let text = |event: &Value, name: &str| event[name].as_str().expect("a text").to_owned();
        let facts = events.iter().map(|event| {
            let (kind, id) = (text(event, "aggregate"), text(event, "id"));
            let mut fact = Fact::new(&kind, &id, &text(event, "type"), event["data"].clone());
            fact.scopes = serde_json::from_value(event["scopes"].clone()).expect("texts");
            (fact.in_clear, fact.meta.actor) = (true, id);
            // The grant of its owner is in the same event, so that a notebook is one position.
            if let Some(owner) = event["data"]["owner"].as_str().filter(|_| kind == "notebook") {
                let granted = json!({"container": fact.scopes[0], "principal": format!("user:{owner}"), "role": "owner"});
                fact.effects = Some(json!([{"granted": granted}]));
            }
            fact
        });
        let mut owner = self.owner.acquire().await.expect("a connection");
        let head = Scribe::new(master()).store(&mut owner, facts.collect()).await.expect("events");
        // Preferences may be large, and fold to nothing.
        let first = head + 1 - i64::try_from(events.len()).expect("few");
        let folded = (first..).zip(events).filter(|(_, event)| event["type"] != "PreferencesSet");
        let mut data = self.data.lock().expect("nobody panics while holding this lock");
        data.extend(folded.map(|(position, event)| (position.to_string(), event["data"].clone())));
        head
    }

    /// Brings the read tables to a position.
    pub(crate) async fn fold(&self, to: i64) {
        let statements = [
            "insert into feed select unnest(scopes), position from es.event
              where position > (select position from checkpoint) and position <= $1",
            "insert into notebooks select aggregate_id::uuid, 'n', '', 'a', recorded_at, 'a', recorded_at, 1
               from e where event_type = 'NotebookCreated' and position <= $1 on conflict do nothing",
            "insert into members select 'notebook', aggregate_id::uuid, (data->>'owner')::uuid, 3, position, null,
               data->>'owner', recorded_at from e where event_type = 'NotebookCreated' and position <= $1 on conflict do nothing",
            "insert into notes select aggregate_id::uuid, (data->>'notebook_id')::uuid, 't', 'a', recorded_at, 'a',
               recorded_at, 1 from e where event_type = 'NoteCreated' and position <= $1
             on conflict do nothing",
            "update notes set notebook_id = (e.data->>'to')::uuid from e
              where e.event_type = 'NoteMoved' and e.aggregate_id = notes.id::text and e.position <= $1
                and e.position > (select position from checkpoint)",
            "insert into blocks select aggregate_id::uuid, (data->>'note_id')::uuid, 'text', '{}', 'a0', false, 'a',
               recorded_at, 'a', recorded_at, 1 from e where event_type = 'BlockAdded' and position <= $1
             on conflict do nothing",
            "insert into tasks (id, note_id, owner_id, title, title_folded, priority, removed, created_by, created_at,
               updated_by, updated_at, version)
             select aggregate_id::uuid, (data->>'note_id')::uuid, (data->>'owner')::uuid, '', '', 0, false, 'a',
               recorded_at, 'a', recorded_at, 1 from e where event_type = 'TaskAdded' and position <= $1
             on conflict do nothing",
            "update blocks set note_id = (e.data->>'to')::uuid from e
              where e.event_type = 'BlockMoved' and e.aggregate_id = blocks.id::text and e.position <= $1
                and e.position > (select position from checkpoint)",
            "update tasks set note_id = (e.data->>'to')::uuid from e
              where e.event_type = 'TaskMoved' and e.aggregate_id = tasks.id::text and e.position <= $1
                and e.position > (select position from checkpoint)",
            "update checkpoint set position = $1",
        ];
        // What the events say, as nobody reads it out of the log by SQL.
        let data = Value::Object(self.data.lock().expect("nobody panics while holding this lock").clone());
        let mut transaction = self.owner.begin().await.expect("a transaction");
        for statement in statements {
            let statement = format!(
                "with e as (select *, $2::jsonb -> position::text as data from es.event) {statement}"
            );
            sqlx::query(&statement).bind(to).bind(&data).execute(&mut *transaction).await.expect(&statement);
        }
        transaction.commit().await.expect("committed");
    }

    /// A token of a session of that person's, good for the usual time since `clock`.
    pub(crate) fn token(&self, user: UserId, clock: Clock) -> (String, SessionId) {
        let session = SessionId(Clock::System.new_id());
        (Issuer::new(&self.keys, clock).issue(user, session).0, session)
    }

    pub(crate) async fn dial(&self, query: &str) -> Result<Client, Box<Error>> {
        let address = format!("ws://{}/api/v1/live{query}", self.address);
        connect_async(address).await.map(|(socket, _)| Client(socket)).map_err(Box::new)
    }

    /// A socket that has said hello with these further members.
    pub(crate) async fn hello(&self, user: UserId, more: Value) -> Client {
        let mut client = self.dial("").await.expect("a socket");
        let mut hello = json!({"type": "hello", "token": self.token(user, Clock::System).0});
        if let (Value::Object(hello), Value::Object(more)) = (&mut hello, more) {
            hello.extend(more);
        }
        client.send(&hello).await;
        client
    }

    pub(crate) async fn resume(&self, user: UserId, after: i64) -> Client {
        let mut client = self.hello(user, json!({"resume": {"epoch": self.epoch, "after": after}})).await;
        assert_eq!(client.next().await["type"], "welcome");
        client
    }

    /// A socket that is live.
    pub(crate) async fn live(&self, user: UserId) -> Client {
        let mut client = self.hello(user, json!({})).await;
        assert_eq!(client.next().await["type"], "welcome");
        assert_eq!(client.next().await["type"], "live");
        client
    }

    /// Knocks until the gateway has come to a position.
    pub(crate) async fn reaches(&self, position: i64) {
        let knocking = async {
            while self.hello(BOB, json!({"topics": []})).await.next().await["position"].as_i64()
                < Some(position)
            {}
        };
        timeout(DEADLINE, knocking).await.expect("the feed comes to the position in time");
    }

    /// What to add to the address to come with a ticket.
    pub(crate) async fn ticket(&self, token: &str) -> String {
        let answer = self.ask_for_ticket(token).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        format!("?ticket={}", answer.body["ticket"].as_str().expect("a ticket"))
    }

    pub(crate) async fn ask_for_ticket(&self, token: &str) -> Answer {
        TestRequest::command("/api/v1/live/tickets").bearer(token).send(&self.router).await
    }
}

impl Client {
    pub(crate) async fn send(&mut self, frame: &Value) {
        self.send_text(&frame.to_string()).await;
    }

    pub(crate) async fn send_text(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.expect("sent");
    }

    /// The next frame; fails when none comes in time.
    pub(crate) async fn next(&mut self) -> Value {
        let next = async {
            loop {
                match self.0.next().await.expect("the socket is open").expect("a frame") {
                    Message::Text(text) => return serde_json::from_str(&text).expect("JSON"),
                    Message::Close(why) => panic!("closed: {why:?}"),
                    Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_) => {}
                }
            }
        };
        timeout(DEADLINE, next).await.expect("a frame in time")
    }

    /// The positions of events until a frame of another type comes, and that frame. Progress is passed over.
    pub(crate) async fn events(&mut self) -> (Vec<i64>, Value) {
        let mut positions = Vec::new();
        loop {
            let frame = self.next().await;
            match frame["type"].as_str() {
                Some("event") => positions.push(frame["event"]["position"].as_i64().expect("a position")),
                Some("progress") => {}
                Some(_) | None => return (positions, frame),
            }
        }
    }

    /// The position of the next event, or the next `live`.
    pub(crate) async fn event_or_live(&mut self) -> Result<i64, Value> {
        loop {
            let frame = self.next().await;
            match frame["type"].as_str() {
                Some("event") => return Ok(frame["event"]["position"].as_i64().expect("a position")),
                Some("progress") => {}
                Some(_) | None => return Err(frame),
            }
        }
    }

    /// The positions of events that were sent before our ping was answered.
    pub(crate) async fn events_until_pong(&mut self) -> Vec<i64> {
        self.send(&json!({"type": "ping"})).await;
        let (positions, frame) = self.events().await;
        assert_eq!(frame, json!({"type": "pong"}));
        positions
    }

    /// The code of the goodbye; what comes before it is passed over.
    pub(crate) async fn bye(&mut self) -> String {
        loop {
            let frame = self.next().await;
            if frame["type"] == "bye" {
                return frame["code"].as_str().expect("a code").to_owned();
            }
        }
    }
}

pub(crate) fn notebook(owner: UserId, id: NotebookId) -> Value {
    json!({"aggregate": "notebook", "id": id, "type": "NotebookCreated", "data": {"owner": owner, "name": "Lab"},
           "scopes": [format!("notebook:{id}")]})
}

pub(crate) fn renamed(id: NotebookId) -> Value {
    json!({"aggregate": "notebook", "id": id, "type": "NotebookRenamed", "data": {"name": "Laboratory"},
           "scopes": [format!("notebook:{id}")]})
}

pub(crate) fn note(id: NoteId, notebook: NotebookId) -> Value {
    json!({"aggregate": "note", "id": id, "type": "NoteCreated", "data": {"notebook_id": notebook, "title": "Dreams"},
           "scopes": [format!("note:{id}"), format!("notebook:{notebook}")]})
}

pub(crate) fn retitled(id: NoteId, notebook: NotebookId) -> Value {
    json!({"aggregate": "note", "id": id, "type": "NoteRetitled", "data": {"title": "Plans"},
           "scopes": [format!("note:{id}"), format!("notebook:{notebook}")]})
}

pub(crate) fn moved(id: NoteId, from: NotebookId, to: NotebookId) -> Value {
    json!({"aggregate": "note", "id": id, "type": "NoteMoved", "data": {"from": from, "to": to},
           "scopes": [format!("note:{id}"), format!("notebook:{from}"), format!("notebook:{to}")]})
}

/// An event of a person's own, of about so many bytes.
pub(crate) fn preferences(user: UserId, bytes: usize) -> Value {
    json!({"aggregate": "user", "id": user, "type": "PreferencesSet",
           "data": {"preferences": {"theme": "x".repeat(bytes)}}, "scopes": [format!("user:{user}")]})
}
