//! One WebSocket as the gateway uses it: sending never outlasts the socket's right to be open.

use std::future::pending;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use futures::SinkExt;
use shared::domain::clock::random;
use shared::process::lifecycle::Shutdown;
use shared::process::problem::ProblemType;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use super::frames::ServerFrame;
use super::hub::End;

/// How long one frame may take to go out. A slow reader is welcome, one that is gone is not.
const SEND_WITHIN: Duration = Duration::from_mins(1);
/// How long a goodbye may take.
const PART_WITHIN: Duration = Duration::from_secs(1);

/// Why a socket is to close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    /// The other end closed it, or is not there any more.
    Closed,
    /// We say goodbye.
    Bye(Farewell),
}

/// What `bye` says, by its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Farewell {
    Shutdown,
    SessionEnded,
    TokenExpired,
    EpochChanged,
    HelloTimeout,
    /// The caller is not let in; the code is the slug of the problem.
    Unauthorized(ProblemType),
    BadFrame,
    FrameTooLarge,
    /// Topics of the hello were refused.
    Topics(&'static str),
    /// Its person has too many open.
    TooManySockets,
    /// The database is away.
    Unavailable,
}

/// What may end a socket at any time.
struct Ends {
    shutdown: Shutdown,
    hub: Option<oneshot::Receiver<End>>,
    expires: Option<Instant>,
}

/// See the module.
pub(super) struct Wire {
    socket: WebSocket,
    ends: Ends,
    heard: Instant,
}

impl Wire {
    pub(super) fn new(socket: WebSocket, shutdown: Shutdown) -> Self {
        Self { socket, ends: Ends { shutdown, hub: None, expires: None }, heard: Instant::now() }
    }

    /// From now on the hub may end the socket.
    pub(super) fn listen_to(&mut self, hub: oneshot::Receiver<End>) {
        self.ends.hub = Some(hub);
    }

    /// From now on the socket ends at `at`, unless another time is set.
    pub(super) fn expire_at(&mut self, at: Instant) {
        self.ends.expires = Some(at);
    }

    /// When the other end was last heard.
    pub(super) fn heard(&self) -> Instant {
        self.heard
    }

    /// The next text frame. May be cancelled without losing one.
    pub(super) async fn next(&mut self) -> Result<Utf8Bytes, Gone> {
        loop {
            let received = tokio::select! {
                biased;
                why = self.ends.next() => return Err(Gone::Bye(why)),
                received = self.socket.recv() => received,
            };
            self.heard = Instant::now();
            match received {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Binary(_))) => return Err(Gone::Bye(Farewell::BadFrame)),
                Some(Ok(Message::Close(_))) | None => return Err(Gone::Closed),
                Some(Err(error)) => return Err(broken(&error)),
            }
        }
    }

    /// Sends one frame.
    pub(super) async fn send_frame(&mut self, frame: &ServerFrame<'_>) -> Result<(), Gone> {
        self.send(vec![Message::Text(frame.text())]).await
    }

    /// Sends frames, flushed together.
    pub(super) async fn send(&mut self, frames: Vec<Message>) -> Result<(), Gone> {
        let Self { socket, ends, .. } = self;
        let sending = async {
            for frame in frames {
                timeout(SEND_WITHIN, socket.feed(frame)).await.map_err(drop)?.map_err(drop)?;
            }
            timeout(SEND_WITHIN, socket.flush()).await.map_err(drop)?.map_err(drop)
        };
        tokio::select! {
            biased;
            sent = sending => sent.map_err(|()| Gone::Closed),
            why = ends.next() => Err(Gone::Bye(why)),
        }
    }

    /// Says goodbye, if there is somebody to say it to, and closes.
    pub(super) async fn part(mut self, gone: Gone) {
        let Gone::Bye(farewell) = gone else { return };
        let bye =
            ServerFrame::Bye { code: farewell.code(), reconnect_after_ms: farewell.reconnect_after_ms() };
        let reason = Utf8Bytes::from(farewell.code());
        let close = Message::Close(Some(CloseFrame { code: farewell.close_code(), reason }));
        let parting = async {
            for frame in [Message::Text(bye.text()), close] {
                if self.socket.send(frame).await.is_err() {
                    return;
                }
            }
            // Closing on unread bytes would reset the connection, and the goodbye with it.
            while let Some(Ok(_)) = self.socket.recv().await {}
        };
        // A client that does not read does not get it.
        _ = timeout(PART_WITHIN, parting).await;
    }
}

impl Ends {
    async fn next(&mut self) -> Farewell {
        let Self { shutdown, hub, expires } = self;
        let told = async {
            match hub {
                Some(hub) => hub.await,
                None => pending().await,
            }
        };
        let expired = async {
            match expires {
                Some(at) => sleep_until(*at).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => Farewell::Shutdown,
            why = told => match why {
                Ok(End::Session) => Farewell::SessionEnded,
                Ok(End::Epoch) => Farewell::EpochChanged,
                Err(_) => Farewell::Shutdown,
            },
            () = expired => Farewell::TokenExpired,
        }
    }
}

impl Farewell {
    fn code(&self) -> &str {
        match self {
            Self::Shutdown => "shutdown",
            Self::SessionEnded => "session-ended",
            Self::TokenExpired => "token-expired",
            Self::EpochChanged => "epoch-changed",
            Self::HelloTimeout => "hello-timeout",
            Self::Unauthorized(kind) => kind.slug(),
            Self::BadFrame => "bad-frame",
            Self::FrameTooLarge => "frame-too-large",
            Self::Topics(code) => code,
            Self::TooManySockets => "too-many-sockets",
            Self::Unavailable => "unavailable",
        }
    }

    /// When to come back; `None`: not without a change. Spread out, so that all do not come at once.
    fn reconnect_after_ms(&self) -> Option<u64> {
        let spread = || u64::from(u16::from_le_bytes(random()) % 2_000);
        match self {
            Self::Shutdown | Self::EpochChanged => Some(spread()),
            Self::Unavailable => Some(1_000 + spread()),
            // By then one that nobody answers on may have been noticed.
            Self::TooManySockets => Some(60_000 + spread()),
            Self::TokenExpired | Self::HelloTimeout => Some(0),
            Self::SessionEnded
            | Self::Unauthorized(_)
            | Self::BadFrame
            | Self::FrameTooLarge
            | Self::Topics(_) => None,
        }
    }

    fn close_code(&self) -> u16 {
        match self {
            Self::Shutdown => close_code::RESTART,
            Self::EpochChanged | Self::Unavailable => close_code::AGAIN,
            Self::BadFrame => close_code::PROTOCOL,
            Self::FrameTooLarge => close_code::SIZE,
            Self::SessionEnded
            | Self::TokenExpired
            | Self::HelloTimeout
            | Self::Unauthorized(_)
            | Self::TooManySockets
            | Self::Topics(_) => close_code::POLICY,
        }
    }
}

/// The library tells a frame that is too long from a broken connection by its words only.
fn broken(error: &axum::Error) -> Gone {
    if error.to_string().contains("too long") { Gone::Bye(Farewell::FrameTooLarge) } else { Gone::Closed }
}
