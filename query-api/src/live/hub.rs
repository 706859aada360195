//! What all sockets of a process share under one lock: recent events, access, and who is connected.
//!
//! One lock for all three, so that "everything up to here was sent, from here on push" is one step without a gap.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use shared::domain::access::{Container, Principal, Scope};
use shared::domain::id::UserId;
use shared::log::sight::sees;
use shared::process::auth::Caller;
use tokio::sync::{mpsc, oneshot};

use super::Settings;
use super::access::{Known, News};
use super::ring::{Pushed, Ring};
use super::topics::{Topic, Topics, may_all};

/// Why the hub ends a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Its session was ended.
    Session,
    /// Another history has begun.
    Epoch,
}

/// What was loaded for the hub.
pub(super) struct Loaded {
    /// [`Hub::turn`] before it was loaded.
    pub(super) turn: u64,
    /// Rows, at their position.
    pub(super) known: Known,
    /// What happened to access from what the hub knows until then.
    pub(super) news: Vec<News>,
}

/// What became of a socket that asked for a seat.
pub(super) enum Seated {
    /// It has one, and hears from there when it is to end.
    At(Seat, oneshot::Receiver<End>),
    /// The grants of its person must be loaded, or are too old.
    Unknown,
    /// Its person has as many sockets open as one may have.
    Full,
}

/// The next thing that a socket in catch-up does.
pub(super) enum Step {
    /// Sends these, and asks again after `up_to`.
    Send { events: Vec<Arc<Pushed>>, up_to: i64 },
    /// Sends these, says that it is live at `up_to`, and takes what comes from the queue.
    Join { events: Vec<Arc<Pushed>>, up_to: i64, queue: mpsc::Receiver<Arc<Pushed>> },
    /// Reads from the database, up to here at most: the ring does not reach back.
    Read { up_to: i64 },
    /// Loads where these are, and asks again.
    Load(Vec<Container>),
}

struct Socket {
    caller: Caller,
    /// Present while it is live. Dropped when full: the socket then goes back into catch-up.
    queue: Option<mpsc::Sender<Arc<Pushed>>>,
    /// It has everything up to here by other ways.
    after: i64,
    end: Option<oneshot::Sender<End>>,
}

struct State {
    epoch: String,
    ring: Ring,
    /// True at the position of the feed or later.
    known: Known,
    /// What of it the feed has yet to come to, in order.
    ahead: Vec<News>,
    /// How often all that is known was begun anew: what was read before the last time is of other tables.
    turn: u64,
    sockets: HashMap<u64, Socket>,
    of_person: HashMap<UserId, HashSet<u64>>,
    next_id: u64,
}

/// See the module.
pub(super) struct Hub {
    state: Mutex<State>,
    queue: usize,
    page: usize,
    places: usize,
    sockets_each: usize,
}

/// A place in the hub; leaving it frees what was kept for the socket.
pub(super) struct Seat {
    hub: Arc<Hub>,
    id: u64,
    user: UserId,
}

impl Hub {
    pub(super) fn new(settings: &Settings) -> Self {
        let state = State {
            epoch: String::new(),
            ring: Ring::new(settings.ring_events, settings.ring_bytes),
            known: Known::default(),
            ahead: Vec::new(),
            turn: 0,
            sockets: HashMap::new(),
            of_person: HashMap::new(),
            next_id: 0,
        };
        Self {
            state: Mutex::new(state),
            queue: settings.queue,
            page: settings.page,
            places: settings.places,
            sockets_each: settings.sockets_each,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding the hub")
    }

    /// The epoch and how far the feed is; the epoch is empty until the feed has begun.
    pub(super) fn position(&self) -> (String, i64) {
        let state = self.state();
        (state.epoch.clone(), state.ring.position())
    }

    /// Begins (again) after a position, in an epoch. Sockets of the epoch before are ended.
    pub(super) fn restart(&self, epoch: &str, position: i64) {
        let mut state = self.state();
        epoch.clone_into(&mut state.epoch);
        state.ring.restart(position);
        state.known = Known::nothing(epoch, position, &[]);
        state.ahead.clear();
        state.turn += 1;
        for socket in state.sockets.values_mut() {
            socket.end(End::Epoch);
        }
    }

    /// The position at which all that is known of access is true.
    pub(super) fn known_at(&self) -> i64 {
        self.state().known.position()
    }

    /// To be asked before something is loaded, and given back with it.
    pub(super) fn turn(&self) -> u64 {
        self.state().turn
    }

    /// Which of these must be loaded before it is known whether they can be seen.
    pub(super) fn unknown(&self, containers: &[Container]) -> Vec<Container> {
        self.state().known.unknown(containers.iter().copied())
    }

    /// Takes in what was loaded, and what happened from what is known until then; false when what was loaded is too old,
    /// or of tables or a history that were left meanwhile, so that it must be loaded again.
    pub(super) fn take_in(&self, loaded: Loaded) -> bool {
        let mut state = self.state();
        state.known.shrink(self.places);
        state.take_in(loaded)
    }

    /// Pushes events, in order, to whoever may see them, and moves on to `up_to`. Gives back those that are left when one
    /// cannot be judged, with what must be loaded first; asked under the lock, as somebody may have come just now.
    pub(super) fn push(
        &self,
        events: Vec<Arc<Pushed>>,
        up_to: i64,
    ) -> Result<(), (Vec<Arc<Pushed>>, Vec<Container>)> {
        let mut state = self.state();
        let mut events = events.into_iter();
        while let Some(event) = events.next() {
            if let Err(unknown) = state.push(&event) {
                return Err((std::iter::once(event).chain(events).collect(), unknown));
            }
        }
        state.ring.pass_over(up_to);
        state.known.reach(up_to);
        state.known.shrink(self.places);
        Ok(())
    }

    /// Of whom the grants must be loaded before a person can have a seat.
    pub(super) fn strangers(&self, user: UserId) -> Vec<Principal> {
        self.state().strangers(user)
    }

    /// Seats a socket; without what was loaded, only if its person is known already.
    pub(super) fn seat(self: &Arc<Self>, caller: Caller, loaded: Option<Loaded>) -> Seated {
        let mut state = self.state();
        if state.of_person.get(&caller.user).is_some_and(|open| open.len() >= self.sockets_each) {
            return Seated::Full;
        }
        if let Some(loaded) = loaded {
            state.take_in(loaded);
        }
        if !state.strangers(caller.user).is_empty() {
            return Seated::Unknown;
        }
        let id = state.next_id;
        state.next_id += 1;
        let (end, ended) = oneshot::channel();
        state.sockets.insert(id, Socket { caller, queue: None, after: 0, end: Some(end) });
        state.of_person.entry(caller.user).or_default().insert(id);
        Seated::At(Seat { hub: Arc::clone(self), id, user: caller.user }, ended)
    }

    /// The tables were rebuilt: what was read until now is of others, and not taken in any more. Gives back of whom the
    /// grants are known, which are to be read again.
    pub(super) fn leave_tables(&self) -> Vec<Principal> {
        let mut state = self.state();
        state.turn += 1;
        state.known.principals().collect()
    }

    /// Takes in grants as they are in tables that were rebuilt, where containers that were hidden may be seen again; false
    /// when they are too old, so that they must be loaded again.
    pub(super) fn readmit(&self, loaded: Loaded) -> bool {
        let mut state = self.state();
        state.known.forget_places();
        if !state.take_in(loaded) {
            return false;
        }
        // A person who has left meanwhile stays away.
        let strangers: Vec<Principal> =
            state.known.principals().filter(|principal| state.has_left(*principal)).collect();
        for principal in strangers {
            state.known.dismiss(principal);
        }
        true
    }

    /// Ends the sockets of whom `is_ended` says so.
    pub(super) fn sweep(&self, is_ended: impl Fn(&Caller) -> bool) {
        for socket in self.state().sockets.values_mut() {
            if is_ended(&socket.caller) {
                socket.end(End::Session);
            }
        }
    }
}

impl State {
    fn strangers(&self, user: UserId) -> Vec<Principal> {
        let all = [Principal::User(user), Principal::Everyone, Principal::Public];
        all.into_iter().filter(|principal| !self.known.knows(*principal)).collect()
    }

    fn has_left(&self, principal: Principal) -> bool {
        match principal {
            Principal::User(user) => !self.of_person.contains_key(&user),
            Principal::Everyone | Principal::Public => false,
        }
    }

    /// Brings what is known and what was loaded to one position, the later one; `news` is all that happened between them,
    /// if what was loaded is later.
    fn take_in(&mut self, Loaded { turn, known: mut loaded, news }: Loaded) -> bool {
        if turn != self.turn {
            return false;
        }
        let is_of_today = loaded.epoch() == self.epoch;
        if !is_of_today {
            // The tables do not hold this history yet: at its beginning there was nothing.
            loaded = loaded.before_all(&self.epoch);
        }
        for news in news {
            if is_of_today && news.position() > self.known.position() {
                self.known.follow(&news);
                self.ahead.push(news);
            }
        }
        self.known.reach(loaded.position());
        let Some(missed) = self.ring.after(loaded.position()) else { return false };
        for event in missed {
            loaded.apply(&event.news);
        }
        for news in &self.ahead {
            loaded.apply(news);
        }
        self.known.merge(loaded);
        true
    }

    /// `Err`: what must be loaded before it can be judged.
    fn push(&mut self, event: &Arc<Pushed>) -> Result<(), Vec<Container>> {
        let is_new = event.news.position() > self.known.position();
        self.known.follow(&event.news);
        let subject = &event.news.subject;
        let concerned = self.known.concerned(subject);
        // People who have something in a container hear of its state too. Who they are is known only once it is known where
        // their things are.
        if !concerned.is_empty() || Known::is_about_state(subject) {
            let unknown = self.known.needs(subject);
            if !unknown.is_empty() {
                // The feed has yet to come to it, but it is known.
                self.ahead.extend(is_new.then(|| event.news.clone()));
                return Err(unknown);
            }
        }
        for user in concerned {
            if event.frame.is_some() && sees(&self.known, user, &event.news.subject) {
                for id in self.of_person.get(&user).into_iter().flatten() {
                    if let Some(socket) = self.sockets.get_mut(id) {
                        socket.offer(event);
                    }
                }
            }
        }
        if event.event_type == "SessionEnded" {
            let ended = |socket: &&mut Socket| socket.caller.session.to_string() == event.aggregate;
            self.sockets.values_mut().filter(ended).for_each(|socket| socket.end(End::Session));
        }
        self.ahead.retain(|news| news.position() > event.position());
        self.ring.push(Arc::clone(event));
        Ok(())
    }
}

impl Socket {
    fn offer(&mut self, event: &Arc<Pushed>) {
        if event.position() > self.after
            && let Some(queue) = &self.queue
            && queue.try_send(Arc::clone(event)).is_err()
        {
            // The receiver takes what is queued, then sees the end and catches up from there.
            self.queue = None;
        }
    }

    fn end(&mut self, why: End) {
        if let Some(end) = self.end.take() {
            // A socket that has closed by itself no longer listens.
            _ = end.send(why);
        }
    }
}

impl Seat {
    pub(super) fn user(&self) -> UserId {
        self.user
    }

    /// Takes a newer token's caller.
    pub(super) fn renew(&self, caller: Caller) {
        if let Some(socket) = self.hub.state().sockets.get_mut(&self.id) {
            socket.caller = caller;
        }
    }

    /// Whether the person may subscribe to all of these. Where they are must be known.
    pub(super) fn may(&self, topics: &[Topic]) -> bool {
        may_all(&self.hub.state().known, self.user, topics)
    }

    /// The scopes by which the past after a position is searched; `Err`: what must be loaded first.
    pub(super) fn scopes(&self, topics: &Topics, after: i64) -> Result<HashSet<Scope>, Vec<Container>> {
        let mut scopes: HashSet<Scope> = topics.scopes().collect();
        if topics.all() {
            scopes.extend(self.hub.state().known.scopes_of(self.user, after)?);
        }
        Ok(scopes)
    }

    /// What to do after `after`; see [`Step`].
    pub(super) fn step(&self, topics: &Topics, after: i64) -> Step {
        let mut state = self.hub.state();
        let reached = state.ring.position();
        let Some(missed) = state.ring.after(after) else { return Step::Read { up_to: reached } };
        let (mut events, mut unknown, mut up_to) = (Vec::new(), Vec::new(), reached);
        for event in missed {
            if events.len() == self.hub.page {
                break;
            }
            if topics.want(event) {
                unknown.extend(state.known.needs(&event.news.subject));
            }
            if topics.show(&state.known, self.user, event) {
                events.push(Arc::clone(event));
            }
            up_to = event.position();
        }
        if !unknown.is_empty() {
            return Step::Load(unknown);
        }
        if events.len() == self.hub.page && up_to < reached {
            return Step::Send { events, up_to };
        }
        let up_to = reached.max(after);
        let (sender, queue) = mpsc::channel(self.hub.queue);
        if let Some(socket) = state.sockets.get_mut(&self.id) {
            socket.after = up_to;
            socket.queue = Some(sender);
        }
        Step::Join { events, up_to, queue }
    }

    /// What of a page from the database is to be sent; `Err`: what must be loaded first.
    pub(super) fn filter(
        &self,
        topics: &Topics,
        page: &[Arc<Pushed>],
    ) -> Result<Vec<Arc<Pushed>>, Vec<Container>> {
        let state = self.hub.state();
        let wanted = || page.iter().filter(|event| topics.want(event));
        let unknown: Vec<_> = wanted().flat_map(|event| state.known.needs(&event.news.subject)).collect();
        if !unknown.is_empty() {
            return Err(unknown);
        }
        Ok(wanted().filter(|event| topics.show(&state.known, self.user, event)).cloned().collect())
    }

    /// What of events that were judged before may still be seen, if somebody has lost sight of something since; `Err`: what
    /// must be loaded first.
    pub(super) fn still(&self, events: &[Arc<Pushed>]) -> Result<Vec<Arc<Pushed>>, Vec<Container>> {
        let state = self.hub.state();
        let doubtful = |event: &Pushed| event.position() < state.known.last_loss();
        let unknown: Vec<_> = events
            .iter()
            .filter(|event| doubtful(event))
            .flat_map(|event| state.known.needs(&event.news.subject))
            .collect();
        if !unknown.is_empty() {
            return Err(unknown);
        }
        let stands =
            |event: &&Arc<Pushed>| !doubtful(event) || sees(&state.known, self.user, &event.news.subject);
        Ok(events.iter().filter(stands).cloned().collect())
    }

    /// Up to where the socket has been sent everything, if it has nothing queued.
    pub(super) fn drained(&self, queue: &mpsc::Receiver<Arc<Pushed>>) -> Option<i64> {
        let state = self.hub.state();
        let socket = state.sockets.get(&self.id)?;
        let idle = queue.is_empty() && socket.queue.is_some();
        idle.then(|| state.ring.position().max(socket.after))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.hub.state();
        state.sockets.remove(&self.id);
        let Some(others) = state.of_person.get_mut(&self.user) else { return };
        others.remove(&self.id);
        if others.is_empty() {
            state.of_person.remove(&self.user);
            state.known.dismiss(Principal::User(self.user));
        }
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
