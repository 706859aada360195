//! One open socket: hello, welcome, missed events, and then new events.

use std::sync::Arc;

use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use shared::domain::access::Container;
use shared::process::auth::Caller;
use shared::process::problem::ProblemType;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};

use super::catch_up::away;
use super::frames::{ClientFrame, LIMITS, PROTOCOL, Resume, ServerFrame, TOPICS};
use super::hub::{Seat, Seated};
use super::ring::Pushed;
use super::topics::{Refusal, Topic, Topics, Types, containers, parse};
use super::upgrade::SocketPermit;
use super::wire::{Farewell, Gone, Wire};
use super::{LOADS, Live, behind};
use crate::watermark::After;

/// Events taken from the queue and flushed together.
const TOGETHER: usize = 64;
/// After so many heartbeats without a sign of life, the client counts as gone.
const SILENT_BEATS: u32 = 3;
/// How long a client that is ahead of this process waits for it.
const AHEAD: std::time::Duration = std::time::Duration::from_secs(2);

/// What is kept for one socket after its hello.
pub(super) struct Connection {
    pub(super) live: Live,
    pub(super) seat: Seat,
    pub(super) topics: Topics,
    /// The client has everything up to here that it may see and asked for.
    pub(super) sent: i64,
    pub(super) heartbeat: Interval,
}

/// The first frame, read.
struct Hello {
    caller: Caller,
    topics: Vec<String>,
    resume: Option<Resume>,
}

/// Serves a socket to its end. `caller` is the person of its ticket, if it has one.
pub(super) async fn serve(live: Live, socket: WebSocket, caller: Option<Caller>, mut permit: SocketPermit) {
    let mut wire = Wire::new(socket, live.shutdown.clone());
    let gone = match converse(live, &mut wire, caller, &mut permit).await {
        Ok(never) => match never {},
        Err(gone) => gone,
    };
    wire.part(gone).await;
}

async fn converse(
    live: Live,
    wire: &mut Wire,
    caller: Option<Caller>,
    permit: &mut SocketPermit,
) -> Result<std::convert::Infallible, Gone> {
    let hello = hello(&live, wire, caller).await?;
    permit.known();
    let mut connection = Connection::open(live, wire, &hello).await?;
    connection.welcome(wire, hello.resume).await?;
    loop {
        let mut queue = connection.catch_up(wire).await?;
        connection.follow(wire, &mut queue).await?;
    }
}

async fn hello(live: &Live, wire: &mut Wire, caller: Option<Caller>) -> Result<Hello, Gone> {
    let frame = timeout(live.settings.hello_within, wire.next())
        .await
        .map_err(|_| Gone::Bye(Farewell::HelloTimeout))??;
    let Ok(ClientFrame::Hello { token, topics, resume }) = serde_json::from_str(&frame) else {
        return Err(Gone::Bye(Farewell::BadFrame));
    };
    let refused = |kind| Gone::Bye(Farewell::Unauthorized(kind));
    let caller = match (token, caller) {
        (Some(token), _) => live.verifier.verify(&token).map_err(|problem| refused(problem.kind))?,
        (None, Some(caller)) => caller,
        (None, None) => return Err(refused(ProblemType::TokenMissing)),
    };
    Ok(Hello { caller, topics, resume })
}

impl Connection {
    async fn open(live: Live, wire: &mut Wire, hello: &Hello) -> Result<Self, Gone> {
        let seat = seat(&live, wire, hello.caller).await?;
        // A session that ended while it was seated may have been swept just before.
        if live.verifier.is_ended(&hello.caller) {
            return Err(Gone::Bye(Farewell::SessionEnded));
        }
        wire.expire_at(ends_at(&live, &hello.caller));
        let mut heartbeat = interval_at(Instant::now() + live.settings.heartbeat, live.settings.heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut connection = Self { live, seat, topics: Topics::default(), sent: 0, heartbeat };
        connection
            .subscribe(&hello.topics, &None)
            .await?
            .map_err(|refusal| Gone::Bye(Farewell::Topics(refusal.code())))?;
        Ok(connection)
    }

    /// Says where we are, and finds where the client is.
    async fn welcome(&mut self, wire: &mut Wire, resume: Option<Resume>) -> Result<(), Gone> {
        let (epoch, position) = self.live.hub.position();
        let heartbeat_ms = u64::try_from(self.live.settings.heartbeat.as_millis()).unwrap_or(u64::MAX);
        wire.send_frame(&ServerFrame::Welcome {
            protocol: PROTOCOL,
            epoch: &epoch,
            position,
            heartbeat_ms,
            limits: LIMITS,
        })
        .await?;
        self.sent = position;
        let Some(resume) = resume else { return Ok(()) };
        if resume.after < 0 {
            return Err(Gone::Bye(Farewell::BadFrame));
        }
        if resume.epoch != epoch {
            return wire.send_frame(&ServerFrame::Reset { reason: "epoch" }).await;
        }
        if resume.after > position && !self.comes_to(resume.after).await {
            return wire.send_frame(&ServerFrame::Reset { reason: "ahead" }).await;
        }
        self.sent = resume.after;
        Ok(())
    }

    /// Whether a position beyond ours is there at all: a client may come from a process that is ahead of this one.
    async fn comes_to(&self, position: i64) -> bool {
        let after = After { epoch: None, position };
        let reached = self.live.watermark.wait(&after, Instant::now() + AHEAD).await;
        reached.is_ok() || position <= self.live.watermark.current().head
    }

    /// Pushes until the queue ends because it was full: then the client has fallen behind.
    async fn follow(&mut self, wire: &mut Wire, queue: &mut mpsc::Receiver<Arc<Pushed>>) -> Result<(), Gone> {
        let mut events = Vec::new();
        loop {
            tokio::select! {
                taken = queue.recv_many(&mut events, TOGETHER) => {
                    let Some(last) = events.last().map(|event| event.position()) else { return Ok(()) };
                    debug_assert!(taken > 0, "an open queue gives events");
                    let wanted: Vec<_> =
                        events.iter().filter(|event| self.topics.want(event)).cloned().collect();
                    self.write(wire, &wanted).await?;
                    self.sent = last;
                    events.clear();
                }
                frame = wire.next() => {
                    let position = self.progress(queue);
                    self.hear(wire, &frame?, position).await?;
                }
                _ = self.heartbeat.tick() => {
                    let position = self.progress(queue);
                    self.beat(wire, position).await?;
                }
            }
        }
    }

    /// Writes events, and few at once: what its person has lost sight of since they were judged is left out.
    pub(super) async fn write(&self, wire: &mut Wire, events: &[Arc<Pushed>]) -> Result<(), Gone> {
        for events in events.chunks(TOGETHER) {
            let still = loop {
                match self.seat.still(events) {
                    Ok(still) => break still,
                    Err(unknown) => self.know(unknown).await?,
                }
            };
            let frames = still.iter().filter_map(|event| event.frame.clone()).map(Message::Text);
            wire.send(frames.collect()).await?;
        }
        Ok(())
    }

    /// Makes sure that it is known where these containers are.
    pub(super) async fn know(&self, containers: Vec<Container>) -> Result<(), Gone> {
        self.live.know(containers).await.map_err(|cause| away(&cause))
    }

    /// From where the client could resume now.
    fn progress(&mut self, queue: &mpsc::Receiver<Arc<Pushed>>) -> i64 {
        if let Some(drained) = self.seat.drained(queue) {
            self.sent = drained;
        }
        self.sent
    }

    /// Says how far we are, and asks whether anybody is there.
    pub(super) async fn beat(&self, wire: &mut Wire, position: i64) -> Result<(), Gone> {
        if wire.heard().elapsed() > self.live.settings.heartbeat * SILENT_BEATS {
            return Err(Gone::Closed);
        }
        let progress = Message::Text(ServerFrame::Progress { position }.text());
        wire.send(vec![progress, Message::Ping(bytes::Bytes::new())]).await
    }

    /// Answers a frame; what it changes holds for events after `position`.
    pub(super) async fn hear(
        &mut self,
        wire: &mut Wire,
        frame: &Utf8Bytes,
        position: i64,
    ) -> Result<(), Gone> {
        let bad = || Gone::Bye(Farewell::BadFrame);
        match serde_json::from_str(frame).map_err(|_| bad())? {
            ClientFrame::Hello { .. } => Err(bad()),
            ClientFrame::Ping {} => wire.send_frame(&ServerFrame::Pong {}).await,
            ClientFrame::Token { token } => self.renew(wire, &token).await,
            ClientFrame::Subscribe { id, topics, events } => {
                let types = events.map(|events| events.into_iter().collect());
                match self.subscribe(&topics, &types).await? {
                    Ok(()) => wire.send_frame(&ServerFrame::Reply { id: &id, position }).await,
                    Err(refusal) => {
                        let detail = refusal.to_string();
                        wire.send_frame(&ServerFrame::Refused {
                            id: Some(&id),
                            code: refusal.code(),
                            detail: &detail,
                        })
                        .await
                    }
                }
            }
            ClientFrame::Unsubscribe { id, topics } => {
                // What is no topic was not subscribed either.
                let topics: Vec<Topic> = topics.iter().filter_map(|topic| topic.parse().ok()).collect();
                self.topics.remove(&topics);
                wire.send_frame(&ServerFrame::Reply { id: &id, position }).await
            }
        }
    }

    async fn subscribe(&mut self, topics: &[String], types: &Types) -> Result<Result<(), Refusal>, Gone> {
        // Before it is looked up where they are: that costs a statement.
        if topics.len() > TOPICS {
            return Ok(Err(Refusal::TooMany));
        }
        let topics = match parse(topics) {
            Ok(topics) => topics,
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.know(containers(&topics)).await?;
        if !self.seat.may(&topics) {
            return Ok(Err(Refusal::Unseen));
        }
        Ok(self.topics.add(&topics, types))
    }

    async fn renew(&mut self, wire: &mut Wire, token: &str) -> Result<(), Gone> {
        let refused =
            |code| ServerFrame::Refused { id: None, code, detail: "This token cannot renew this socket." };
        match self.live.verifier.verify(token) {
            Ok(caller) if caller.user == self.seat.user() => {
                wire.expire_at(ends_at(&self.live, &caller));
                self.seat.renew(caller);
                Ok(())
            }
            Ok(_) => wire.send_frame(&refused("token-of-another")).await,
            Err(problem) => wire.send_frame(&refused(problem.kind.slug())).await,
        }
    }
}

/// A seat in the hub; the person's grants are loaded unless another socket of theirs is open.
async fn seat(live: &Live, wire: &mut Wire, caller: Caller) -> Result<Seat, Gone> {
    let mut loaded = None;
    for _ in 0..LOADS {
        match live.hub.seat(caller, loaded.take()) {
            Seated::At(seat, end) => {
                wire.listen_to(end);
                return Ok(seat);
            }
            Seated::Full => return Err(Gone::Bye(Farewell::TooManySockets)),
            Seated::Unknown => {}
        }
        let strangers = live.hub.strangers(caller.user);
        loaded = Some(live.grants(&strangers).await.map_err(|cause| away(&cause))?);
    }
    Err(away(&behind()))
}

fn ends_at(live: &Live, caller: &Caller) -> Instant {
    Instant::now() + (caller.expires_at - live.clock.now()).to_std().unwrap_or_default()
}
