//! A `daybook up` with servers of its own, on a data folder that outlives it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use e2e::{LIMIT, PASSWORD, executable};
use kit::Scribe;
use reqwest::Method;
use serde_json::{Value, json};
use servers::leash::send;
use shared::log::encryption::MasterKey;

/// A Daybook with its own Postgres (fsync on) and NATS.
pub(crate) struct Program {
    child: Child,
    url: String,
    pub(crate) database_url: String,
    client: reqwest::Client,
    log: tempfile::NamedTempFile,
}

impl Drop for Program {
    /// A test that fails must not leave it running, and shows what it said.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.log.path()).unwrap_or_default();
            eprintln!("{} said:\n{log}", program().display());
        }
        // Ended already is as good.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Adds to the log of a Daybook behind its back.
pub(crate) fn scribe(data: &Path) -> Scribe {
    let master = std::fs::read_to_string(data.join("master.key")).expect("the program has made one");
    Scribe::new(MasterKey::from_hex(&master).expect("64 digits"))
}

/// The program; `./dev test` builds it first.
pub(crate) fn program() -> PathBuf {
    executable("daybook").expect("built")
}

/// Runs a command of the program to its end.
pub(crate) async fn run(words: &[&str], data: &Path) -> Output {
    let mut command = tokio::process::Command::new(program());
    command.args(words).arg("--data").arg(data).kill_on_drop(true).output().await.expect("it runs")
}

/// What `daybook events` prints.
pub(crate) async fn printed(data: &Path) -> Vec<Value> {
    let printed = String::from_utf8(run(&["events"], data).await.stdout).expect("text");
    printed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

impl Program {
    pub(crate) async fn start(data: &Path) -> Self {
        // A killed one could not take its word back.
        _ = std::fs::remove_file(data.join("running.json"));
        let log = tempfile::NamedTempFile::new().expect("a file");
        let child = Command::new(program())
            .args(["up", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.reopen().expect("it is there"))
            .spawn()
            .expect("it runs");
        let (url, database_url, client) = (String::new(), String::new(), reqwest::Client::new());
        let mut daybook = Self { child, url, database_url, client, log };
        let word = until(|| async { std::fs::read(data.join("running.json")).ok() }).await;
        let word: Value = serde_json::from_slice(&word).expect("JSON");
        let text = |name: &str| word[name].as_str().expect("a text").to_owned();
        (daybook.url, daybook.database_url) = (text("url"), text("database_url"));
        until(|| daybook.is_ready()).await;
        daybook
    }

    /// kill -9.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it was running");
        self.child.wait().expect("it was ours");
    }

    /// SIGTERM, and how it ended.
    pub(crate) fn stop(mut self) -> ExitStatus {
        send("TERM", &self.child.id().to_string()).expect("it runs");
        self.child.wait().expect("it was ours")
    }

    pub(crate) async fn register(&self, email: &str) {
        let body = json!({"email": email, "password": PASSWORD});
        self.accepted(self.client.post(self.address("/auth/register")).json(&body)).await;
    }

    pub(crate) async fn login(&self, login: &str) -> String {
        let body = json!({"login": login, "password": PASSWORD});
        let tokens = self.accepted(self.client.post(self.address("/auth/login")).json(&body)).await;
        tokens["access_token"].as_str().expect("a token").to_owned()
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: &Value) -> Value {
        self.accepted(self.client.post(self.address(path)).bearer_auth(token).json(body)).await
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Value {
        self.accepted(self.client.get(self.address(path)).bearer_auth(token)).await
    }

    /// The `Position` header of a change.
    pub(crate) async fn patch(&self, path: &str, token: &str, body: &Value) -> String {
        let request = self.client.patch(self.address(path)).bearer_auth(token).json(body);
        let answer = request.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.status());
        answer.headers()["position"].to_str().expect("text").to_owned()
    }

    /// A request that may be refused.
    pub(crate) async fn send(&self, method: Method, path: &str, token: &str, body: &Value) -> (u16, String) {
        let request = self.client.request(method, self.address(path)).bearer_auth(token).json(body);
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a body"))
    }

    pub(crate) async fn text(&self, path: &str, token: &str) -> String {
        let (status, text) = self.send(Method::GET, path, token, &Value::Null).await;
        assert_eq!(status, 200, "{text}");
        text
    }

    pub(crate) async fn status(&self, path: &str, token: &str) -> u16 {
        let answer = self.client.get(self.address(path)).bearer_auth(token).send().await.expect("an answer");
        answer.status().as_u16()
    }

    pub(crate) async fn metrics(&self) -> String {
        let answer = self.client.get(format!("{}/metrics", self.url)).send().await.expect("an answer");
        answer.text().await.expect("a body")
    }

    pub(crate) async fn is_ready(&self) -> Option<()> {
        let answer = self.client.get(format!("{}/readyz", self.url)).send().await.ok()?;
        answer.status().is_success().then_some(())
    }

    async fn accepted(&self, request: reqwest::RequestBuilder) -> Value {
        let answer = request.send().await.expect("an answer");
        let (status, text) = (answer.status(), answer.text().await.expect("a body"));
        assert!(status.is_success(), "{status} {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    fn address(&self, path: &str) -> String {
        format!("{}/api/v1{path}", self.url)
    }
}

/// Looks again until there is something, within the limit.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(look: impl Fn() -> F) -> T {
    kit::until(LIMIT, "what a test waits for", async || look().await).await
}
