//! All services in this process on one port, as `daybook up` runs them, but without NATS.

use anyhow::{Context, Result, ensure};
use command_api::users::Registration;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::http::serve;
use shared::id::{SessionId, UserId};
use shared::lifecycle::Shutdown;
use shared::seal::MasterKey;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use utoipa_axum::router::OpenApiRouter;

/// A Daybook whose read tables are built.
pub(super) struct Services {
    commands: command_api::service::Running,
    projector: projector::service::Running,
    serving: JoinHandle<()>,
    shutdown: Shutdown,
    api: Api,
}

/// Where requests go.
#[derive(Clone)]
pub(super) struct Api {
    client: Client,
    url: String,
}

impl Services {
    pub(super) async fn start(url: &str, master: &MasterKey) -> Result<Self> {
        let shutdown = Shutdown::new();
        let setup = command_api::service::Setup {
            database_url: url.to_owned(),
            nats: None,
            master: master.clone(),
            clock: Clock::System,
            registration: Registration::Open,
            throwaway: false,
        };
        let commands = command_api::service::start(setup, &shutdown).await?;
        let setup = projector::service::Setup {
            database_url: url.to_owned(),
            nats: None,
            master: master.clone(),
            door: commands.app.clone(),
        };
        let mut projector = projector::service::start(setup, &shutdown)?;
        projector.status.wait_for(projector::Status::is_ready).await?;
        let setup = query_api::service::Setup {
            database_url: url.to_owned(),
            nats: None,
            master: master.clone(),
            clock: Clock::System,
            verifier: commands.app.verifier.clone(),
            keys: commands.app.keys.clone(),
            live: query_api::live::Settings::default(),
        };
        let queries = query_api::service::start(setup, &shutdown)?;
        let mut marks = queries.app.watermark.subscribe();
        marks.wait_for(|mark| mark.head > 0 && mark.position == mark.head).await?;
        let routes = command_api::routes()
            .with_state(commands.app.clone())
            .merge(query_api::routes().with_state(queries.app));
        let routes = OpenApiRouter::new().nest("/api/v1", routes).split_for_parts().0;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let api = Api { client: Client::new(), url: format!("http://{}/api/v1", listener.local_addr()?) };
        let serving = tokio::spawn(serve(listener, None, routes, shutdown.clone()));
        Ok(Self { commands, projector, serving, shutdown, api })
    }

    pub(super) fn api(&self) -> Api {
        self.api.clone()
    }

    /// An access token to read with: of a session that nobody opened, and nobody ended.
    pub(super) fn token(&self, user: UserId) -> String {
        self.commands.app.issuer.issue(user, SessionId(Clock::System.new_id())).0
    }

    pub(super) async fn stop(self) {
        self.shutdown.cancel();
        // A task that panicked has said so already.
        _ = self.serving.await;
        self.commands.stop().await;
        self.projector.stopped().await;
    }
}

impl Api {
    /// The answer to a read.
    pub(super) async fn get(&self, path: &str, token: &str) -> Result<Value> {
        send(self.to(Method::GET, path).bearer_auth(token)).await
    }

    /// Sends a command that has to be accepted.
    pub(super) async fn command(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: &Value,
    ) -> Result<Value> {
        send(self.to(method, path).bearer_auth(token).json(body)).await
    }

    /// A new person's access token.
    pub(super) async fn register(&self) -> Result<String> {
        let (email, password) = ("writer@example.org", "correct horse battery");
        let account = json!({"email": email, "password": password, "username": "writer"});
        send(self.to(Method::POST, "/auth/register").json(&account)).await?;
        let login = json!({"login": email, "password": password});
        let tokens = send(self.to(Method::POST, "/auth/login").json(&login)).await?;
        Ok(tokens["access_token"].as_str().context("a login gives a token")?.to_owned())
    }

    fn to(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }
}

async fn send(request: RequestBuilder) -> Result<Value> {
    let answer = request.send().await?;
    let (status, text) = (answer.status(), answer.text().await?);
    ensure!(status.is_success(), "{status} {text}");
    Ok(serde_json::from_str(&text)?)
}
