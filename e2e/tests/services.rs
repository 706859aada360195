//! Each service in a process of its own, with a login of its own role: the whole pipeline, a kill -9, and a clean end.

use axum::Router;
use axum::body::Bytes;
use e2e::service::{Service, command};
use e2e::{LIMIT, PASSWORD, Watch};
use kit::{Level, database};
use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use servers::nats::Nats;
use servers::postgres::{Durability, Options, Postgres};
use servers::testing::{self, TestDatabase};
use servers::until::until;
use shared::process::http::serve;
use shared::process::lifecycle::Shutdown;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::time::timeout;

const NOTEBOOK: &str = "0193a5f0-0000-7000-8000-000000000001";
const NOTE: &str = "0193a5f0-0000-7000-8000-000000000002";

/// What the services work with. Nothing has migrated the database yet.
struct World {
    /// The database, as its owner.
    url: String,
    nats: Nats,
    /// One on the server that tests share; it goes with this.
    _database: Option<TestDatabase>,
}

impl World {
    async fn new() -> Self {
        let database = database(Level::Empty).await.expect("an empty database");
        let world = Self::over(database.url.clone()).await;
        Self { _database: Some(database), ..world }
    }

    /// Over a database that somebody else looks after.
    async fn over(url: String) -> Self {
        Self { url, nats: testing::nats().await.expect("NATS"), _database: None }
    }

    async fn migrate(&self) {
        e2e::migrate(&self.url).await.expect("it migrates");
    }

    /// The program `name`, logging in as `role` and nobody else.
    fn command(&self, name: &str, role: &str) -> Command {
        let (_, place) = self.url.split_once('@').expect("an address with a login");
        command(name, &format!("postgres://{role}@{place}"), &self.nats.url()).expect("built")
    }

    async fn start(&self, name: &str, role: &str) -> Service {
        Service::start(self.command(name, role)).await.expect("it starts")
    }

    async fn projector(&self) -> Service {
        self.start("projector", "daybook_projector").await
    }
}

async fn json_of(request: RequestBuilder) -> Value {
    let answer = request.send().await.expect("an answer");
    let (status, text) = (answer.status(), answer.text().await.expect("a body"));
    assert!(status.is_success(), "{status} {text}");
    serde_json::from_str(&text).expect("JSON")
}

async fn post(service: &Service, path: &str, token: &str, body: &Value) -> Value {
    let request = Client::new().post(format!("{}/api/v1{path}", service.url));
    json_of(request.bearer_auth(token).json(body)).await
}

async fn read(service: &Service, path: &str, token: &str) -> Value {
    json_of(Client::new().get(format!("{}/api/v1{path}", service.url)).bearer_auth(token)).await
}

/// Ada, logged in.
async fn ada(commands: &Service) -> String {
    let account = json!({"email": "ada@example.org", "password": PASSWORD});
    post(commands, "/auth/register", "", &account).await;
    let login = json!({"login": "ada@example.org", "password": PASSWORD});
    let tokens = post(commands, "/auth/login", "", &login).await;
    tokens["access_token"].as_str().expect("a token").to_owned()
}

/// The events that a socket of the query API is sent, from the beginning on, until it has them all.
async fn watched(queries: &Service, token: &str, up_to: i64) -> Vec<String> {
    let (mut watch, mut events) = (Watch::start(token, "--url", &queries.url), Vec::new());
    loop {
        // What can be read is pushed a moment later, be that before `live` or after it.
        let event = watch.event().await;
        events.push(event["type"].as_str().expect("a type").to_owned());
        if event["position"].as_i64() >= Some(up_to) {
            return events;
        }
    }
}

async fn is_well(service: &Service) {
    service.ready().await.expect("ready");
    assert_eq!(service.get("/livez").await.expect("an answer"), (200, "ok\n".to_owned()));
    assert_eq!(service.get("/metrics").await.expect("an answer").0, 200);
    assert_eq!(service.get("/nowhere").await.expect("an answer").0, 404);
}

#[tokio::test]
async fn three_processes_are_one_daybook() {
    let world = World::new().await;
    world.migrate().await;
    let commands = world.start("command-api", "daybook_command").await;
    let queries = world.start("query-api", "daybook_query").await;
    let (status, said) = queries.get("/readyz").await.expect("an answer");
    assert_eq!((status, said.contains("projector")), (503, true), "nothing has made the read tables: {said}");
    let projector = world.projector().await;
    for service in [&commands, &queries, &projector] {
        is_well(service).await;
    }

    let token = ada(&commands).await;
    post(&commands, "/notebooks", &token, &json!({"id": NOTEBOOK, "name": "Lab"})).await;
    let note = json!({"id": NOTE, "notebook_id": NOTEBOOK, "title": "Dreams"});
    let position = post(&commands, "/notes", &token, &note).await["position"].as_i64().expect("a position");
    let path = format!("/notes/{NOTE}?after={position}");
    assert_eq!(read(&queries, &path, &token).await["title"], "Dreams");
    let seen = watched(&queries, &token, position).await;
    assert_eq!(seen, ["UserRegistered", "SessionOpened", "MemberAdded", "NotebookCreated", "NoteCreated"]);
    let metrics = commands.get("/metrics").await.expect("an answer").1;
    assert!(metrics.contains("daybook_append_seconds"), "{metrics}");
    assert_eq!(commands.get("/.well-known/jwks.json").await.expect("an answer").0, 200);

    projector.kill().await.expect("it ran");
    assert_eq!(read(&queries, &path, &token).await["title"], "Dreams");
    queries.ready().await.expect("it needs no projector for what is there");
    let another = json!({"notebook_id": NOTEBOOK, "title": "Plans"});
    let made = post(&commands, "/notes", &token, &another).await;
    let projector = world.projector().await;
    projector.ready().await.expect("ready again");
    let path = format!("/notes/{}?after={}", made["id"].as_str().expect("an id"), made["position"]);
    assert_eq!(read(&queries, &path, &token).await["title"], "Plans");

    for service in [commands, queries, projector] {
        let ended = service.stop().await.expect("it ends");
        assert_eq!(ended.code(), Some(0), "SIGTERM is a clean end");
    }
}

#[tokio::test]
async fn every_process_says_what_it_is_and_both_apis_answer_pages_of_listed_origins() {
    let world = World::new().await;
    world.migrate().await;
    let origin = "https://app.example.org";
    let start = async |name: &str, role: &str| {
        let mut command = world.command(name, role);
        command.env("DAYBOOK_ORIGINS", origin);
        Service::start(command).await.expect("it starts")
    };
    let commands = start("command-api", "daybook_command").await;
    let queries = start("query-api", "daybook_query").await;
    let projector = world.projector().await;
    let client = Client::new();
    for service in [&commands, &queries, &projector] {
        let (status, said) = service.get("/").await.expect("an answer");
        let said: Value = serde_json::from_str(&said).expect("JSON");
        assert_eq!((status, &said["name"], &said["api"]), (200, &json!("daybook"), &json!("/api/v1")));
        let page = client.get(&service.url).header("accept", "text/html").send().await.expect("an answer");
        assert!(page.text().await.expect("a body").contains("<h1>Daybook"));
        let delete = client.delete(&service.url).send().await.expect("an answer");
        assert_eq!(
            (delete.status().as_u16(), &delete.headers()["allow"]),
            (405, &"GET,HEAD".parse().expect("text"))
        );
    }
    for (service, path) in
        [(&commands, "/notes"), (&commands, "/auth/login"), (&queries, "/notes"), (&queries, "/me")]
    {
        let address = format!("{}/api/v1{path}", service.url);
        for (origin, allowed) in [(origin, Some(origin)), ("https://evil.example", None)] {
            let preflight = client.request(reqwest::Method::OPTIONS, &address).header("origin", origin);
            let preflight = preflight.header("access-control-request-method", "GET");
            for request in [preflight, client.get(&address).header("origin", origin)] {
                let answer = request.send().await.expect("an answer");
                let told = answer.headers().get("access-control-allow-origin");
                assert_eq!(told.map(|told| told.to_str().expect("text")), allowed, "{address}");
            }
        }
    }
}

#[tokio::test]
async fn a_service_on_a_database_that_was_not_migrated_says_what_to_do() {
    let world = World::new().await;
    for name in ["command-api", "query-api", "projector"] {
        // As the owner, who may log in before there are roles.
        let mut command = command(name, &world.url, &world.nats.url()).expect("built");
        let ended = timeout(LIMIT, command.output()).await.expect("it ends").expect("it runs");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(said.contains("daybook migrate"), "{name} says: {said}");
    }
}

/// The answer to a request that may be sent again.
async fn send(request: &RequestBuilder) -> reqwest::Result<(StatusCode, HeaderMap, Value)> {
    let answer = request.try_clone().expect("it has no stream").send().await?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    Ok((status, headers, answer.json().await?))
}

/// It says that it waits for the database, and that asking again is of use.
async fn is_refused(request: &RequestBuilder) {
    let (status, headers, problem) = send(request).await.expect("an answer");
    assert_eq!(
        (status.as_u16(), &problem["type"]),
        (503, &json!("/problems/database-unavailable")),
        "{problem}"
    );
    assert_eq!(headers["retry-after"], "1");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("Try again")), "{problem}");
}

/// Sends it again, while that is what it is told to do, until it succeeds.
async fn succeeds(request: &RequestBuilder) -> Value {
    until(LIMIT, "the answer that is due", async || match send(request).await? {
        (StatusCode::SERVICE_UNAVAILABLE, ..) => Ok(None),
        (status, _, answer) if status.is_success() => Ok(Some(answer)),
        (status, _, problem) => anyhow::bail!("{status} {problem}"),
    })
    .await
    .expect("success in the end")
}

#[tokio::test]
async fn without_postgres_requests_are_refused_and_with_it_back_all_goes_on() {
    // One that keeps what it acknowledged, whatever ends it.
    let folder = testing::folder("daybook-services-", &std::env::temp_dir()).expect("a new folder");
    let options = Options {
        data: folder.path().join("postgres"),
        durability: Durability::Durable,
        settings: Vec::new(),
    };
    let mut postgres = Postgres::start(options).await.expect("a Postgres of its own");
    postgres.create_database("daybook").await.expect("a database");
    let world = World::over(postgres.url("daybook")).await;
    world.migrate().await;
    let commands = world.start("command-api", "daybook_command").await;
    let queries = world.start("query-api", "daybook_query").await;
    let projector = world.projector().await;
    let token = ada(&commands).await;
    let made = post(&commands, "/notebooks", &token, &json!({"id": NOTEBOOK, "name": "Lab"})).await;
    let notebook = format!("/notebooks/{NOTEBOOK}");
    read(&queries, &format!("{notebook}?after={}", made["position"]), &token).await;

    let client = Client::new();
    let rename = client.patch(format!("{}/api/v1{notebook}", commands.url)).bearer_auth(&token);
    let look = client.get(format!("{}/api/v1{notebook}", queries.url)).bearer_auth(&token);
    // Ended cleanly it leaves nothing to connect to; killed, a socket that nobody listens on.
    for (name, is_killed) in [("Cellar", false), ("Attic", true)] {
        let rename = rename.try_clone().expect("no stream").header("Idempotency-Key", name);
        let rename = rename.json(&json!({ "name": name }));
        let ended = if is_killed { postgres.kill9().await } else { postgres.stop().await };
        ended.expect("it ran");
        tokio::join!(is_refused(&rename), is_refused(&look));
        for service in [&commands, &queries, &projector] {
            assert_eq!(service.get("/livez").await.expect("an answer").0, 200, "it is not at fault");
            assert_eq!(service.get("/readyz").await.expect("an answer").0, 503);
        }

        postgres.restart().await.expect("it starts again");
        let renamed = succeeds(&rename).await;
        let read = format!("{}/api/v1{notebook}?after={}", queries.url, renamed["position"]);
        let read = client.get(read).bearer_auth(&token);
        assert_eq!(succeeds(&read).await["name"], name);
        for service in [&commands, &queries, &projector] {
            service.ready().await.expect("ready again");
        }
    }
    for service in [commands, queries, projector] {
        assert!(service.stop().await.expect("it was never started again").success());
    }
    postgres.shutdown().await.expect("it ends");
}

/// A collector of traces, and what it is sent.
#[expect(clippy::disallowed_methods, reason = "no API")]
async fn collector() -> (String, mpsc::UnboundedReceiver<Vec<u8>>) {
    let (sender, received) = mpsc::unbounded_channel();
    let take = axum::routing::post(async move |body: Bytes| drop(sender.send(body.to_vec())));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(serve(listener, None, Router::new().route("/v1/traces", take), Shutdown::new()));
    (url, received)
}

#[tokio::test]
async fn a_request_is_traced_as_a_part_of_what_its_client_began() {
    let world = World::new().await;
    world.migrate().await;
    let (url, mut received) = collector().await;
    let mut command = world.command("command-api", "daybook_command");
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", url);
    let commands = Service::start(command).await.expect("it starts");
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let request = Client::new().post(format!("{}/api/v1/auth/login?secret=1", commands.url));
    let request = request.header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"));
    assert_eq!(request.json(&json!({})).send().await.expect("an answer").status(), 422);
    // What is still on its way is sent before the end.
    assert!(commands.stop().await.expect("it ends").success());
    let sent = received.try_recv().expect("a trace");
    let holds = |what: &[u8]| sent.windows(what.len()).any(|window| window == what);
    for what in ["command-api".as_bytes(), b"POST /api/v1/auth/login", &hex::decode(trace).expect("digits")] {
        assert!(
            holds(what),
            "{} is missing in {}",
            String::from_utf8_lossy(what),
            String::from_utf8_lossy(&sent)
        );
    }
    assert!(!holds(b"secret"), "an address may carry a ticket");
}
