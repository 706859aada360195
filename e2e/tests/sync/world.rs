//! Three services over one database, of which the projector, and with it the policy, can be killed; who uses them.

use e2e::service::{Service, command};
use e2e::{LIMIT, PASSWORD, operate};
use kit::{Level, database};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use servers::nats::Nats;
use servers::testing::{self, TestDatabase};
use servers::until::until;
use shared::domain::clock::Clock;
use sqlx::PgPool;
use tokio::sync::watch;

use super::actions::Action;

/// From how many places the owner works at once, each with a session of its own.
const DEVICES: usize = 8;
const STRANGERS: usize = 2;
const NOTES: usize = 3;

/// Everything that runs. Declared in the order in which it must end.
pub(crate) struct World {
    pub(crate) workspace: Workspace,
    pub(crate) policy: Policy,
    owner: PgPool,
    _nats: Nats,
    database: TestDatabase,
}

/// Who uses the services, and where these are.
pub(crate) struct Workspace {
    commands: Service,
    queries: Service,
    client: Client,
    /// The access tokens of the owner's sessions.
    pub(crate) devices: Vec<String>,
    pub(crate) strangers: Vec<Stranger>,
    /// The owner's notes, each in a notebook of its own.
    pub(crate) notes: Vec<String>,
    /// How many requests of clients were answered.
    answers: watch::Sender<usize>,
}

/// Somebody with a note of their own, and nothing else.
pub(crate) struct Stranger {
    id: String,
    pub(crate) token: String,
    pub(crate) note: String,
}

/// The process in which the policy runs, while it does.
pub(crate) struct Policy {
    database_url: String,
    nats_url: String,
    running: Option<Service>,
}

impl Policy {
    pub(crate) async fn start(&mut self) {
        let command = command("projector", &self.database_url, &self.nats_url).expect("built");
        self.running = Some(Service::start(command).await.expect("it starts"));
    }

    /// kill -9.
    pub(crate) async fn kill(&mut self) {
        self.running.take().expect("it was started").kill().await.expect("it ran");
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        let database = database(Level::Log).await.expect("a database");
        let nats = testing::nats().await.expect("NATS");
        let mut policy = Policy { database_url: database.url.clone(), nats_url: nats.url(), running: None };
        policy.start().await;
        let service =
            async |name| Service::start(command(name, &database.url, &nats.url()).expect("built")).await;
        let mut workspace = Workspace {
            commands: service("command-api").await.expect("it starts"),
            queries: service("query-api").await.expect("it starts"),
            client: Client::new(),
            devices: Vec::new(),
            strangers: Vec::new(),
            notes: Vec::new(),
            answers: watch::Sender::new(0),
        };
        workspace.move_in().await;
        let owner = PgPool::connect(&database.url).await.expect("the owner may always connect");
        Self { workspace, policy, owner, _nats: nats, database }
    }

    /// Waits until the policy has seen the whole log; returns its last position.
    pub(crate) async fn settled(&self) -> i64 {
        until(LIMIT, "seeing to all events", async || {
            let seen =
                "select (select max(position) from es.event) as head, (select min(position) from es.policy)";
            let (head, seen): (i64, Option<i64>) = sqlx::query_as(seen).fetch_one(&self.owner).await?;
            Ok((seen == Some(head)).then_some(head))
        })
        .await
        .expect("the policy goes on")
    }

    /// How many events persons and how many policies have made of an item.
    pub(crate) async fn events_of(&self, item: &str) -> (i64, i64) {
        let events = "select count(*) filter (where not policy), count(*) filter (where policy)
                        from (select metadata ->> 'actor' like 'policy:%' as policy
                                from es.event where aggregate_id = $1) e";
        sqlx::query_as(events).bind(item).fetch_one(&self.owner).await.expect("two numbers")
    }

    pub(crate) async fn events_of_strangers(&self, items: &[&str]) -> i64 {
        let strangers: Vec<&str> =
            self.workspace.strangers.iter().map(|stranger| stranger.id.as_str()).collect();
        let events =
            "select count(*) from es.event where aggregate_id = any ($1) and metadata ->> 'actor' = any ($2)";
        let events = sqlx::query_scalar(events).bind(items).bind(strangers);
        events.fetch_one(&self.owner).await.expect("a number")
    }

    /// How often a policy was refused.
    pub(crate) async fn refusals(&self) -> i64 {
        let refusals = sqlx::query_scalar("select count(*) from es.refusal");
        refusals.fetch_one(&self.owner).await.expect("a number")
    }

    /// `daybook check` finds no difference.
    pub(crate) async fn check(&self) {
        operate("check", &self.database.url).await.expect("no difference");
    }
}

impl Workspace {
    /// The owner logs in on every device and makes notes; strangers have one each.
    async fn move_in(&mut self) {
        self.register("ada").await;
        for _ in 0..DEVICES {
            let token = self.log_in("ada").await.0;
            self.devices.push(token);
        }
        for _ in 0..NOTES {
            let note = self.add_note(&self.devices[0]).await;
            self.notes.push(note);
        }
        for nth in 0..STRANGERS {
            let name = format!("eve{nth}");
            self.register(&name).await;
            let (token, id) = self.log_in(&name).await;
            let note = self.add_note(&token).await;
            self.strangers.push(Stranger { id, token, note });
        }
    }

    async fn register(&self, name: &str) {
        let account = json!({"email": format!("{name}@example.org"), "password": PASSWORD});
        self.accepted("", "/auth/register", account).await;
    }

    /// The access token of a new session, and whose it is.
    async fn log_in(&self, name: &str) -> (String, String) {
        let login = json!({"login": format!("{name}@example.org"), "password": PASSWORD});
        let tokens = self.accepted("", "/auth/login", login).await;
        let text = |name: &str| tokens[name].as_str().expect("a text").to_owned();
        (text("access_token"), text("user_id"))
    }

    /// A note in a notebook of its own.
    async fn add_note(&self, token: &str) -> String {
        let notebook = self.accepted(token, "/notebooks", json!({"name": "Lab"})).await["id"].clone();
        let note = json!({"notebook_id": notebook, "title": "Plans"});
        self.accepted(token, "/notes", note).await["id"].as_str().expect("an id").to_owned()
    }

    /// A new item, from either side: its id, and where it stands in the log.
    pub(crate) async fn add(&self, note: &str, as_block: bool, text: &str) -> (String, i64) {
        let id = Clock::System.new_id().to_string();
        let content = json!({"checked": false, "depth": 0, "text": text});
        let (path, body) = if as_block {
            ("/blocks", json!({"id": id, "note_id": note, "type": "task", "content": content}))
        } else {
            ("/tasks", json!({"id": id, "note_id": note, "title": text}))
        };
        let answer = self.accepted(&self.devices[0], path, body).await;
        (id, answer["position"].as_i64().expect("a position"))
    }

    /// One event that is nothing to a policy.
    pub(crate) async fn retitle_a_note(&self) {
        let title = json!({"title": format!("Plans {}", self.answered())});
        let retitle = Action::new(Method::PATCH, format!("/notes/{}", self.notes[0]), title);
        assert_eq!(self.send(&self.devices[0], &retitle).await.0, 200);
    }

    /// Asks the command API, again and with the same key while it says that it cannot answer now.
    pub(crate) async fn send(&self, token: &str, action: &Action) -> (u16, Value) {
        let url = format!("{}/api/v1{}", self.commands.url, action.path);
        let request = self.client.request(action.method.clone(), url).bearer_auth(token).json(&action.body);
        let request = request.header("Idempotency-Key", Clock::System.new_id().to_string());
        until(LIMIT, "an answer", async || {
            let answer = request.try_clone().expect("it has no stream").send().await?;
            let status = answer.status().as_u16();
            if status == 503 { Ok(None) } else { Ok(Some((status, answer.json().await?))) }
        })
        .await
        .expect("the command API runs")
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Value {
        let request = self.client.get(format!("{}/api/v1{path}", self.queries.url)).bearer_auth(token);
        until(LIMIT, "an answer", async || {
            let answer = request.try_clone().expect("it has no stream").send().await?;
            // The read tables may still be on their way.
            if answer.status() == 503 { Ok(None) } else { Ok(Some(answer.error_for_status()?.json().await?)) }
        })
        .await
        .expect("the query API runs")
    }

    async fn accepted(&self, token: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.send(token, &Action::new(Method::POST, path.to_owned(), body)).await;
        assert!(matches!(status, 200 | 201), "{path} {status} {answer}");
        answer
    }

    /// A request of a client was answered.
    pub(crate) fn count(&self) {
        self.answers.send_modify(|answers| *answers += 1);
    }

    /// How many were answered so far.
    pub(crate) fn answered(&self) -> usize {
        *self.answers.borrow()
    }

    /// Waits until so many were answered.
    pub(crate) async fn until_answered(&self, wanted: usize) {
        let mut answers = self.answers.subscribe();
        answers.wait_for(|answers| *answers >= wanted).await.expect("we hold the other end");
    }
}
