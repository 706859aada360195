//! Catch-up: a socket reads what it has not seen at its own pace, until it has reached the feed.

use std::sync::Arc;

use futures::FutureExt;
use tokio::sync::mpsc;

use super::connection::Connection;
use super::feed::open;
use super::frames::ServerFrame;
use super::hub::Step;
use super::load::{self, Page};
use super::ring::Pushed;
use super::wire::{Farewell, Gone, Wire};

impl Connection {
    /// Sends everything after the last position sent; returns the queue through which the rest comes.
    pub(super) async fn catch_up(&mut self, wire: &mut Wire) -> Result<mpsc::Receiver<Arc<Pushed>>, Gone> {
        loop {
            while let Some(frame) = wire.next().now_or_never() {
                let position = self.sent;
                self.hear(wire, &frame?, position).await?;
            }
            match self.seat.step(&self.topics, self.sent) {
                Step::Load(unknown) => self.know(unknown).await?,
                Step::Read { up_to } => self.read_page(wire, up_to).await?,
                Step::Send { events, up_to } => self.send(wire, &events, up_to).await?,
                Step::Join { events, up_to, queue } => {
                    self.send(wire, &events, up_to).await?;
                    wire.send_frame(&ServerFrame::Live { position: up_to }).await?;
                    return Ok(queue);
                }
            }
        }
    }

    async fn send(&mut self, wire: &mut Wire, events: &[Arc<Pushed>], up_to: i64) -> Result<(), Gone> {
        self.write(wire, events).await?;
        self.sent = up_to;
        Ok(())
    }

    /// One page from the database. The permit is for the reading only: a slow client keeps nobody waiting.
    async fn read_page(&mut self, wire: &mut Wire, up_to: i64) -> Result<(), Gone> {
        let catch_ups = Arc::clone(&self.live.catch_ups);
        let permit = self.wait_for(wire, catch_ups.acquire_owned()).await?;
        let scopes = loop {
            match self.seat.scopes(&self.topics, self.sent) {
                Ok(scopes) => break scopes,
                Err(unknown) => self.know(unknown).await?,
            }
        };
        let limit = self.live.settings.page;
        let Page { events, more } =
            load::past(&self.live.pool, &scopes, self.sent, up_to, limit.try_into().unwrap_or(i64::MAX))
                .await
                .map_err(|cause| away(&cause))?;
        drop(permit);
        let last = events.last().map(|event| event.recorded.position);
        let next = last.filter(|_| more).unwrap_or(up_to);
        let opened = open(&self.live.keyring, events).await.map_err(|cause| away(&cause))?;
        let page: Vec<Arc<Pushed>> = opened.into_iter().map(Arc::new).collect();
        let events = loop {
            match self.seat.filter(&self.topics, &page) {
                Ok(events) => break events,
                Err(unknown) => self.know(unknown).await?,
            }
        };
        self.send(wire, &events, next).await
    }

    /// Waits its turn; meanwhile the client is heard, and hears how far it has come.
    async fn wait_for<T>(
        &mut self,
        wire: &mut Wire,
        turn: impl Future<Output = Result<T, tokio::sync::AcquireError>>,
    ) -> Result<T, Gone> {
        let mut turn = std::pin::pin!(turn);
        loop {
            let position = self.sent;
            tokio::select! {
                permit = &mut turn => return permit.map_err(|_| Gone::Bye(Farewell::Shutdown)),
                frame = wire.next() => self.hear(wire, &frame?, position).await?,
                _ = self.heartbeat.tick() => self.beat(wire, position).await?,
            }
        }
    }
}

/// The client comes back when the database does; it has lost nothing.
pub(super) fn away(cause: &impl std::fmt::Display) -> Gone {
    tracing::warn!(%cause, "A socket cannot be served from the database");
    Gone::Bye(Farewell::Unavailable)
}
