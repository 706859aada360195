//! Two instances on a fresh database, and people who ask either.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderName, Method, Request, header};
use command_api::accounts::{Accounts, Registration};
use command_api::app::App;
use command_api::service::{self, Running, Setup};
use serde_json::{Value, json};
use servers::testing::{self, TestDatabase};
use shared::clock::Clock;
use shared::encryption::MasterKey;
use shared::lifecycle::Shutdown;
use sqlx::PgPool;
use tower::ServiceExt;

const PASSWORD: &str = "correct horse";

/// Two instances on one database.
#[derive(Clone)]
pub(crate) struct Pair(Arc<Inside>);

pub(crate) struct Inside {
    /// Reads the log past all instances.
    pub(crate) owner: PgPool,
    routers: [Router; 2],
    running: [Running; 2],
    shutdown: Shutdown,
    _database: TestDatabase,
}

/// What a login gave.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) user: String,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct TestRequest {
    method: Method,
    path: String,
    body: Option<Value>,
    token: Option<String>,
    key: Option<String>,
    headers: Vec<(HeaderName, String)>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) etag: Option<String>,
    pub(crate) body: Value,
}

impl std::ops::Deref for Pair {
    type Target = Inside;

    fn deref(&self) -> &Inside {
        &self.0
    }
}

impl Pair {
    pub(crate) async fn start() -> Self {
        Self::by([Clock::System; 2]).await
    }

    /// The same, each with a clock of its own.
    pub(crate) async fn by(clocks: [Clock; 2]) -> Self {
        testing::will_count_statements();
        let template = format!("es_{}", shared::migrate::fingerprint());
        let database =
            testing::database(&template, async |url| shared::migrate::migrate(&url, &master()).await)
                .await
                .expect("a database");
        let shutdown = Shutdown::new();
        let one = instance(&database.url, clocks[0], &shutdown).await;
        let two = instance(&database.url, clocks[1], &shutdown).await;
        let owner = PgPool::connect(&database.url).await.expect("the owner may always connect");
        let routers = [router(one.app.clone()), router(two.app.clone())];
        Self(Arc::new(Inside { owner, routers, running: [one, two], shutdown, _database: database }))
    }

    pub(crate) async fn stop(self) {
        let inside = Arc::into_inner(self.0).expect("nobody else requests any more");
        inside.shutdown.cancel();
        for running in inside.running {
            running.stop().await;
        }
        inside.owner.close().await;
    }

    pub(crate) fn app(&self, instance: usize) -> &App {
        &self.running[instance].app
    }

    pub(crate) async fn send(&self, instance: usize, request: TestRequest) -> Answer {
        let response = self.routers[instance].clone().oneshot(request.request()).await.expect("infallible");
        let status = response.status().as_u16();
        let etag = response.headers().get(header::ETAG);
        let etag = etag.map(|tag| tag.to_str().expect("text").to_owned());
        let bytes = to_bytes(response.into_body(), usize::MAX).await.expect("a whole body");
        Answer { status, etag, body: serde_json::from_slice(&bytes).unwrap_or_default() }
    }

    /// Makes an account on one instance and logs in on the other.
    pub(crate) async fn person(&self, name: &str) -> Tokens {
        let body = json!({"email": format!("{name}@example.org"), "username": name, "password": PASSWORD});
        let made = self.send(0, TestRequest::post("/auth/register", &body)).await;
        assert_eq!(made.status, 201, "{made:?}");
        self.login(1, name).await
    }

    pub(crate) async fn login(&self, instance: usize, name: &str) -> Tokens {
        let body = json!({"login": name, "password": PASSWORD});
        let answer = self.send(instance, TestRequest::post("/auth/login", &body)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        Tokens::from(&answer.body)
    }

    pub(crate) async fn notebook(&self, by: &Tokens, name: &str) -> String {
        let made = self.send(0, TestRequest::post("/notebooks", &json!({"name": name})).by(by)).await;
        assert_eq!(made.status, 201, "{made:?}");
        id(&made.body)
    }

    pub(crate) async fn note(&self, by: &Tokens, notebook: &str) -> String {
        let body = json!({"notebook_id": notebook, "title": "Plans"});
        let made = self.send(0, TestRequest::post("/notes", &body).by(by)).await;
        assert_eq!(made.status, 201, "{made:?}");
        id(&made.body)
    }

    /// How many events there are.
    pub(crate) async fn events(&self) -> i64 {
        sqlx::query_scalar("select count(*) from es.event").fetch_one(&self.owner).await.expect("a count")
    }
}

impl TestRequest {
    pub(crate) fn post(path: &str, body: &Value) -> Self {
        Self::new(Method::POST, path, Some(body.clone()))
    }

    pub(crate) fn patch(path: &str, body: &Value) -> Self {
        Self::new(Method::PATCH, path, Some(body.clone()))
    }

    pub(crate) fn delete(path: &str) -> Self {
        Self::new(Method::DELETE, path, None)
    }

    pub(crate) fn logout() -> Self {
        Self::new(Method::POST, "/auth/logout", None)
    }

    fn new(method: Method, path: &str, body: Option<Value>) -> Self {
        Self { method, path: path.to_owned(), body, token: None, key: None, headers: Vec::new() }
    }

    pub(crate) fn by(self, tokens: &Tokens) -> Self {
        Self { token: Some(tokens.access.clone()), ..self }
    }

    pub(crate) fn key(self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self }
    }

    pub(crate) fn if_match(self, version: i64) -> Self {
        self.header(header::IF_MATCH, &format!("\"{version}\""))
    }

    /// One more line of a header.
    pub(crate) fn header(mut self, name: HeaderName, line: &str) -> Self {
        self.headers.push((name, line.to_owned()));
        self
    }

    fn request(self) -> Request<Body> {
        let mut request = Request::builder().method(self.method).uri(self.path);
        if let Some(token) = self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(key) = self.key {
            request = request.header("idempotency-key", key);
        }
        for (name, line) in self.headers {
            request = request.header(name, line);
        }
        let body = self.body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        request.header(header::CONTENT_TYPE, "application/json").body(body).expect("a good request")
    }
}

impl Answer {
    pub(crate) fn number(&self, field: &str) -> i64 {
        self.body[field].as_i64().unwrap_or_else(|| panic!("no {field} in {self:?}"))
    }

    /// The version of a thing that was changed, or stayed as it was.
    pub(crate) fn version(&self) -> i64 {
        assert_eq!(self.status, 200, "{self:?}");
        self.number("version")
    }

    pub(crate) fn is_refused(&self, status: u16, slug: &str) {
        let kind = format!("/problems/{slug}");
        assert!(self.status == status && self.body["type"] == kind, "{status} {slug}, not {self:?}");
    }
}

impl From<&Value> for Tokens {
    fn from(body: &Value) -> Self {
        let text = |field: &str| body[field].as_str().expect("a login has it").to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token"), user: text("user_id") }
    }
}

/// The id that an answer names.
pub(crate) fn id(body: &Value) -> String {
    body["id"].as_str().expect("an id").to_owned()
}

/// An id of a client's own.
pub(crate) fn new_id() -> String {
    Clock::System.new_id().to_string()
}

fn master() -> MasterKey {
    MasterKey::from_hex(&"07".repeat(32)).expect("64 digits")
}

async fn instance(url: &str, clock: Clock, shutdown: &Shutdown) -> Running {
    let setup = Setup { database_url: url.to_owned(), nats: None, master: master(), clock, throwaway: true };
    service::start(setup, shutdown).await.expect("it starts")
}

fn router(app: App) -> Router {
    let accounts = Accounts::new(app.clone(), Registration::Open);
    let accounts = command_api::accounts::routes().with_state::<()>(accounts);
    let (router, _) = command_api::routes().with_state(app).merge(accounts).split_for_parts();
    router
}
