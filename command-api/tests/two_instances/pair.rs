//! Two instances on a fresh database, and people who ask either.

use std::sync::Arc;

use axum::Router;
use command_api::accounts::{Accounts, Registration};
use command_api::app::App;
use command_api::service::{self, Running, Setup};
pub(crate) use kit::{Answer, TestRequest, Tokens, id};
use kit::{Level, database, master};
use serde_json::json;
use servers::testing::{self, TestDatabase};
use shared::domain::clock::Clock;
use shared::process::lifecycle::Shutdown;
use sqlx::PgPool;

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
        let database = database(Level::Log).await.expect("a database");
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
        request.send(&self.routers[instance]).await
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

/// An id of a client's own.
pub(crate) fn new_id() -> String {
    Clock::System.new_id().to_string()
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
