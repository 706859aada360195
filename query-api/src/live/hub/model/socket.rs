//! One client of the model and what its connection does: what it gets is compared, whenever something is written to it,
//! with what it must and may get.

use std::collections::HashSet;
use std::sync::Arc;

use shared::domain::access::{Principal, Scope};
use shared::domain::clock::Clock;
use shared::domain::id::{SessionId, UserId};
use shared::process::auth::Caller;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::super::{End, Loaded, Seat, Seated, Step};
use super::Chance;
use super::gateway::{Gateway, Whose, pushed};
use super::log::{Log, containers};
use crate::live::ring::Pushed;
use crate::live::topics::{Topic, Topics};

pub(super) struct Socket {
    pub(super) id: u64,
    pub(super) person: UserId,
    pub(super) end: Option<oneshot::Receiver<End>>,
    seat: Option<Seat>,
    /// The grants of its person, on the way to a seat.
    loaded: Option<Loaded>,
    resume: Option<i64>,
    topics: Topics,
    /// The same, in the words of the model.
    subscribed: Vec<Topic>,
    /// What it will subscribe to next.
    wished: Vec<Topic>,
    doing: Doing,
    queue: Option<mpsc::Receiver<Arc<Pushed>>>,
    /// What the feed has passed since the socket was live, and whether it was shown then.
    passed: Vec<(i64, bool)>,
    sent: i64,
    /// What the client got, in order.
    pub(super) got: Vec<i64>,
}

/// What it does next.
enum Doing {
    CatchUp,
    /// Judges a page of the past, up to a position. Also: what was shown when the page was searched.
    Judge(Vec<Arc<Pushed>>, i64, Vec<(i64, bool)>),
    /// Writes what was judged: everything up to a position.
    Write(Vec<Arc<Pushed>>, i64, Vec<Due>),
    Follow,
}

/// An event in front of a client.
struct Due {
    position: i64,
    /// It was shown whenever it was judged, and to find it.
    must: bool,
    /// It was shown when it was judged last.
    may: bool,
}

impl Socket {
    pub(super) fn new(id: u64, person: UserId, resume: Option<i64>, chance: &mut Chance) -> Self {
        let mut socket = Self {
            id,
            person,
            end: None,
            seat: None,
            loaded: None,
            resume,
            topics: Topics::default(),
            subscribed: Vec::new(),
            wished: vec![Topic::All],
            doing: Doing::CatchUp,
            queue: None,
            passed: Vec::new(),
            sent: 0,
            got: Vec::new(),
        };
        if chance.below(3) == 0 {
            socket.wish(chance);
        }
        socket
    }

    /// Chooses something to subscribe to, perhaps instead of all else.
    pub(super) fn wish(&mut self, chance: &mut Chance) {
        let all = containers();
        let topic = match chance.below(6) {
            0 => Topic::Of(Scope::Principal(Principal::User(self.person))),
            1 => Topic::Of(Scope::Principal(Principal::Everyone)),
            2 => Topic::All,
            _ => Topic::Of(Scope::Container(all[chance.index(all.len())])),
        };
        self.wished = vec![topic];
    }

    /// The feed passes an event: who is live is judged now.
    pub(super) fn passes(&mut self, log: &Log, known_at: i64, position: i64) {
        if self.queue.is_some() {
            self.passed.push((position, log.shows(known_at, self.person, position)));
        }
    }

    /// Up to where it has everything, if it waits for more.
    pub(super) fn rests_at(&self) -> Option<i64> {
        matches!(self.doing, Doing::Follow).then_some(self.sent)
    }

    pub(super) fn is_seated(&self) -> bool {
        self.seat.is_some()
    }

    pub(super) fn wants_all(&self) -> bool {
        self.subscribed.contains(&Topic::All)
    }

    pub(super) fn step(&mut self, gateway: &mut Gateway, chance: &mut Chance) {
        if self.seat.is_none() {
            self.knock(gateway);
            return;
        }
        match std::mem::replace(&mut self.doing, Doing::CatchUp) {
            Doing::CatchUp => {
                if self.subscribe(gateway, chance) {
                    self.catch_up(gateway);
                }
            }
            Doing::Judge(page, up_to, found) => self.judge(gateway, page, up_to, found),
            Doing::Write(events, up_to, due) => self.write(gateway, events, up_to, due),
            Doing::Follow => {
                self.doing = Doing::Follow;
                if self.subscribe(gateway, chance) {
                    self.follow(gateway, chance);
                }
            }
        }
    }

    fn seat(&self) -> &Seat {
        self.seat.as_ref().expect("it has one")
    }

    fn knock(&mut self, gateway: &mut Gateway) {
        let session = SessionId(Uuid::from_u128(u128::from(self.id)));
        let caller = Caller { user: self.person, session, expires_at: Clock::System.now() };
        match gateway.hub.seat(caller, self.loaded.take()) {
            Seated::At(seat, end) => {
                let feed = gateway.feed();
                self.sent = self.resume.map_or(feed, |resume| resume.min(feed));
                (self.seat, self.end) = (Some(seat), Some(end));
            }
            Seated::Unknown => {
                let strangers = gateway.hub.strangers(self.person);
                self.loaded = Some(gateway.grants(&strangers));
            }
            Seated::Full => panic!("few have a seat"),
        }
    }

    /// Subscribes to what it wishes; false while it waits for where that is.
    fn subscribe(&mut self, gateway: &mut Gateway, chance: &mut Chance) -> bool {
        let wished = std::mem::take(&mut self.wished);
        let named: Vec<_> = crate::live::topics::containers(&wished);
        if !gateway.hub.unknown(&named).is_empty() {
            self.wished = wished;
            gateway.load(&named, Whose::Socket(self.id));
            return false;
        }
        let tree = gateway.log.at(gateway.known_at());
        for topic in wished {
            let may = match topic {
                Topic::Of(Scope::Container(container)) => tree.sight(self.person, container),
                Topic::Of(Scope::Principal(Principal::User(user))) => user == self.person,
                Topic::All | Topic::Of(Scope::Principal(Principal::Everyone | Principal::Public)) => true,
            };
            assert_eq!(self.seat().may(&[topic]), may, "{} may subscribe to {topic:?}", self.person);
            if may {
                if chance.below(3) == 0 {
                    self.topics.remove(&self.subscribed);
                    self.subscribed.clear();
                }
                self.topics.add(&[topic], &None).expect("few");
                self.subscribed.push(topic);
            }
        }
        true
    }

    fn wants(&self, log: &Log, position: i64) -> bool {
        self.subscribed.iter().any(|topic| match topic {
            Topic::All => true,
            Topic::Of(scope) => log.event(position).news.subject.scopes.contains(scope),
        })
    }

    /// What is shown of everything after what was sent, as it is known now.
    fn shown(&self, gateway: &Gateway, up_to: i64) -> Vec<(i64, bool)> {
        let (log, known_at) = (&gateway.log, gateway.known_at());
        let shows = |position| self.wants(log, position) && log.shows(known_at, self.person, position);
        (self.sent + 1..=up_to).map(|position| (position, shows(position))).collect()
    }

    fn catch_up(&mut self, gateway: &mut Gateway) {
        let due = |shown: Vec<(i64, bool)>| {
            shown
                .into_iter()
                .map(|(position, is_shown)| Due { position, must: is_shown, may: is_shown })
                .collect()
        };
        match self.seat().step(&self.topics, self.sent) {
            Step::Load(unknown) => gateway.load(&unknown, Whose::Socket(self.id)),
            Step::Read { up_to } => self.search(gateway, up_to),
            Step::Send { events, up_to } => {
                gateway.counts.rings += 1;
                self.doing = Doing::Write(events, up_to, due(self.shown(gateway, up_to)));
            }
            Step::Join { events, up_to, queue } => {
                gateway.counts.joins += 1;
                self.doing = Doing::Write(events, up_to, due(self.shown(gateway, up_to)));
                self.queue = Some(queue);
            }
        }
    }

    /// Finds a page of the past, as the database does.
    fn search(&mut self, gateway: &mut Gateway, up_to: i64) {
        let scopes: HashSet<Scope> = match self.seat().scopes(&self.topics, self.sent) {
            Ok(scopes) => scopes,
            Err(unknown) => return gateway.load(&unknown, Whose::Socket(self.id)),
        };
        let log = &gateway.log;
        let is_in = |position: &i64| {
            log.event(*position).news.subject.scopes.iter().any(|scope| scopes.contains(scope))
        };
        let found: Vec<i64> = (self.sent + 1..=up_to).filter(is_in).take(gateway.page).collect();
        let next = found.last().copied().filter(|_| found.len() == gateway.page).unwrap_or(up_to);
        let page = found.into_iter().filter_map(|position| pushed(log, position, false)).collect();
        self.doing = Doing::Judge(page, next, self.shown(gateway, next));
        gateway.counts.pages += 1;
    }

    fn judge(&mut self, gateway: &mut Gateway, page: Vec<Arc<Pushed>>, up_to: i64, found: Vec<(i64, bool)>) {
        match self.seat().filter(&self.topics, &page) {
            Ok(events) => {
                // What came to be shown between search and judgement is not due: it was not looked for.
                let both = found.iter().zip(self.shown(gateway, up_to));
                let due =
                    both.map(|((_, before), (position, may))| Due { position, must: *before && may, may });
                self.doing = Doing::Write(events, up_to, due.collect());
            }
            Err(unknown) => {
                self.doing = Doing::Judge(page, up_to, found);
                gateway.load(&unknown, Whose::Socket(self.id));
            }
        }
    }

    fn write(&mut self, gateway: &mut Gateway, events: Vec<Arc<Pushed>>, up_to: i64, due: Vec<Due>) {
        match self.seat().still(&events) {
            Ok(still) => {
                let positions: Vec<i64> = still.iter().map(|event| event.position()).collect();
                self.receive(gateway, &positions, &due);
                self.sent = up_to;
                self.doing = if self.queue.is_some() { Doing::Follow } else { Doing::CatchUp };
            }
            Err(unknown) => {
                self.doing = Doing::Write(events, up_to, due);
                gateway.load(&unknown, Whose::Socket(self.id));
            }
        }
    }

    /// Takes what is queued, and few at once.
    fn follow(&mut self, gateway: &mut Gateway, chance: &mut Chance) {
        let queue = self.queue.as_mut().expect("it is live");
        let (mut taken, mut is_closed) = (Vec::new(), false);
        for _ in 0..=chance.below(4) {
            match queue.try_recv() {
                Ok(event) => taken.push(event),
                Err(why) => {
                    is_closed = why == TryRecvError::Disconnected;
                    break;
                }
            }
        }
        if let Some(last) = taken.last().map(|event| event.position()) {
            let wanted = taken.into_iter().filter(|event| self.topics.want(event)).collect();
            let due = self.due_up_to(gateway, last);
            self.doing = Doing::Write(wanted, last, due);
        } else if is_closed {
            // It was full: what else the feed has passed is found in catch-up.
            gateway.counts.overflows += 1;
            self.passed.clear();
            (self.queue, self.doing) = (None, Doing::CatchUp);
        } else if let Some(drained) = self.seat().drained(self.queue.as_ref().expect("it is live")) {
            let due = self.due_up_to(gateway, drained);
            self.receive(gateway, &[], &due);
            self.sent = drained;
        }
    }

    fn due_up_to(&mut self, gateway: &Gateway, last: i64) -> Vec<Due> {
        let later = self.passed.partition_point(|(position, _)| *position <= last);
        let passed: Vec<(i64, bool)> = self.passed.drain(..later).collect();
        let due = passed.into_iter().map(|(position, was_shown)| {
            let is_due = was_shown && self.wants(&gateway.log, position);
            Due { position, must: is_due, may: is_due }
        });
        due.collect()
    }

    /// The client gets these of what was due.
    fn receive(&mut self, gateway: &mut Gateway, positions: &[i64], due: &[Due]) {
        let (known_at, last_loss) = (gateway.known_at(), gateway.last_loss());
        for position in positions {
            let is_next = self.got.last().is_none_or(|last| last < position) && *position > self.sent;
            assert!(
                is_next,
                "a double, or out of order: {position} after {:?}, {}",
                self.got.last(),
                self.sent
            );
            let is_due = due.iter().any(|due| due.position == *position);
            assert!(is_due, "a leak: {} gets {position}, which nobody judged", self.person);
            self.got.push(*position);
        }
        for Due { position, must, may } in due {
            let got = positions.contains(position);
            let shows = gateway.log.shows(known_at, self.person, *position);
            let is_judged_again = *position < last_loss;
            gateway.counts.judged_again += u64::from(is_judged_again && *may);
            gateway.counts.taken_back += u64::from(is_judged_again && *may && !shows);
            let stands = shows || !is_judged_again;
            let said = || {
                let event = gateway.log.event(*position);
                let tree = gateway.log.at(known_at);
                let all: Vec<_> = (*position..=known_at)
                    .map(|p| {
                        (
                            p,
                            gateway.log.event(p).news.subject.effects.clone(),
                            gateway.log.event(p).news.hidden.clone(),
                            gateway.log.event(p).shape,
                        )
                    })
                    .collect();
                format!(
                    "{} and {event:?}, known at {known_at}, last loss {last_loss}, sent {} subscribed {:?}\n{tree:#?}\n{all:#?}",
                    self.person, self.sent, self.subscribed
                )
            };
            assert!(!got || *may && stands, "a leak: {}", said());
            // Only that a grant has ended is shown to somebody who has it again since.
            assert!(
                !got || shows || gateway.log.tells_of_an_end(*position),
                "a leak when written: {}",
                said()
            );
            assert!(got || !must || !stands, "a miss: {}", said());
            gateway.counts.delivered += u64::from(got);
        }
    }
}
