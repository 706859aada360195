//! The recent events of this process, decrypted and ready to send: short gaps are filled without the database.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use shared::log::event::Opened;
use shared::log::visibility::{Resource, Subject};

use super::access::Change;
use super::frames::ServerFrame;

/// An event ready to be pushed; sockets share it.
#[derive(Debug)]
pub(super) struct Pushed {
    pub(super) position: i64,
    pub(super) event_type: String,
    /// Decides who sees it.
    pub(super) subject: Subject,
    /// What it does to access.
    pub(super) changes: Vec<Change>,
    /// The aggregate's id; for `SessionEnded` the session.
    pub(super) aggregate: String,
    /// The whole frame, serialized once for all sockets.
    pub(super) frame: Utf8Bytes,
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
    pub(super) fn of(opened: &Opened) -> Self {
        Self {
            position: opened.recorded.position,
            event_type: opened.recorded.event_type.clone(),
            subject: Subject::of(opened),
            changes: vec![Change::of(opened)],
            aggregate: opened.recorded.aggregate.id.clone(),
            frame: ServerFrame::Event { event: &opened.recorded }.text(),
        }
    }

    /// Instead of an event that is shown to nobody, for its effect on access.
    fn silent(position: i64) -> Self {
        Self {
            position,
            event_type: String::new(),
            subject: Subject { scopes: Vec::new(), resource: Resource::Person, left: Vec::new() },
            changes: Vec::new(),
            aggregate: String::new(),
            frame: Utf8Bytes::from_static(""),
        }
    }

    /// What an event was to change is not to be had, if its row was quarantined: sight is taken away instead.
    pub(super) fn quarantined(events: &mut Vec<Self>, quarantined: Vec<(i64, Change)>) {
        for (position, change) in quarantined {
            let place = events.partition_point(|event| event.position < position);
            if events.get(place).is_none_or(|event| event.position != position) {
                events.insert(place, Self::silent(position));
            }
            events[place].changes.retain(|change| change.is_quarantined());
            events[place].changes.push(change);
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
        self.position = pushed.position;
        self.bytes += pushed.frame.as_str().len();
        self.events.push_back(pushed);
        while self.events.len() > self.most_events || self.bytes > self.most_bytes {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.frame.as_str().len();
        }
    }

    /// Moves on over events that could not be decrypted: they are sent to nobody.
    pub(super) fn pass_over(&mut self, position: i64) {
        self.position = self.position.max(position);
    }

    /// All events after a position; `None` when the ring does not reach back that far.
    pub(super) fn after(&self, after: i64) -> Option<impl Iterator<Item = &Arc<Pushed>>> {
        let reaches = match self.events.front() {
            Some(oldest) => oldest.position <= after.saturating_add(1),
            None => false,
        };
        let from = self.events.partition_point(|event| event.position <= after);
        (reaches || after >= self.position).then(|| self.events.range(from..))
    }

    /// All events that are kept.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Pushed>> {
        self.events.iter()
    }
}
