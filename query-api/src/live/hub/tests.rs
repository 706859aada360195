//! The hub without database and sockets: what is known is true at one position, and who is shown what by it.

use axum::extract::ws::Utf8Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use shared::domain::access::{Effect, Grant, Kind, Left, Role};
use shared::domain::clock::Clock;
use shared::domain::id::SessionId;
use shared::log::sight::{Access, Subject};
use uuid::Uuid;

use super::*;
use crate::live::access::{Hidden, Place};

const ADA: UserId = UserId(Uuid::from_u128(0xada));
const BOB: UserId = UserId(Uuid::from_u128(0xb0b));
const LAB: Container = Container { kind: Kind::Notebook, id: Uuid::from_u128(1) };
const SAFE: Container = Container { kind: Kind::Notebook, id: Uuid::from_u128(2) };
const NOTE: Container = Container { kind: Kind::Note, id: Uuid::from_u128(3) };
const DIARY: Container = Container { kind: Kind::Note, id: Uuid::from_u128(4) };

const PRINCIPALS: [Principal; 4] =
    [Principal::User(ADA), Principal::User(BOB), Principal::Everyone, Principal::Public];
const CONTAINERS: [Container; 4] = [LAB, SAFE, NOTE, DIARY];

fn news(position: i64, scopes: &[Scope], effects: &[Effect]) -> News {
    let subject = Subject {
        position,
        owner: scopes.first().copied(),
        scopes: scopes.to_vec(),
        effects: effects.to_vec(),
    };
    News { subject, hidden: Vec::new() }
}

fn within(containers: &[Container]) -> Vec<Scope> {
    containers.iter().copied().map(Scope::Container).collect()
}

/// A note goes from a notebook to another one.
fn moved(position: i64, note: Container, from: Container, to: Container) -> News {
    let left = Left { container: from, parent: None };
    let effects = [Effect::Left(left), Effect::Inside(to), Effect::Cleared(note)];
    news(position, &within(&[note, from, to]), &effects)
}

fn granted(position: i64, container: Container, user: UserId) -> News {
    let principal = Principal::User(user);
    let effect = Effect::Granted { container, principal, role: Role::Viewer };
    news(position, &[Scope::Container(container), Scope::Principal(principal)], &[effect])
}

fn revoked(position: i64, container: Container, user: UserId) -> News {
    let principal = Principal::User(user);
    let effect = Effect::Revoked { container, principal };
    news(position, &[Scope::Container(container), Scope::Principal(principal)], &[effect])
}

fn pushed(news: News) -> Arc<Pushed> {
    let frame = Some(Utf8Bytes::from_static("{}"));
    Arc::new(Pushed { event_type: String::new(), news, aggregate: String::new(), frame })
}

/// Something is written in a note.
fn written(position: i64, note: Container, notebook: Container) -> Arc<Pushed> {
    pushed(news(position, &within(&[note, notebook]), &[]))
}

/// Grants that were loaded at a position, each with its container and since when.
fn grants(position: i64, user: UserId, held: &[(Container, i64)]) -> Known {
    let all = [Principal::User(user), Principal::Everyone, Principal::Public];
    let mut known = Known::nothing("e", position, &all);
    for (container, since) in held {
        let grant = Grant { role: Role::Viewer, since: *since, until: None };
        known.put_grant(*container, Principal::User(user), grant);
    }
    known
}

fn places(position: i64, inside: &[(Container, Option<Container>)]) -> Known {
    let mut known = Known::nothing("e", position, &[]);
    for (container, parent) in inside {
        known.put_place(*container, Some(Place { parent: *parent, ..Place::default() }));
    }
    known
}

/// A hub whose feed is at 100.
fn hub() -> Arc<Hub> {
    let hub = Arc::new(Hub::new(&Settings::default()));
    hub.restart("e", 100);
    hub
}

fn take_in(hub: &Hub, known: Known, news: &[News]) -> bool {
    hub.take_in(Loaded { turn: hub.turn(), known, news: news.to_vec() })
}

fn seat(hub: &Arc<Hub>, user: UserId, loaded: Known, news: Vec<News>) -> Option<Seat> {
    let expires_at = Clock::System.now();
    let caller = Caller { user, session: SessionId(Uuid::from_u128(9)), expires_at };
    match hub.seat(caller, Some(Loaded { turn: hub.turn(), known: loaded, news })) {
        Seated::At(seat, _) => Some(seat),
        Seated::Unknown | Seated::Full => None,
    }
}

/// A socket for everything that is live from the position of the feed on.
fn live(seat: &Seat) -> mpsc::Receiver<Arc<Pushed>> {
    match seat.step(&all(), seat.hub.position().1) {
        Step::Join { queue, .. } => queue,
        Step::Send { .. } | Step::Read { .. } | Step::Load(_) => panic!("it has missed nothing"),
    }
}

fn all() -> Topics {
    let mut topics = Topics::default();
    topics.add(&[Topic::All], &None).expect("one topic");
    topics
}

fn taken(queue: &mut mpsc::Receiver<Arc<Pushed>>) -> Vec<Arc<Pushed>> {
    std::iter::from_fn(|| queue.try_recv().ok()).collect()
}

fn positions(events: &[Arc<Pushed>]) -> Vec<i64> {
    events.iter().map(|event| event.position()).collect()
}

/// Pushes an event about which all is known.
fn push(hub: &Hub, event: Arc<Pushed>) {
    let position = event.position();
    assert!(hub.push(vec![event], position).is_ok(), "all is known");
}

#[test]
fn a_person_who_comes_later_is_not_shown_what_had_left_by_then() {
    // The feed is at 100. 103: the note leaves the lab. 115: Bob joins the lab.
    let happened = || vec![moved(103, NOTE, LAB, SAFE), granted(115, LAB, BOB)];
    for placed_first in [true, false] {
        let hub = hub();
        let place = || places(100, &[(NOTE, Some(LAB)), (LAB, None), (SAFE, None)]);
        if placed_first {
            assert!(take_in(&hub, place(), &[]));
        }
        let bob = seat(&hub, BOB, grants(120, BOB, &[(LAB, 115)]), happened()).expect("all is known");
        if !placed_first {
            assert!(take_in(&hub, place(), &[]));
        }
        let mut queue = live(&bob);
        push(&hub, written(101, NOTE, LAB));
        push(&hub, written(102, NOTE, LAB));
        assert!(positions(&taken(&mut queue)).is_empty());
    }
}

#[test]
fn what_went_into_a_newer_notebook_of_mine_is_seen_before_the_feed_comes_there() {
    // 105: Ada, who has the lab, gets the safe too. 106: the note goes there. Its place is loaded at 120.
    let hub = hub();
    let ada = seat(&hub, ADA, grants(100, ADA, &[(LAB, 1)]), vec![]).expect("all is known");
    let mut queue = live(&ada);
    let (event, unknown) = hub.push(vec![written(101, NOTE, LAB)], 101).expect_err("the note is not known");
    assert_eq!(unknown, [NOTE]);
    let loaded = places(120, &[(NOTE, Some(SAFE)), (SAFE, None), (LAB, None)]);
    assert!(take_in(&hub, loaded, &[granted(105, SAFE, ADA), moved(106, NOTE, LAB, SAFE)]));
    assert!(hub.push(event, 101).is_ok());
    assert_eq!(positions(&taken(&mut queue)), [101]);
    // A stranger who comes now sees nothing of it.
    let bob = seat(&hub, BOB, grants(101, BOB, &[]), vec![]).expect("the ring reaches back");
    assert!(matches!(bob.step(&all(), 100), Step::Join { events, .. } if events.is_empty()));
}

#[test]
fn a_grant_that_was_taken_again_is_not_given_a_second_time() {
    let hub = hub();
    assert!(take_in(&hub, places(100, &[(LAB, None)]), &[]));
    // 113: granted. 118: revoked. Loaded at 120.
    let (given, ended) = (granted(113, LAB, BOB), revoked(118, LAB, BOB));
    let mut loaded = grants(120, BOB, &[]);
    let grant = Grant { role: Role::Viewer, since: 113, until: Some(118) };
    loaded.put_grant(LAB, Principal::User(BOB), grant);
    let bob = seat(&hub, BOB, loaded, vec![given.clone(), ended.clone()]).expect("all is known");
    let mut queue = live(&bob);
    push(&hub, pushed(given));
    push(&hub, pushed(news(114, &within(&[LAB]), &[])));
    push(&hub, pushed(ended));
    assert_eq!(positions(&taken(&mut queue)), [113, 118], "only what names him");
}

#[test]
fn what_waits_is_judged_again_when_it_is_written() {
    let hub = hub();
    assert!(take_in(&hub, places(100, &[(LAB, None), (NOTE, Some(LAB))]), &[]));
    let bob = seat(&hub, BOB, grants(100, BOB, &[(LAB, 1)]), vec![]).expect("all is known");
    let mut queue = live(&bob);
    push(&hub, written(101, NOTE, LAB));
    push(&hub, written(102, NOTE, LAB));
    let waiting = taken(&mut queue);
    assert_eq!(positions(&bob.still(&waiting).expect("all is known")), [101, 102]);
    push(&hub, pushed(revoked(103, LAB, BOB)));
    let waiting: Vec<_> = waiting.into_iter().chain(taken(&mut queue)).collect();
    assert_eq!(positions(&waiting), [101, 102, 103]);
    assert_eq!(positions(&bob.still(&waiting).expect("all is known")), [103], "that it has ended names him");
}

#[test]
fn news_of_the_trash_reaches_who_has_a_note_in_it() {
    let hub = hub();
    let bob = seat(&hub, BOB, grants(100, BOB, &[(NOTE, 50)]), vec![]).expect("all is known");
    let ada = seat(&hub, ADA, grants(100, ADA, &[(LAB, 1)]), vec![]).expect("all is known");
    let (mut bobs, mut adas) = (live(&bob), live(&ada));
    let trashed = pushed(news(101, &within(&[LAB]), &[Effect::Trashed(LAB)]));
    let (trashed, unknown) = hub.push(vec![trashed], 101).expect_err("nothing is known");
    assert!(unknown.contains(&LAB) && unknown.contains(&NOTE), "{unknown:?}");
    assert!(take_in(&hub, places(101, &[(LAB, None), (NOTE, Some(LAB))]), &[]));
    // The rows are of before it, as it were: what happened since is applied to them.
    assert!(hub.push(trashed, 101).is_ok());
    assert_eq!((positions(&taken(&mut bobs)), positions(&taken(&mut adas))), (vec![101], vec![101]));
}

#[test]
fn what_is_loaded_too_late_is_loaded_again() {
    let hub = Arc::new(Hub::new(&Settings { ring_events: 2, ..Settings::default() }));
    hub.restart("e", 100);
    for position in 101..=105 {
        push(&hub, pushed(news(position, &[], &[])));
    }
    assert!(seat(&hub, BOB, grants(102, BOB, &[]), vec![]).is_none());
    assert!(!take_in(&hub, places(102, &[(LAB, None)]), &[]));
    assert!(seat(&hub, BOB, grants(103, BOB, &[]), vec![]).is_some());
    assert!(!take_in(&hub, Known::nothing("another history", 105, &[]), &[]));
}

/// What was recorded, and what can be asked of tables at each position.
struct Log {
    news: Vec<News>,
    /// All that is true after so many events.
    truth: Vec<Known>,
}

impl Log {
    fn of(wishes: &[[u8; 4]]) -> Self {
        let mut log = Self { news: Vec::new(), truth: Vec::new() };
        for count in 0..=wishes.len() {
            let mut known = Known::nothing("e", 0, &PRINCIPALS);
            for container in CONTAINERS {
                known.put_place(container, Some(Place::default()));
            }
            for news in &log.news {
                known.follow(news);
            }
            if let Some(wish) = wishes.get(count) {
                log.news.push(happens(&known, i64::try_from(count).expect("few") + 1, *wish));
            }
            log.truth.push(known);
        }
        log
    }

    fn at(&self, position: i64) -> &Known {
        &self.truth[usize::try_from(position).expect("a position")]
    }

    fn between(&self, after: i64, up_to: i64) -> Vec<News> {
        self.news.iter().filter(|news| news.position() > after && news.position() <= up_to).cloned().collect()
    }

    /// The rows of the tables at a position.
    fn loads(&self, position: i64, principals: &[Principal], containers: &[Container]) -> Known {
        let (truth, mut known) = (self.at(position), Known::nothing("e", position, principals));
        for principal in principals {
            for container in CONTAINERS {
                if let Some(grant) = truth.grant(container, *principal) {
                    known.put_grant(container, *principal, grant);
                }
            }
        }
        for container in containers {
            known.put_place(*container, truth.place(*container));
        }
        known
    }
}

/// Something that may happen: what is in the trash leaves it with every move, and what is quarantined stays so.
fn happens(now: &Known, position: i64, [kind, a, b, c]: [u8; 4]) -> News {
    let container = CONTAINERS[usize::from(a) % CONTAINERS.len()];
    let principal = PRINCIPALS[usize::from(b) % PRINCIPALS.len()];
    let (note, to) = ([NOTE, DIARY][usize::from(a) % 2], [LAB, SAFE][usize::from(c) % 2]);
    let role = [Role::Viewer, Role::Editor, Role::Owner][usize::from(c) % 3];
    let (owner, effects) = match kind % 8 {
        0 | 1 => (container, vec![Effect::Granted { container, principal, role }]),
        2 => (container, vec![Effect::Revoked { container, principal }]),
        3 => (note, vec![Effect::Restored(note), Effect::Inside(to), Effect::Cleared(note)]),
        4 => (container, vec![Effect::Trashed(container)]),
        5 => (container, vec![Effect::Restored(container)]),
        6 => (container, vec![Effect::Cleared(container)]),
        _ => (container, Vec::new()),
    };
    let mut news = news(position, &within(&[owner]), &effects);
    let is_hidden = now.place(owner).is_some_and(|place| place.hidden);
    news.hidden.extend((is_hidden || c > 240).then_some(Hidden::Container(owner)));
    let whose = if c.is_multiple_of(2) { Some(principal) } else { None };
    news.hidden.extend((c > 230 && kind.is_multiple_of(8)).then_some(Hidden::Grants(container, whose)));
    news
}

/// Whatever is loaded, at whatever position, and however far the feed is: all that is known is what the tables say at one
/// position.
fn is_true_at_one_position(wishes: &[[u8; 4]], steps: &[[u8; 4]]) -> Result<(), TestCaseError> {
    let log = Log::of(wishes);
    let head = i64::try_from(wishes.len()).expect("few");
    let hub = Hub::new(&Settings { ring_events: 6, places: 3, ..Settings::default() });
    hub.restart("e", 0);
    // A load takes time: what it read is taken in when more has happened.
    let mut late: Option<(Known, Vec<News>)> = None;
    for [kind, a, b, c] in steps {
        let feed = hub.position().1;
        let some = |all: &[Container]| -> Vec<Container> {
            all.iter().enumerate().filter(|(nth, _)| b >> nth & 1 == 1).map(|(_, one)| *one).collect()
        };
        let reads = (feed + i64::from(a % 5)).min(head);
        match kind % 4 {
            0 | 1 if feed < head => {
                let event = pushed(log.news[usize::try_from(feed).expect("a position")].clone());
                while let Err((_, unknown)) = hub.push(vec![Arc::clone(&event)], feed + 1) {
                    let loaded = log.loads(feed + 1, &[], &unknown);
                    take_in(&hub, loaded, &log.between(hub.known_at(), feed + 1));
                }
            }
            2 => {
                if let Some((loaded, news)) = late.take() {
                    take_in(&hub, loaded, &news);
                }
                let principals: Vec<Principal> = PRINCIPALS
                    .iter()
                    .enumerate()
                    .filter(|(nth, _)| c >> nth & 1 == 1)
                    .map(|(_, one)| *one)
                    .collect();
                late = Some((
                    log.loads(reads, &principals, &some(&CONTAINERS)),
                    log.between(hub.known_at(), reads),
                ));
            }
            _ => {
                if let Some((loaded, news)) = late.take() {
                    take_in(&hub, loaded, &news);
                }
            }
        }
        let state = hub.state();
        let truth = log.at(state.known.position());
        prop_assert!(state.known.position() >= state.ring.position());
        for container in CONTAINERS {
            if state.known.unknown([container]).is_empty() {
                prop_assert_eq!(state.known.place(container), truth.place(container), "{}", container);
            }
            for principal in PRINCIPALS.into_iter().filter(|principal| state.known.knows(*principal)) {
                prop_assert_eq!(
                    state.known.grant(container, principal),
                    truth.grant(container, principal),
                    "{} {}",
                    container,
                    principal
                );
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn all_that_is_known_is_true_at_one_position(
        wishes in vec(any::<[u8; 4]>(), 1..40),
        steps in vec(any::<[u8; 4]>(), 1..80),
    ) {
        is_true_at_one_position(&wishes, &steps)?;
    }
}
