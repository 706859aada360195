//! The recent events of this process, decrypted and ready to send: short gaps are filled without the database.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use shared::log::event::Recorded;

use super::access::{Hidden, News};
use super::frames::ServerFrame;

/// An event ready to be pushed; sockets share it.
#[derive(Debug)]
pub(super) struct Pushed {
    pub(super) event_type: String,
    /// Decides who sees it, and says what it does to access.
    pub(super) news: News,
    /// The aggregate's id; for `SessionEnded` the session.
    pub(super) aggregate: String,
    /// The whole frame, serialized once for all sockets; none of an event that is shown to nobody.
    pub(super) frame: Option<Utf8Bytes>,
}

/// Consecutive events up to the position of the feed, bounded in number and bytes.
#[derive(Debug)]
pub(super) struct Ring {
    events: VecDeque<Arc<Pushed>>,
    bytes: usize,
    most_events: usize,
    most_bytes: usize,
    /// The last position pushed; nothing beyond it is ever shown.
    position: i64,
}

impl Pushed {
    pub(super) fn of(recorded: &Recorded, news: News) -> Self {
        Self {
            event_type: recorded.event_type.clone(),
            news,
            aggregate: recorded.aggregate.id.clone(),
            frame: Some(ServerFrame::Event { event: recorded }.text()),
        }
    }

    /// Instead of an event that is shown to nobody, for what it does to access.
    pub(super) fn silent(news: News) -> Self {
        Self { event_type: String::new(), news, aggregate: String::new(), frame: None }
    }

    pub(super) fn position(&self) -> i64 {
        self.news.position()
    }

    fn size(&self) -> usize {
        self.frame.as_ref().map_or(0, |frame| frame.as_str().len())
    }

    /// Adds which rows could not be kept up.
    pub(super) fn hide(events: &mut Vec<Self>, hidden: Vec<(i64, Hidden)>) {
        for (position, row) in hidden {
            let place = events.partition_point(|event| event.position() < position);
            if events.get(place).is_none_or(|event| event.position() != position) {
                events.insert(place, Self::silent(News::nothing(position)));
            }
            events[place].news.hidden.push(row);
        }
    }
}

impl Ring {
    pub(super) fn new(most_events: usize, most_bytes: usize) -> Self {
        Self { events: VecDeque::new(), bytes: 0, most_events, most_bytes, position: 0 }
    }

    /// Forgets everything and goes on after `position`.
    pub(super) fn restart(&mut self, position: i64) {
        self.events.clear();
        self.bytes = 0;
        self.position = position;
    }

    pub(super) fn position(&self) -> i64 {
        self.position
    }

    pub(super) fn push(&mut self, pushed: Arc<Pushed>) {
        self.position = pushed.position();
        self.bytes += pushed.size();
        self.events.push_back(pushed);
        while self.events.len() > self.most_events || self.bytes > self.most_bytes {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.size();
        }
    }

    /// Moves on over events that could not be decrypted: they are sent to nobody.
    pub(super) fn pass_over(&mut self, position: i64) {
        self.position = self.position.max(position);
    }

    /// All events after a position; `None` when the ring does not reach back that far.
    pub(super) fn after(&self, after: i64) -> Option<impl Iterator<Item = &Arc<Pushed>>> {
        let reaches = match self.events.front() {
            Some(oldest) => oldest.position() <= after.saturating_add(1),
            None => false,
        };
        let from = self.events.partition_point(|event| event.position() <= after);
        (reaches || after >= self.position).then(|| self.events.range(from..))
    }
}
