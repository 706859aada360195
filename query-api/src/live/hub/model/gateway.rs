//! A gateway without database and clients: the real hub, and in place of its tasks (the feed, loads, connections) the
//! steps that these take, in any order.

use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use shared::domain::access::{Container, Principal};

use super::super::{End, Hub, Loaded};
use super::log::{Log, Shape, containers};
use super::socket::Socket;
use super::{Chance, Counts};
use crate::live::Settings;
use crate::live::access::News;
use crate::live::ring::Pushed;
use shared::log::sight::Access;

/// Whoever waits for a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Feed,
    Socket(u64),
    /// It has gone meanwhile.
    Nobody,
}

/// Rows that were read, and not taken in yet.
struct Load {
    rows: Loaded,
    whose: Whose,
}

/// Events that the feed has read, up to a position, and not pushed yet.
struct Batch {
    events: Vec<Arc<Pushed>>,
    up_to: i64,
}

pub(super) struct Gateway {
    pub(super) hub: Arc<Hub>,
    pub(super) log: Log,
    /// How far the tables are.
    pub(super) tables: i64,
    pub(super) page: usize,
    /// The gateway began there: what was lost before is lost for everything it knows.
    began: i64,
    /// What is older than this is judged again when it is written: the tables were rebuilt since.
    rebuilt: i64,
    batch: Option<Batch>,
    loads: Vec<Load>,
    sockets: Vec<Socket>,
    next_socket: u64,
    pub(super) counts: Counts,
}

impl Gateway {
    /// Everything is as small as it can be, so that few events are more than it holds.
    pub(super) fn new(chance: &mut Chance, log: Log, at: i64) -> Self {
        let page = 1 + chance.index(3);
        let settings = Settings {
            ring_events: 2 + chance.index(12),
            page,
            queue: 1 + chance.index(5),
            // As many as one page needs: with fewer, loads would forget each other's for ever.
            places: 10,
            ..Settings::default()
        };
        let hub = Arc::new(Hub::new(&settings));
        hub.restart(&log.epoch, at);
        Self {
            hub,
            log,
            tables: at,
            page,
            began: at,
            rebuilt: 0,
            batch: None,
            loads: Vec::new(),
            sockets: Vec::new(),
            next_socket: 0,
            counts: Counts::default(),
        }
    }

    pub(super) fn feed(&self) -> i64 {
        self.hub.position().1
    }

    /// The one position at which everything is judged: between the feed and the tables.
    pub(super) fn known_at(&self) -> i64 {
        let at = self.hub.known_at();
        assert!(self.feed() <= at && at <= self.tables, "known at {at}, {} to {}", self.feed(), self.tables);
        at
    }

    /// What is below is judged again when it is written.
    pub(super) fn last_loss(&self) -> i64 {
        self.log.last_loss(self.began, self.known_at()).max(self.rebuilt)
    }

    /// One step of anybody.
    pub(super) fn step(&mut self, chance: &mut Chance) {
        self.counts.steps += 1;
        match chance.below(1000) {
            0..200 => self.log.go_on(chance),
            200..330 => self.read_on(chance),
            330..480 => self.advance(chance),
            480..640 => self.take_in(chance),
            640..940 => self.serve(chance),
            940..965 => self.connect(chance),
            965..972 => self.close(chance),
            972..994 => self.resubscribe(chance),
            994..997 => self.rebuild(chance),
            _ => self.begin_again(chance),
        }
        self.all_is_true();
    }

    /// Whatever is known is how it was at the one position, and no more is known than of those who are there.
    fn all_is_true(&self) {
        let at = self.known_at();
        // Nothing may panic under the lock: the sockets are to be dropped yet, and the seed to be said.
        let untrue = self.untrue(at);
        assert!(untrue.is_none(), "at {at} {}", untrue.unwrap_or_default());
    }

    fn untrue(&self, at: i64) -> Option<String> {
        let (state, tree) = (self.hub.state(), self.log.at(at));
        for container in containers() {
            let (known, is) = (state.known.place(container), tree.thing(container));
            if known.is_some() && known != is {
                return Some(format!("{container} is known as {known:?}, and is {is:?}"));
            }
        }
        for principal in state.known.principals() {
            let is_there =
                |socket: &Socket| socket.is_seated() && principal == Principal::User(socket.person);
            if matches!(principal, Principal::User(_)) && !self.sockets.iter().any(is_there) {
                return Some(format!("{principal} is known, and has left"));
            }
            for (on, grant) in tree.held_by(principal) {
                let known = state.known.grant(on, principal);
                if known != Some(grant) {
                    return Some(format!("{principal} on {on} is known as {known:?}, and is {grant:?}"));
                }
            }
        }
        None
    }

    /// The tables come nearer to the end of the log.
    pub(super) fn read_on(&mut self, chance: &mut Chance) {
        let ahead = 1 + i64::try_from(chance.below(4)).expect("small");
        self.tables = self.log.head().min(self.tables + ahead);
    }

    /// The feed pushes what it has read, or what is left of it.
    pub(super) fn advance(&mut self, chance: &mut Chance) {
        if self.is_loading(Whose::Feed) {
            return;
        }
        let batch = self.batch.take();
        let Some(Batch { events, up_to }) = batch.or_else(|| self.read_feed(chance)) else { return };
        let (passed, known_at) = (self.feed(), self.hub.known_at());
        let pushed = self.hub.push(events, up_to);
        let left = match &pushed {
            Ok(()) => up_to + 1,
            Err((left, _)) => left[0].position(),
        };
        for position in passed + 1..left {
            for socket in &mut self.sockets {
                // What an event does to access is taken in before it is judged.
                socket.passes(&self.log, known_at.max(position), position);
            }
        }
        if let Err((events, unknown)) = pushed {
            self.counts.held_up += 1;
            self.batch = Some(Batch { events, up_to });
            self.load(&unknown, Whose::Feed);
        }
    }

    fn read_feed(&self, chance: &mut Chance) -> Option<Batch> {
        let position = self.feed();
        let up_to = self.tables.min(position + 1 + i64::try_from(chance.below(3)).expect("small"));
        let events =
            (position + 1..=up_to).filter_map(|position| pushed(&self.log, position, true)).collect();
        (up_to > position).then_some(Batch { events, up_to })
    }

    /// Begins to load what is unknown of these; until that is taken in, whoever asked waits.
    pub(super) fn load(&mut self, containers: &[Container], whose: Whose) {
        let unknown = self.hub.unknown(containers);
        if unknown.is_empty() {
            return;
        }
        let known = self.log.places(self.tables, &unknown);
        let rows = Loaded { turn: self.hub.turn(), known, news: self.news() };
        self.counts.loads += 1;
        self.loads.push(Load { rows, whose });
    }

    /// What happened from what is known up to the tables.
    fn news(&self) -> Vec<News> {
        self.log.news(self.hub.known_at(), self.tables)
    }

    pub(super) fn grants(&self, principals: &[Principal]) -> Loaded {
        Loaded { turn: self.hub.turn(), known: self.log.grants(self.tables, principals), news: self.news() }
    }

    pub(super) fn is_loading(&self, whose: Whose) -> bool {
        self.loads.iter().any(|load| load.whose == whose)
    }

    /// A load comes to its end, the oldest or a later one.
    pub(super) fn take_in(&mut self, chance: &mut Chance) {
        if self.loads.is_empty() {
            return;
        }
        let Load { rows, .. } = self.loads.remove(chance.index(self.loads.len()));
        let ahead = rows.known.position() > self.feed();
        if self.hub.take_in(rows) {
            self.counts.ahead += u64::from(ahead);
        } else {
            self.counts.too_late += 1;
        }
    }

    fn take_all_in(&mut self, chance: &mut Chance) {
        while !self.loads.is_empty() {
            self.take_in(chance);
        }
    }

    pub(super) fn serve(&mut self, chance: &mut Chance) {
        if !self.sockets.is_empty() {
            let nth = chance.index(self.sockets.len());
            self.serve_one(chance, nth);
        }
    }

    fn serve_one(&mut self, chance: &mut Chance, nth: usize) {
        if !self.is_loading(Whose::Socket(self.sockets[nth].id)) {
            let mut socket = self.sockets.remove(nth);
            socket.step(self, chance);
            self.sockets.insert(nth, socket);
        }
    }

    fn connect(&mut self, chance: &mut Chance) {
        if self.sockets.len() < 8 {
            let person = self.log.people[chance.index(self.log.people.len())];
            // From anywhere, or from where the feed is when it is welcome.
            let below = u64::try_from(self.feed() + 1).expect("a position");
            let resume = (chance.below(3) > 0).then(|| i64::try_from(chance.below(below)).expect("small"));
            let socket = Socket::new(self.next_socket, person, resume, chance);
            self.open(socket);
        }
    }

    pub(super) fn open(&mut self, socket: Socket) {
        self.next_socket += 1;
        self.sockets.push(socket);
    }

    /// Somebody comes by the rows that were read for them.
    fn let_in(&mut self, chance: &mut Chance) {
        if let Some(nth) = self.sockets.iter().position(|socket| !socket.is_seated()) {
            self.serve_one(chance, nth);
        }
    }

    fn close(&mut self, chance: &mut Chance) {
        if !self.sockets.is_empty() {
            let gone = self.sockets.swap_remove(chance.index(self.sockets.len()));
            self.forget(gone.id);
        }
    }

    /// Nobody waits for its loads any more; they come to their ends all the same.
    fn forget(&mut self, id: u64) {
        for load in &mut self.loads {
            if load.whose == Whose::Socket(id) {
                load.whose = Whose::Nobody;
            }
        }
    }

    fn resubscribe(&mut self, chance: &mut Chance) {
        if !self.sockets.is_empty() {
            let nth = chance.index(self.sockets.len());
            self.sockets[nth].wish(chance);
        }
    }

    /// The tables are rebuilt: what was quarantined is not any more. Loads from the old ones are still under way, and some
    /// of them come to their ends, and somebody comes or goes, while the grants are read again.
    fn rebuild(&mut self, chance: &mut Chance) {
        self.log.repair();
        let known = self.hub.leave_tables();
        let loaded = self.grants(&known);
        for _ in 0..chance.below(4) {
            match chance.below(3) {
                0 => self.take_in(chance),
                1 => self.close(chance),
                _ => self.let_in(chance),
            }
        }
        self.rebuilt = self.known_at() + 1;
        assert!(self.hub.readmit(loaded), "the tables are not behind the feed");
        self.counts.rebuilds += 1;
    }

    /// Another history begins. The tables hold it before the gateway hears of it, and loads of both are under way.
    fn begin_again(&mut self, chance: &mut Chance) {
        let (epoch, people) =
            (format!("{}'", self.log.epoch), u64::try_from(self.log.people.len()).expect("few"));
        self.log = Log::new(&epoch, people, chance.below(2) == 0);
        for _ in 0..chance.below(40) {
            self.log.go_on(chance);
        }
        let some = |chance: &mut Chance| i64::try_from(chance.below(4)).expect("small");
        let at = (self.log.head() - some(chance)).max(0);
        self.tables = (at + some(chance)).min(self.log.head());
        if chance.below(2) == 0 {
            let container = containers()[chance.index(containers().len())];
            self.load_early(container);
        }
        self.hub.restart(&epoch, at);
        for mut socket in std::mem::take(&mut self.sockets) {
            assert!(
                matches!(
                    socket.end.as_mut().map(tokio::sync::oneshot::Receiver::try_recv),
                    None | Some(Ok(End::Epoch))
                ),
                "a socket outlives its history"
            );
            self.forget(socket.id);
        }
        for load in &mut self.loads {
            load.whose = Whose::Nobody;
        }
        (self.batch, self.began, self.rebuilt) = (None, at, 0);
        self.counts.epochs += 1;
    }

    /// Of a history that the hub has not begun yet, whose positions may be lower than what it knows.
    fn load_early(&mut self, container: Container) {
        let known_at = self.hub.known_at();
        let news = if known_at < self.tables { self.log.news(known_at, self.tables) } else { Vec::new() };
        let known = self.log.places(self.tables, &[container]);
        let rows = Loaded { turn: self.hub.turn(), known, news };
        self.loads.push(Load { rows, whose: Whose::Nobody });
    }

    /// Everybody goes on until there is nothing more to do; then every socket must have got all there is.
    pub(super) fn come_to_rest(&mut self, chance: &mut Chance) {
        self.tables = self.log.head();
        for _ in 0..2_000 {
            // One after the other, as so few places are kept that two would forget each other's for ever.
            self.take_all_in(chance);
            self.advance(chance);
            self.take_all_in(chance);
            self.advance(chance);
            self.all_is_true();
            for nth in 0..self.sockets.len() {
                for _ in 0..4 {
                    self.serve_one(chance, nth);
                    self.take_all_in(chance);
                }
            }
            let rests = |socket: &Socket| socket.rests_at() == Some(self.tables);
            if self.feed() == self.tables && self.loads.is_empty() && self.sockets.iter().all(rests) {
                return;
            }
        }
        let socket = |socket: &Socket| (socket.id, socket.rests_at());
        let sockets: Vec<_> = self.sockets.iter().map(socket).collect();
        panic!("no rest: {} of {}, {sockets:?}", self.feed(), self.tables);
    }

    /// The sockets of a test that looks at them.
    pub(super) fn sockets(&self) -> &[Socket] {
        &self.sockets
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (feed, tables, began, rebuilt) = (self.feed(), self.tables, self.began, self.rebuilt);
            eprintln!("feed {feed}, tables {tables}, began {began}, rebuilt {rebuilt}, {:?}", self.counts);
        }
    }
}

/// An event as the gateway reads it, if it can; the feed also learns which rows are not kept up with it.
pub(super) fn pushed(log: &Log, position: i64, for_feed: bool) -> Option<Arc<Pushed>> {
    let event = log.event(position);
    let mut news = event.news.clone();
    if !for_feed {
        news.hidden.clear();
    }
    match event.shape {
        Shape::Whole => {
            let frame = Some(Utf8Bytes::from_static("{}"));
            Some(Arc::new(Pushed { event_type: String::new(), news, aggregate: String::new(), frame }))
        }
        Shape::Unopened => Some(Arc::new(Pushed::silent(news))),
        Shape::Altered => None,
    }
}
