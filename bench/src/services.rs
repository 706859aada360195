//! All services in this process on one port, as `daybook up` runs them.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use command_api::accounts::{Accounts, Registration};
use command_api::app::App;
use projector::{ShadowBuild, Status};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use servers::nats::{self, Nats};
use servers::postgres::{Durability, Options, Postgres};
use servers::testing;
use shared::domain::clock::Clock;
use shared::domain::id::{SessionId, UserId};
use shared::log::encryption::MasterKey;
use shared::log::keyring::Keyring;
use shared::process::http::serve;
use shared::process::jetstream;
use shared::process::lifecycle::Shutdown;
use shared::process::postgres::{DatabaseRole, options, pool};
use sqlx::{Connection, PgConnection};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use utoipa_axum::router::OpenApiRouter;

/// Everybody's.
const PASSWORD: &str = "correct horse battery";

/// What a measurement has to itself.
pub(crate) struct Own {
    /// Everything runs behind it.
    pub(crate) api: Api,
    /// May do anything in the database.
    pub(crate) owner: PgConnection,
    /// The database.
    pub(crate) url: String,
    pub(crate) master: MasterKey,
    /// The command path, for commands that have no route yet.
    pub(crate) app: App,
    accounts: Accounts,
}

impl Own {
    /// An access token to read with: of a session that nobody opened, and nobody ended.
    pub(crate) fn token(&self, user: UserId) -> String {
        token(&self.accounts, user)
    }
}

/// Measures on durable servers of its own, which are gone afterwards.
pub(crate) async fn on_own_servers<T>(
    folder: &Path,
    measure: impl AsyncFnOnce(&mut Own) -> Result<T>,
) -> Result<T> {
    let folder = testing::folder("daybook-bench-", folder)?;
    let data = folder.path().join("postgres");
    let options = Options { data, durability: Durability::Durable, settings: Vec::new() };
    let postgres = Postgres::start(options).await?;
    let mut nats = Nats::start(nats::Options { store: folder.path().join("nats"), port: None }).await?;
    let result = on_servers(&postgres, &nats.url(), measure).await;
    nats.stop().await?;
    postgres.shutdown().await?;
    result
}

async fn on_servers<T>(
    postgres: &Postgres,
    nats: &str,
    measure: impl AsyncFnOnce(&mut Own) -> Result<T>,
) -> Result<T> {
    let master = kit::master();
    postgres.create_database("measured").await?;
    let url = postgres.url("measured");
    shared::process::migrate::migrate(&url, &master).await?;
    let nats = jetstream::connect(nats, "bench").await?;
    let services = Services::start(&url, &master, Some(&nats)).await?;
    let owner = PgConnection::connect(&url).await?;
    let accounts = services.accounts.clone();
    let app = services.commands.app.clone();
    let mut own = Own { api: services.api(), owner, url, master, app, accounts };
    let measured = measure(&mut own).await;
    own.owner.close().await?;
    services.stop().await;
    measured
}

/// Builds the read tables again beside the live ones of `schema`.
pub(crate) fn shadow_build(url: &str, master: &MasterKey, schema: &str) -> Result<ShadowBuild> {
    Ok(ShadowBuild {
        connect: options(url, DatabaseRole::Projector, None)?,
        schema: schema.to_owned(),
        keyring: Keyring::new(master.clone(), pool(url, DatabaseRole::Projector, None, 2)?),
        status: watch::Sender::new(Status::default()),
    })
}

/// A Daybook whose read tables are built.
pub(crate) struct Services {
    accounts: Accounts,
    commands: command_api::service::Running,
    projector: projector::service::Running,
    serving: JoinHandle<()>,
    shutdown: Shutdown,
    api: Api,
}

/// Where requests go.
#[derive(Clone)]
pub(crate) struct Api {
    client: Client,
    url: String,
}

impl Services {
    /// Starts them; without NATS they follow the log by asking for its end from time to time.
    pub(crate) async fn start(
        url: &str,
        master: &MasterKey,
        nats: Option<&jetstream::Client>,
    ) -> Result<Self> {
        let shutdown = Shutdown::new();
        let setup = command_api::service::Setup {
            database_url: url.to_owned(),
            nats: nats.cloned(),
            master: master.clone(),
            clock: Clock::System,
            throwaway: false,
        };
        let commands = command_api::service::start(setup, &shutdown).await?;
        let setup = projector::service::Setup {
            database_url: url.to_owned(),
            nats: nats.cloned(),
            master: master.clone(),
            command_path: commands.app.clone(),
        };
        let mut projector = projector::service::start(setup, &shutdown)?;
        projector.status.wait_for(projector::Status::is_ready).await?;
        let setup = query_api::service::Setup {
            database_url: url.to_owned(),
            nats: nats.cloned(),
            master: master.clone(),
            clock: Clock::System,
            verifier: commands.app.verifier.clone(),
            keys: commands.app.keys.clone(),
            live: query_api::live::Settings::default(),
        };
        let queries = query_api::service::start(setup, &shutdown)?;
        let mut marks = queries.app.watermark.subscribe();
        marks.wait_for(|mark| !mark.epoch.is_empty() && mark.position == mark.head).await?;
        let accounts = Accounts::new(commands.app.clone(), Registration::Open);
        let routes = command_api::routes()
            .with_state(commands.app.clone())
            .merge(command_api::accounts::routes().with_state(accounts.clone()))
            .merge(query_api::routes().with_state(queries.app));
        let routes = OpenApiRouter::new().nest("/api/v1", routes).split_for_parts().0;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let api = Api { client: Client::new(), url: format!("http://{}/api/v1", listener.local_addr()?) };
        let serving = tokio::spawn(serve(listener, None, routes, shutdown.clone()));
        Ok(Self { accounts, commands, projector, serving, shutdown, api })
    }

    pub(crate) fn api(&self) -> Api {
        self.api.clone()
    }

    /// An access token to read with: of a session that nobody opened, and nobody ended.
    pub(crate) fn token(&self, user: UserId) -> String {
        token(&self.accounts, user)
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        // A task that panicked has said so already.
        _ = self.serving.await;
        self.commands.stop().await;
        self.projector.stopped().await;
    }
}

fn token(accounts: &Accounts, user: UserId) -> String {
    accounts.issuer.issue(user, SessionId(Clock::System.new_id())).0
}

impl Api {
    /// The answer to a read.
    pub(crate) async fn get(&self, path: &str, token: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.text(path, token).await?)?)
    }

    /// The same as it came.
    pub(crate) async fn text(&self, path: &str, token: &str) -> Result<String> {
        text(self.to(Method::GET, path).bearer_auth(token)).await
    }

    /// Sends a command that has to be accepted.
    pub(crate) async fn command(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: &Value,
    ) -> Result<Value> {
        send(self.to(method, path).bearer_auth(token).json(body)).await
    }

    /// Sends a command that may be refused; its status and answer.
    pub(crate) async fn try_command(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: &Value,
    ) -> Result<(StatusCode, String)> {
        let answer = self.to(method, path).bearer_auth(token).json(body).send().await?;
        Ok((answer.status(), answer.text().await?))
    }

    /// Makes an account of that name.
    pub(crate) async fn register(&self, name: &str) -> Result<()> {
        let email = format!("{name}@example.org");
        let account = json!({"email": email, "password": PASSWORD, "username": name});
        send(self.to(Method::POST, "/auth/register").json(&account)).await?;
        Ok(())
    }

    /// An access token of that person's.
    pub(crate) async fn login(&self, name: &str) -> Result<String> {
        let login = json!({"login": name, "password": PASSWORD});
        let tokens = send(self.to(Method::POST, "/auth/login").json(&login)).await?;
        Ok(tokens["access_token"].as_str().context("a login gives a token")?.to_owned())
    }

    fn to(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }
}

async fn send(request: RequestBuilder) -> Result<Value> {
    Ok(serde_json::from_str(&text(request).await?)?)
}

async fn text(request: RequestBuilder) -> Result<String> {
    let answer = request.send().await?;
    let (status, text) = (answer.status(), answer.text().await?);
    ensure!(status.is_success(), "{status} {text}");
    Ok(text)
}
