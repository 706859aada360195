//! End-to-end tests of a whole Daybook: the program itself, over a database and a NATS of its own.
//!
//! `./dev test` builds the programs first; with plain cargo, `cargo build --workspace --bins` does.

pub mod chance;
pub mod chaos;
pub mod service;
mod watch;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use kit::{Level, database, master, master_digits};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use servers::nats::Nats;
use servers::testing::{self, TestDatabase};
use servers::until::until;
use shared::log::server_keys::ServerKeys;
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;
use tokio::process::{Child, Command};

pub use watch::Watch;

/// The password of everybody here.
pub const PASSWORD: &str = "correct horse battery";

/// How long something that must come may take on a busy machine; only a hang takes so long.
pub const LIMIT: Duration = Duration::from_mins(5);

/// A Daybook that runs until this is dropped.
#[derive(Debug)]
pub struct Daybook {
    /// Where it listens, such as `http://127.0.0.1:4321`.
    pub url: String,
    /// Sends requests.
    pub client: Client,
    data: TempDir,
    // Dropped in this order: the program, then what it works with.
    _program: Child,
    _nats: Nats,
    database: TestDatabase,
}

/// Somebody with an account who is logged in.
#[derive(Clone, Debug)]
pub struct Person {
    /// What they log in with.
    pub email: String,
    /// Who they are.
    pub id: String,
    /// Their access token.
    pub access_token: String,
    /// Their refresh token.
    pub refresh_token: String,
    /// Their session.
    pub session_id: String,
}

impl Daybook {
    /// Starts the program over an empty database.
    pub async fn start() -> Result<Self> {
        let database = database(Level::Log).await?;
        let nats = testing::nats().await?;
        let data = tempfile::Builder::new().prefix("daybook-e2e-").tempdir_in("/tmp")?;
        let mut program = program(data.path(), &database.url, &nats.url())?;
        let url = address(data.path(), &mut program).await?;
        Ok(Self { url, client: Client::new(), data, _program: program, _nats: nats, database })
    }

    /// A request to an address such as `/api/v1/me`.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// Makes an account and logs in with it.
    pub async fn person(&self, name: &str) -> Result<Person> {
        let email = format!("{name}@example.org");
        let account = json!({"email": email, "password": PASSWORD, "username": name});
        let made = self.request(Method::POST, "/api/v1/auth/register").json(&account).send().await?;
        ensure!(made.status() == 201, "registering answers {}: {}", made.status(), made.text().await?);
        let login = json!({"login": email, "password": PASSWORD});
        let answer = self.request(Method::POST, "/api/v1/auth/login").json(&login).send().await?;
        ensure!(answer.status() == 200, "logging in answers {}: {}", answer.status(), answer.text().await?);
        let tokens: Value = answer.json().await?;
        let text = |name: &str| tokens[name].as_str().map(str::to_owned).context("an incomplete answer");
        Ok(Person {
            email,
            id: text("user_id")?,
            access_token: text("access_token")?,
            refresh_token: text("refresh_token")?,
            session_id: text("session_id")?,
        })
    }

    /// Sends a command that must be accepted, and gives the id of what it made or changed.
    pub async fn accepted(&self, who: &Person, method: Method, path: &str, body: &Value) -> Result<String> {
        let request = self.request(method, path).bearer_auth(&who.access_token);
        let answer = request.json(body).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "{path} answers {status}: {text}");
        let accepted: Value = serde_json::from_str(&text)?;
        Ok(accepted["id"].as_str().context("an answer without an id")?.to_owned())
    }

    /// How many events of persons the log holds: those of policies come when they come.
    pub async fn events(&self) -> Result<i64> {
        self.count("select count(*) from es.event where metadata ->> 'actor' not like 'policy:%'").await
    }

    /// The last position of the log.
    pub async fn head(&self) -> Result<i64> {
        self.count("select max(position) from es.event").await
    }

    async fn count(&self, query: &'static str) -> Result<i64> {
        let mut connection = PgConnection::connect(&self.database.url).await?;
        let count = sqlx::query_scalar(query).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(count)
    }

    /// The server's own keys, for forging what only it can make.
    pub async fn keys(&self) -> Result<ServerKeys> {
        let mut connection = PgConnection::connect(&self.database.url).await?;
        let keys = ServerKeys::load(&mut connection, &master()).await?;
        connection.close().await?;
        Ok(keys)
    }

    /// What the program has logged.
    pub fn log(&self) -> String {
        logged(self.data.path())
    }
}

fn logged(data: &Path) -> String {
    std::fs::read_to_string(data.join("log")).unwrap_or_default()
}

/// A program of the workspace, which stands beside this one, or beside the folder of the test executables.
pub fn executable(name: &str) -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let mut folders = this.ancestors().skip(1).take(2);
    let found = folders.find_map(|folder| Some(folder.join(name)).filter(|program| program.is_file()));
    found.with_context(|| format!("{name} is not there; build it first: cargo build -p {name}"))
}

/// Runs a command of `daybook` over a database to its end; fails with what it says if it is not content.
pub async fn operate(command: &str, database_url: &str) -> Result<()> {
    let data = TempDir::new()?;
    let running = Command::new(executable("daybook")?)
        .args([command, "--data"])
        .arg(data.path())
        .env("DATABASE_URL", database_url)
        .env("DAYBOOK_MASTER_KEY", master_digits())
        .kill_on_drop(true)
        .output();
    let ended = running.await?;
    let said = [ended.stdout, ended.stderr].concat();
    ensure!(ended.status.success(), "daybook {command}: {} {}", ended.status, String::from_utf8_lossy(&said));
    Ok(())
}

/// Migrates a database by the program itself, as an operator does it; then the services' roles may log in.
pub async fn migrate(database_url: &str) -> Result<()> {
    operate("migrate", database_url).await?;
    let mut owner = PgConnection::connect(database_url).await?;
    for role in ["daybook_command", "daybook_projector", "daybook_query"] {
        owner.execute(format!("alter role {role} login").as_str()).await?;
    }
    Ok(owner.close().await?)
}

fn program(data: &Path, database_url: &str, nats_url: &str) -> Result<Child> {
    let mut command = service::command("daybook", database_url, nats_url)?;
    command.args(["--registration", "open", "--data"]).arg(data).env("DAYBOOK_LOG", "warn");
    Ok(command.stderr(File::create(data.join("log"))?).spawn()?)
}

/// The program leaves word in its data folder once it listens.
async fn address(data: &Path, program: &mut Child) -> Result<String> {
    let url = until(LIMIT, "starting daybook", async || {
        if let Ok(text) = std::fs::read(data.join("running.json")) {
            let running: Value = serde_json::from_slice(&text)?;
            return Ok(Some(running["url"].as_str().context("no address")?.to_owned()));
        }
        if let Some(status) = program.try_wait()? {
            bail!("it ended: {status}");
        }
        Ok(None)
    });
    url.await.with_context(|| format!("daybook says: {}", logged(data)))
}
