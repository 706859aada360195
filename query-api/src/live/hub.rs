//! What all sockets of a process share under one lock: recent events, access, and who is connected.
//!
//! One lock for all three, so that "everything up to here was sent, from here on push" is one step without a gap.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use shared::domain::access::Role;
use shared::domain::id::{NotebookId, UserId};
use shared::log::visibility::{Placed, Scope, sees};
use shared::process::auth::Caller;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::Settings;
use super::access::{Change, Known, Loaded};
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

/// What became of a socket that asked for a seat.
pub(super) enum Seated {
    /// It has one, and hears from there when it is to end.
    At(Seat, oneshot::Receiver<End>),
    /// Its person's roles must be loaded, or are too old.
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
    /// Loads where these stand, and asks again.
    Load(Vec<Placed>),
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
    known: Known,
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
        state.known.clear();
        for socket in state.sockets.values_mut() {
            socket.end(End::Epoch);
        }
    }

    pub(super) fn unknown(&self, placed: Vec<Placed>) -> Vec<Placed> {
        let state = self.state();
        placed.into_iter().filter(|placed| !state.known.knows_place(*placed)).collect()
    }

    /// Takes in where things stand, and what the events between the feed and then change; false when the ring cannot bring
    /// it up to date, so that it must be loaded again.
    pub(super) fn place(&self, loaded: &Loaded<(Placed, Option<Uuid>)>, ahead: &[(i64, Change)]) -> bool {
        let mut state = self.state();
        if state.ring.after(loaded.as_of).is_none() {
            return false;
        }
        state.shrink(self.places);
        state.known.place(loaded);
        state.known.foresee(ahead);
        state.replay(loaded.as_of);
        true
    }

    /// Pushes events, in order, to whoever may see them, and moves on to `up_to`. Gives them back with what must
    /// be placed first; asked under the lock, as somebody may have come just now. While nobody is connected nothing must.
    pub(super) fn push(&self, events: Vec<Pushed>, up_to: i64) -> Result<(), (Vec<Pushed>, Vec<Placed>)> {
        let mut state = self.state();
        if !state.sockets.is_empty() {
            let mut unplaced = Unplaced::new(&state.known);
            for event in &events {
                unplaced.look(event);
            }
            let unplaced = unplaced.needed;
            if !unplaced.is_empty() {
                return Err((events, unplaced.into_iter().collect()));
            }
        }
        for event in events {
            state.push(Arc::new(event));
        }
        state.ring.pass_over(up_to);
        state.known.reached(up_to);
        state.shrink(self.places);
        Ok(())
    }

    /// Seats a socket; without `roles`, only if its person is known already.
    pub(super) fn seat(
        self: &Arc<Self>,
        caller: Caller,
        roles: Option<&Loaded<(NotebookId, Role)>>,
    ) -> Seated {
        let mut state = self.state();
        if state.of_person.get(&caller.user).is_some_and(|open| open.len() >= self.sockets_each) {
            return Seated::Full;
        }
        if !state.known.knows_person(caller.user) {
            let Some(roles) = roles.filter(|roles| state.ring.after(roles.as_of).is_some()) else {
                return Seated::Unknown;
            };
            state.known.add_person(caller.user, roles);
            state.replay(roles.as_of);
        }
        let id = state.next_id;
        state.next_id += 1;
        let (end, ended) = oneshot::channel();
        state.sockets.insert(id, Socket { caller, queue: None, after: 0, end: Some(end) });
        state.of_person.entry(caller.user).or_default().insert(id);
        Seated::At(Seat { hub: Arc::clone(self), id, user: caller.user }, ended)
    }

    /// The connected persons.
    pub(super) fn people(&self) -> Vec<UserId> {
        self.state().of_person.keys().copied().collect()
    }

    /// Takes in roles as they are in tables that were rebuilt, where notes that were hidden may stand again; false when
    /// the ring cannot bring them up to date, so that they must be loaded again.
    pub(super) fn readmit(&self, people: &HashMap<UserId, Loaded<(NotebookId, Role)>>) -> bool {
        let mut state = self.state();
        if people.values().any(|roles| state.ring.after(roles.as_of).is_none()) {
            return false;
        }
        state.known.unhide();
        for (user, roles) in people {
            // A person who has left meanwhile stays away.
            if state.of_person.contains_key(user) {
                state.known.dismiss(*user);
                state.known.add_person(*user, roles);
            }
        }
        if let Some(as_of) = people.values().map(|roles| roles.as_of).min() {
            state.replay(as_of);
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
    /// The places of the ring's things are always kept: their news may be needed to bring loaded rows up to date.
    fn shrink(&mut self, places: usize) {
        let Self { known, ring, .. } = self;
        known.shrink(places, || ring.iter().filter_map(|event| event.subject.resource.placed()).collect());
    }

    /// Brings what was loaded at `as_of` up to the feed.
    fn replay(&mut self, as_of: i64) {
        for event in self.ring.after(as_of).into_iter().flatten() {
            self.known.apply_all(event.position, &event.changes);
        }
    }

    fn push(&mut self, event: Arc<Pushed>) {
        self.known.apply_all(event.position, &event.changes);
        for user in self.known.candidates(&event.subject) {
            if sees(&self.known, user, &event.subject) {
                for id in self.of_person.get(&user).into_iter().flatten() {
                    if let Some(socket) = self.sockets.get_mut(id) {
                        socket.offer(&event);
                    }
                }
            }
        }
        if event.event_type == "SessionEnded" {
            let ended = |socket: &&mut Socket| socket.caller.session.to_string() == event.aggregate;
            self.sockets.values_mut().filter(ended).for_each(|socket| socket.end(End::Session));
        }
        self.ring.push(event);
    }
}

impl Socket {
    fn offer(&mut self, event: &Arc<Pushed>) {
        if event.position > self.after
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

    /// Whether the person may subscribe to all of these. The places of those must be known.
    pub(super) fn may(&self, topics: &[Topic]) -> bool {
        may_all(&self.hub.state().known, self.user, topics)
    }

    /// The scopes by which the past is searched.
    pub(super) fn scopes(&self, topics: &Topics) -> HashSet<Scope> {
        let mut scopes: HashSet<Scope> = topics.scopes().collect();
        if topics.all() {
            scopes.extend(self.hub.state().known.scopes_of(self.user));
        }
        scopes
    }

    /// What to do after `after`; see [`Step`].
    pub(super) fn step(&self, topics: &Topics, after: i64) -> Step {
        let mut state = self.hub.state();
        let reached = state.ring.position();
        let Some(missed) = state.ring.after(after) else { return Step::Read { up_to: reached } };
        let (mut events, mut unplaced, mut up_to) = (Vec::new(), Unplaced::new(&state.known), reached);
        for event in missed {
            if events.len() == self.hub.page {
                break;
            }
            if topics.want(event) {
                unplaced.look(event);
            }
            if topics.show(&state.known, self.user, event) {
                events.push(Arc::clone(event));
            }
            up_to = event.position;
        }
        if !unplaced.needed.is_empty() {
            return Step::Load(unplaced.needed.into_iter().collect());
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

    /// What of a page from the database may be seen; `Err`: what must be placed first.
    pub(super) fn filter(
        &self,
        topics: &Topics,
        page: &[Arc<Pushed>],
    ) -> Result<Vec<Arc<Pushed>>, Vec<Placed>> {
        let state = self.hub.state();
        let unplaced: HashSet<Placed> =
            page.iter().flat_map(|event| state.known.needs(&event.subject, &HashMap::new())).collect();
        if !unplaced.is_empty() {
            return Err(unplaced.into_iter().collect());
        }
        let shown = |event: &&Arc<Pushed>| topics.show(&state.known, self.user, event);
        Ok(page.iter().filter(shown).cloned().collect())
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
            state.known.dismiss(self.user);
        }
    }
}

/// What events need to have placed, in the order in which they will be taken in.
struct Unplaced<'k> {
    known: &'k Known,
    /// Where those before put things.
    new: HashMap<Placed, Uuid>,
    needed: HashSet<Placed>,
}

impl<'k> Unplaced<'k> {
    fn new(known: &'k Known) -> Self {
        Self { known, new: HashMap::new(), needed: HashSet::new() }
    }

    fn look(&mut self, event: &Pushed) {
        for change in &event.changes {
            if let Change::Place(placed, inside) = change {
                self.new.insert(*placed, *inside);
            }
        }
        self.needed.extend(self.known.needs(&event.subject, &self.new));
    }
}
