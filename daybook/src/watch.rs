//! `daybook watch`: prints what a socket receives, a frame a line.

use anyhow::{Context, bail};
use futures::{SinkExt, StreamExt};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::path::PathBuf;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use crate::{output, running};

#[derive(clap::Args)]
pub(crate) struct Watch {
    /// The server; by default the one that runs on the data folder.
    #[arg(long, env = "DAYBOOK_URL")]
    url: Option<String>,
    /// The data folder of the server.
    #[arg(long, env = "DAYBOOK_DATA", default_value = ".daybook")]
    data: PathBuf,
    /// An access token, as /api/v1/auth/login gives it.
    #[arg(long, env = "DAYBOOK_TOKEN", hide_env_values = true)]
    token: Option<SecretString>,
    /// Log in with this e-mail address or username instead.
    #[arg(long, env = "DAYBOOK_LOGIN", requires = "password")]
    login: Option<String>,
    /// The password to log in with; better by the environment than as an argument.
    #[arg(long, env = "DAYBOOK_PASSWORD", hide_env_values = true)]
    password: Option<SecretString>,
    /// Begin with what happened after this position, instead of now.
    #[arg(long)]
    after: Option<i64>,
}

impl Watch {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let url = match &self.url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => running::read(&self.data)?.url,
        };
        let token = self.token(&url).await?;
        let mut request = format!("{}/api/v1/live", url.replacen("http", "ws", 1)).into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("daybook.v1"));
        let (mut socket, _) =
            connect_async(request).await.with_context(|| format!("No socket opens at {url}"))?;
        let mut hello = json!({"type": "hello", "token": token.expose_secret()});
        if let Some(after) = self.after {
            hello["resume"] = json!({"epoch": epoch(&url, &token).await?, "after": after});
        }
        socket.send(Message::text(hello.to_string())).await?;
        while let Some(frame) = socket.next().await {
            match frame? {
                Message::Text(text) => output::line(&text),
                Message::Close(Some(why)) => {
                    bail!("The server closed the socket: {} {}", why.code, why.reason)
                }
                Message::Close(None) => bail!("The server closed the socket."),
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => (),
            }
        }
        bail!("The connection ended.")
    }

    async fn token(&self, url: &str) -> anyhow::Result<SecretString> {
        if let Some(token) = &self.token {
            return Ok(token.clone());
        }
        let (Some(login), Some(password)) = (&self.login, &self.password) else {
            bail!(
                "Say who watches: --token (DAYBOOK_TOKEN), or --login and --password (DAYBOOK_LOGIN, DAYBOOK_PASSWORD)."
            );
        };
        let body = json!({"login": login, "password": password.expose_secret(), "device": "daybook watch"});
        let sent = reqwest::Client::new().post(format!("{url}/api/v1/auth/login")).json(&body).send().await;
        let answer: Value = sent.with_context(|| format!("Nobody answers at {url}"))?.json().await?;
        match answer.get("access_token").and_then(Value::as_str) {
            Some(token) => Ok(token.into()),
            None => bail!("The server did not let you in: {}", reason(&answer)),
        }
    }
}

/// The history that positions count in now, from the header of any read: `Position: <epoch>-<n>`.
async fn epoch(url: &str, token: &SecretString) -> anyhow::Result<String> {
    let answer = reqwest::Client::new()
        .get(format!("{url}/api/v1/me"))
        .bearer_auth(token.expose_secret())
        .send()
        .await?;
    let position = answer.headers().get("position").and_then(|value| value.to_str().ok());
    if let Some((epoch, _)) = position.and_then(|position| position.split_once('-')) {
        return Ok(epoch.to_owned());
    }
    let problem: Value = answer.json().await.unwrap_or_default();
    bail!("The server did not say which history it is in: {}", reason(&problem))
}

/// Why a request was refused, as far as the answer tells.
fn reason(problem: &Value) -> &str {
    problem.get("detail").and_then(Value::as_str).unwrap_or("it did not say why")
}
