//! The feed is held back while the tables are ahead: a place of one position must not meet a grant of another. Both ways
//! round: what has left before somebody comes, and what comes in after somebody has left.

use shared::domain::access::{Container, Effect, Left, Principal, Role, Scope};
use shared::domain::id::UserId;

use super::Chance;
use super::gateway::{Gateway, Whose};
use super::log::{Log, Shape, note, notebook, person, scopes};
use super::socket::Socket;

const HELD: i64 = 100;
const TABLES: i64 = 120;
const TIMES: u64 = 1_000;

fn ada() -> UserId {
    person(0)
}

fn bob() -> UserId {
    person(1)
}

fn granted(log: &mut Log, container: Container, user: UserId) {
    let principal = Principal::User(user);
    let effect = Effect::Granted { container, principal, role: Role::Viewer };
    let named = [scopes(&[container]), vec![Scope::Principal(principal)]].concat();
    log.append(None, Shape::Whole, named, vec![effect]);
}

fn revoked(log: &mut Log, container: Container, user: UserId) {
    let principal = Principal::User(user);
    let named = [scopes(&[container]), vec![Scope::Principal(principal)]].concat();
    log.append(None, Shape::Whole, named, vec![Effect::Revoked { container, principal }]);
}

fn moved(log: &mut Log, from: Container, to: Container) {
    let left = Left { container: from, parent: None };
    let effects = vec![Effect::Left(left), Effect::Inside(to), Effect::Cleared(note(0))];
    log.append(None, Shape::Whole, scopes(&[note(0), from, to]), effects);
}

/// The note is written in until the log has so many events.
fn written(log: &mut Log, inside: Container, up_to: i64) {
    while log.head() < up_to {
        log.append(None, Shape::Whole, scopes(&[note(0), inside]), Vec::new());
    }
}

/// Ada has two notebooks, and a note in one of them.
fn begun(inside: Container) -> Log {
    let mut log = Log::new("e", 2, false);
    for root in [notebook(0), notebook(1)] {
        log.append(Some(root), Shape::Whole, scopes(&[root]), Vec::new());
        granted(&mut log, root, ada());
    }
    log.append(None, Shape::Whole, scopes(&[note(0), inside]), vec![Effect::Inside(inside)]);
    log
}

/// 103: the note leaves the lab. 115: Bob joins the lab.
fn comes_after_it_has_left() -> Log {
    let [lab, safe] = [notebook(0), notebook(1)];
    let mut log = begun(lab);
    written(&mut log, lab, 102);
    moved(&mut log, lab, safe);
    written(&mut log, safe, 114);
    granted(&mut log, lab, bob());
    written(&mut log, safe, TABLES);
    log
}

/// 105: Bob, who was in the lab, is removed. 110: the note comes into the lab.
fn leaves_before_it_comes() -> Log {
    let [lab, safe] = [notebook(0), notebook(1)];
    let mut log = begun(safe);
    granted(&mut log, lab, bob());
    written(&mut log, safe, 104);
    revoked(&mut log, lab, bob());
    written(&mut log, safe, 109);
    moved(&mut log, safe, lab);
    written(&mut log, lab, TABLES);
    log
}

/// Bob gets what names him, and nothing else, whatever is loaded first while the feed waits.
fn holds(seed: u64, log: Log, due: i64) {
    let mut chance = Chance(seed);
    let mut gateway = Gateway::new(&mut chance, log, HELD);
    let mut next = 0;
    for tables in [HELD, TABLES] {
        gateway.tables = tables;
        for _ in 0..chance.below(40) {
            match chance.below(8) {
                0..2 => gateway.take_in(&mut chance),
                2..6 => gateway.serve(&mut chance),
                6 => gateway.load(&[note(0), notebook(chance.below(2))], Whose::Nobody),
                _ if next < 6 => {
                    let user = [ada(), bob()][chance.index(2)];
                    gateway.open(Socket::new(next, user, Some(HELD), &mut chance));
                    next += 1;
                }
                _ => (),
            }
        }
    }
    gateway.open(Socket::new(next, bob(), Some(HELD), &mut chance));
    assert_eq!(gateway.feed(), HELD, "the feed is held back");
    gateway.come_to_rest(&mut chance);
    for socket in gateway.sockets().iter().filter(|socket| socket.person == bob()) {
        assert!(socket.got.iter().all(|got| *got == due), "seed {seed}: Bob gets {:?}", socket.got);
    }
    let last = gateway.sockets().last().expect("Bob's");
    assert!(!last.wants_all() || last.got == [due], "seed {seed}: Bob gets {:?}", last.got);
}

#[test]
fn what_had_left_is_not_shown_to_who_came_later_while_the_feed_is_held_back() {
    (0..TIMES).for_each(|seed| holds(seed, comes_after_it_has_left(), 115));
}

#[test]
fn what_comes_in_is_not_shown_to_who_has_left_while_the_feed_is_held_back() {
    (0..TIMES).for_each(|seed| holds(seed, leaves_before_it_comes(), 105));
}
