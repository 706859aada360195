//! `daybook watch`: prints the frames that a socket receives, one a line.

use std::time::Duration;

use anyhow::{Context, bail};
use futures::{SinkExt, StreamExt};
use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use servers::until::until;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use crate::account::{Account, reason};
use crate::output;

/// How long a server may take until it can be read.
const READABLE_WITHIN: Duration = Duration::from_mins(1);

#[derive(clap::Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    account: Account,
    /// Start after this position instead of now.
    #[arg(long)]
    after: Option<i64>,
}

impl Watch {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let url = self.account.url()?;
        let token = self.account.token(&url).await?;
        let mut hello = json!({"type": "hello", "token": token.expose_secret()});
        if let Some(after) = self.after {
            hello["resume"] = json!({"epoch": epoch(&url, &token).await?, "after": after});
        }
        let mut request = format!("{}/api/v1/live", url.replacen("http", "ws", 1)).into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("daybook.v1"));
        let (mut socket, _) =
            connect_async(request).await.with_context(|| format!("Cannot open a socket at {url}"))?;
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
}

/// The history that positions count in now, from the header of any read: `Position: <epoch>-<n>`. Waits for a server
/// that builds its read tables.
async fn epoch(url: &str, token: &SecretString) -> anyhow::Result<String> {
    let client = reqwest::Client::new();
    let answer = until(READABLE_WITHIN, "becoming readable", async || {
        let me = client.get(format!("{url}/api/v1/me")).bearer_auth(token.expose_secret());
        let answer = me.send().await.with_context(|| format!("No server answers at {url}"))?;
        Ok((answer.status() != StatusCode::SERVICE_UNAVAILABLE).then_some(answer))
    })
    .await?;
    let position = answer.headers().get("position").and_then(|value| value.to_str().ok());
    if let Some((epoch, _)) = position.and_then(|position| position.split_once('-')) {
        return Ok(epoch.to_owned());
    }
    let problem: Value = answer.json().await.unwrap_or_default();
    bail!("The server did not say which epoch it is in: {}", reason(&problem))
}
