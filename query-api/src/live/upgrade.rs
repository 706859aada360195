//! From an HTTP request to a socket, with everything that can be refused before there is one.

use std::sync::Arc;

use axum::extract::ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection};
use axum::extract::{RawQuery, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use shared::process::http::Origins;
use shared::process::problem::{Problem, ProblemType};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::frames::{FRAME_BYTES, PROTOCOL};
use super::{Live, connection, tickets};

/// Buffers of a socket, in bytes. The library's own defaults cost 134 KiB per idle socket.
const BUFFER: usize = 4 * 1024;

/// Open a WebSocket.
///
/// One for each client, for everything it may see. It carries JSON text frames; the subprotocol is `daybook.v1`. The first
/// frame is `hello`. docs/live.md describes all frames.
#[utoipa::path(
    get,
    path = "/live",
    tag = "live",
    params(("ticket" = Option<String>, Query, description = "From POST /api/v1/live/tickets. Without it, hello carries a token")),
    responses(
        (status = 101, description = "The connection is a WebSocket from now on."),
        (status = 400, description = "The request does not open a WebSocket, or a parameter is unknown."),
        (status = 401, description = "The ticket was used before, is too old, or was never given."),
        (status = 403, description = "Pages of this origin may not open sockets.")
    )
)]
pub(super) async fn open(
    State(live): State<Live>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let ticket = ticket(query.as_deref().unwrap_or_default())?;
    let upgrade = upgrade.map_err(|_| {
        Problem::new(
            ProblemType::WebsocketExpected,
            "This address is a WebSocket. Open it with a WebSocket client.",
        )
    })?;
    check_origin(&headers, &live.settings.origins)?;
    let upgrade = negotiate(upgrade)?;
    if live.hub.position().0.is_empty() || live.shutdown.is_cancelled() {
        return Err(Problem::passing(
            ProblemType::LiveNotReady,
            "The server is not ready for sockets yet. Try again.",
            1,
        ));
    }
    let permit = SocketPermit::take(&live, ticket.is_none())?;
    let caller = match ticket {
        Some(ticket) => Some(tickets::redeem(&live, &ticket).await?),
        None => None,
    };
    let upgrade = upgrade
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_message_size(FRAME_BYTES)
        .max_frame_size(FRAME_BYTES);
    Ok(upgrade.on_upgrade(move |socket| {
        let open = live.open.clone();
        open.track_future(connection::serve(live, socket, caller, permit))
    }))
}

/// What a socket takes up while it is open.
pub(super) struct SocketPermit {
    _permit: OwnedSemaphorePermit,
    /// Held until its person is known.
    stranger: Option<OwnedSemaphorePermit>,
}

impl SocketPermit {
    /// With a ticket the person is known before there is a socket, so it does not count as a stranger.
    fn take(live: &Live, stranger: bool) -> Result<Self, Problem> {
        let take = |places: &Arc<Semaphore>| {
            Arc::clone(places).try_acquire_owned().map_err(|_| {
                let detail =
                    "This server has as many open sockets as it accepts. Try again later, or read over REST.";
                Problem::passing(ProblemType::TooManySockets, detail, 10)
            })
        };
        let permit = take(&live.permits)?;
        let stranger = if stranger { Some(take(&live.strangers)?) } else { None };
        Ok(Self { _permit: permit, stranger })
    }

    /// The person of the socket is now known.
    pub(super) fn known(&mut self) {
        self.stranger = None;
    }
}

/// Addresses end up in logs and histories, so they must not contain a token.
fn ticket(query: &str) -> Result<Option<String>, Problem> {
    let mut ticket = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            // Tickets are base64url, so nothing in one is ever escaped.
            Some(("ticket", value)) if ticket.is_none() => ticket = Some(value.to_owned()),
            Some(("token" | "access_token" | "authorization" | "jwt", _)) => {
                let detail =
                    "An access token must not be part of an address. Send it in hello, or use a ticket.";
                return Err(Problem::new(ProblemType::TokenInUrl, detail));
            }
            Some(_) | None => {
                let detail = "The only parameter is ticket, at most once.";
                return Err(Problem::new(ProblemType::UnknownParameter, detail));
            }
        }
    }
    Ok(ticket)
}

/// A page of another site must not open sockets in a visitor's name. Programs send no Origin.
fn check_origin(headers: &HeaderMap, allowed: &Origins) -> Result<(), Problem> {
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let own = origin.parse::<Uri>().ok().is_some_and(|origin| {
        matches!(origin.scheme_str(), Some("http" | "https"))
            && origin.authority().map(axum::http::uri::Authority::as_str) == host
    });
    if own || allowed.contain(origin) {
        return Ok(());
    }
    let detail =
        "Pages of this origin may not open sockets here. The operator can allow it with DAYBOOK_ORIGINS.";
    Err(Problem::new(ProblemType::OriginRefused, detail))
}

/// If a client names protocols, ours must be among them. If it names none, it gets ours.
fn negotiate(upgrade: WebSocketUpgrade) -> Result<WebSocketUpgrade, Problem> {
    let names_any = upgrade.requested_protocols().next().is_some();
    let upgrade = upgrade.protocols([PROTOCOL]);
    if names_any && upgrade.selected_protocol().is_none() {
        return Err(Problem::new(
            ProblemType::UnknownProtocol,
            "If you send Sec-WebSocket-Protocol, it must include daybook.v1.",
        ));
    }
    Ok(upgrade)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(axum::http::HeaderName, &str)]) -> HeaderMap {
        let value = |text: &str| text.parse().expect("a header's value");
        pairs.iter().map(|(name, text)| (name.clone(), value(text))).collect()
    }

    #[test]
    fn only_a_ticket_may_stand_in_the_address() {
        assert_eq!(ticket(""), Ok(None));
        assert_eq!(ticket("ticket=abc"), Ok(Some("abc".to_owned())));
        for wrong in ["token=abc", "access_token=abc", "ticket=a&ticket=b", "ticket=a&token=b", "x", "x=1"] {
            assert_eq!(ticket(wrong).map_err(|problem| problem.status), Err(400), "{wrong}");
        }
    }

    #[test]
    fn own_and_configured_origins_are_let_in_and_others_are_not() {
        let allowed: Origins = "https://app.example.org".parse().expect("an origin");
        let check =
            |origin: &str| check_origin(&headers(&[(HOST, "day.example:8080"), (ORIGIN, origin)]), &allowed);
        assert_eq!(check_origin(&headers(&[(HOST, "day.example:8080")]), &allowed), Ok(()));
        for good in ["http://day.example:8080", "https://day.example:8080", "https://app.example.org"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in
            ["null", "", "http://day.example", "https://evil.example", "https://app.example.org.evil.example"]
        {
            assert_eq!(check(bad).map_err(|problem| problem.status), Err(403), "{bad}");
        }
    }
}
