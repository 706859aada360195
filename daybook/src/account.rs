//! Commands that are clients of a server: which server, and as which person.

use std::path::PathBuf;

use anyhow::{Context, bail};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::running;

/// Which server to use, and as which person.
#[derive(clap::Args)]
pub(crate) struct Account {
    /// The server's address. Default: the `daybook up` that runs on the data folder.
    #[arg(long, alias = "server", env = "DAYBOOK_URL")]
    url: Option<String>,
    /// The data folder of the server.
    #[arg(long, env = "DAYBOOK_DATA", default_value = ".daybook")]
    data: PathBuf,
    /// An access token from /api/v1/auth/login.
    #[arg(long, env = "DAYBOOK_TOKEN", hide_env_values = true)]
    token: Option<SecretString>,
    /// Log in with this e-mail address or username instead of a token.
    #[arg(long, env = "DAYBOOK_LOGIN", requires = "password")]
    login: Option<String>,
    /// The password to log in with. Prefer the environment variable: other users can see arguments.
    #[arg(long, env = "DAYBOOK_PASSWORD", hide_env_values = true)]
    password: Option<SecretString>,
}

impl Account {
    /// The server's address, without a slash at its end.
    pub(crate) fn url(&self) -> anyhow::Result<String> {
        match &self.url {
            Some(url) => Ok(url.trim_end_matches('/').to_owned()),
            None => Ok(running::read(&self.data)?.url),
        }
    }

    /// An access token: the one that was given, or a new one by logging in.
    pub(crate) async fn token(&self, url: &str) -> anyhow::Result<SecretString> {
        if let Some(token) = &self.token {
            return Ok(token.clone());
        }
        let (Some(login), Some(password)) = (&self.login, &self.password) else {
            bail!(
                "Give --token (DAYBOOK_TOKEN), or --login and --password (DAYBOOK_LOGIN, DAYBOOK_PASSWORD)."
            );
        };
        let body = json!({"login": login, "password": password.expose_secret(), "device": "daybook"});
        let sent = reqwest::Client::new().post(format!("{url}/api/v1/auth/login")).json(&body).send().await;
        let answer: Value = sent.with_context(|| format!("No server answers at {url}"))?.json().await?;
        match answer.get("access_token").and_then(Value::as_str) {
            Some(token) => Ok(token.into()),
            None => bail!("The server refused the login: {}", reason(&answer)),
        }
    }
}

/// Why a request was refused, as far as the answer tells.
pub(crate) fn reason(problem: &Value) -> String {
    let detail = problem.get("detail").and_then(Value::as_str).unwrap_or("it gave no reason");
    let Some(error) = problem.pointer("/errors/0") else { return detail.to_owned() };
    let part = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    format!("{}: {}", part("pointer"), part("detail"))
}
