//! The rules one by one, each with the case that it is there for. What happens is told as scopes and effects.

use chrono::DateTime;
use serde_json::{Value, json};
use uuid::Uuid;

use super::ledger::Ledger;
use super::*;
use crate::domain::access::Kind;
use crate::log::event::{AggregateRef, Meta, Recorded};

const ADA: UserId = UserId(Uuid::from_u128(0xada));
const BOB: UserId = UserId(Uuid::from_u128(0xb0b));
const CAROL: UserId = UserId(Uuid::from_u128(0xca2));

const LAB: Container = Container { kind: Kind::Notebook, id: Uuid::from_u128(1) };
const SAFE: Container = Container { kind: Kind::Notebook, id: Uuid::from_u128(2) };
const NOTE: Container = Container { kind: Kind::Note, id: Uuid::from_u128(3) };
const DIARY: Container = Container { kind: Kind::Note, id: Uuid::from_u128(4) };
const PLANS: Container = Container { kind: Kind::Note, id: Uuid::from_u128(5) };

/// A log in which each event takes the next position, and what it makes of access.
#[derive(Default)]
struct World {
    now: Ledger,
    position: i64,
}

impl World {
    /// Ada owns both notebooks. The note is in the lab, the diary in the safe. (Positions 1 to 4.)
    fn new() -> Self {
        let mut world = Self::default();
        world.grant(LAB, Principal::User(ADA), Role::Owner);
        world.grant(SAFE, Principal::User(ADA), Role::Owner);
        world.happens(&[NOTE, LAB], vec![Effect::Inside(LAB)]);
        world.happens(&[DIARY, SAFE], vec![Effect::Inside(SAFE)]);
        world
    }

    fn records(&mut self, scopes: Vec<Scope>, effects: Vec<Effect>) -> Subject {
        self.position += 1;
        let owner = scopes.first().copied();
        let event = Subject { position: self.position, owner, scopes, effects };
        self.now.take(&event);
        event
    }

    fn happens(&mut self, scopes: &[Container], effects: Vec<Effect>) -> Subject {
        self.records(scopes.iter().copied().map(Scope::Container).collect(), effects)
    }

    /// Somebody writes in the note, while it is in the lab.
    fn writes(&mut self) -> Subject {
        self.happens(&[NOTE, LAB], Vec::new())
    }

    fn grant(&mut self, container: Container, principal: Principal, role: Role) -> Subject {
        let scopes = vec![Scope::Container(container), Scope::Principal(principal)];
        self.records(scopes, vec![Effect::Granted { container, principal, role }])
    }

    fn join(&mut self, user: UserId, container: Container) -> Subject {
        self.grant(container, Principal::User(user), Role::Editor)
    }

    fn revoke(&mut self, container: Container, principal: Principal) -> Subject {
        let scopes = vec![Scope::Container(container), Scope::Principal(principal)];
        self.records(scopes, vec![Effect::Revoked { container, principal }])
    }

    fn moves(&mut self, from: Container, to: Container) -> Subject {
        let left = Left { container: from, parent: None };
        self.happens(&[NOTE, from, to], vec![Effect::Left(left), Effect::Inside(to), Effect::Cleared(NOTE)])
    }

    fn sees(&self, user: UserId, event: &Subject) -> bool {
        sees(&self.now, user, event)
    }

    /// Who of all sees it.
    fn seen_by(&self, event: &Subject) -> Vec<UserId> {
        [ADA, BOB, CAROL].into_iter().filter(|user| self.sees(*user, event)).collect()
    }
}

#[test]
fn members_see_what_is_in_their_container_and_strangers_do_not() {
    let mut world = World::new();
    world.join(BOB, SAFE);
    let event = world.writes();
    assert_eq!(world.seen_by(&event), [ADA]);
}

#[test]
fn an_event_is_seen_by_those_whom_it_names() {
    let mut world = World::new();
    let scope = |principal| vec![Scope::Principal(principal)];
    let own = world.records(scope(Principal::User(BOB)), Vec::new());
    assert_eq!(world.seen_by(&own), [BOB]);
    world.now.guests = vec![CAROL];
    let everyone = world.records(scope(Principal::Everyone), Vec::new());
    assert_eq!(world.seen_by(&everyone), [ADA, BOB]);
    let public = world.records(scope(Principal::Public), Vec::new());
    assert_eq!(world.seen_by(&public), [ADA, BOB, CAROL]);
}

#[test]
fn a_grant_shows_nothing_from_before_it() {
    let mut world = World::new();
    let before = world.writes();
    let joined = world.join(BOB, LAB);
    let after = world.writes();
    assert_eq!([&before, &joined, &after].map(|event| world.sees(BOB, event)), [false, true, true]);
    assert!(world.sees(ADA, &before));
}

#[test]
fn another_role_shows_as_much_as_before() {
    let mut world = World::new();
    world.join(BOB, LAB);
    let event = world.writes();
    world.grant(LAB, Principal::User(BOB), Role::Viewer);
    assert!(world.sees(BOB, &event));
}

#[test]
fn who_was_away_for_a_while_sees_nothing_of_that_while() {
    let mut world = World::new();
    world.join(BOB, LAB);
    let before = world.writes();
    let revoked = world.revoke(LAB, Principal::User(BOB));
    let between = world.writes();
    assert_eq!([&before, &revoked, &between].map(|event| world.sees(BOB, event)), [false, true, false]);
    world.join(BOB, LAB);
    let after = world.writes();
    assert_eq!([&before, &between, &after].map(|event| world.sees(BOB, event)), [false, false, true]);
}

#[test]
fn a_note_moved_in_shows_nothing_of_what_it_was_elsewhere() {
    let mut world = World::new();
    world.join(BOB, SAFE);
    let (written, moved) = (world.writes(), world.moves(LAB, SAFE));
    let after = world.happens(&[NOTE, SAFE], Vec::new());
    assert_eq!([&written, &moved, &after].map(|event| world.sees(BOB, event)), [false, true, true]);
}

#[test]
fn a_note_moved_out_shows_nothing_at_all_but_that_it_left() {
    let mut world = World::new();
    world.join(BOB, LAB);
    let (written, moved) = (world.writes(), world.moves(LAB, SAFE));
    let after = world.happens(&[NOTE, SAFE], Vec::new());
    assert_eq!([&written, &moved, &after].map(|event| world.sees(BOB, event)), [false, true, false]);
    // Who came later was never told that it was there.
    world.join(CAROL, LAB);
    assert!(!world.sees(CAROL, &moved));
}

#[test]
fn what_was_written_elsewhere_in_between_stays_unseen_when_the_note_is_back() {
    let mut world = World::new();
    world.join(BOB, LAB);
    let before = world.writes();
    world.moves(LAB, SAFE);
    let between = world.happens(&[NOTE, SAFE], Vec::new());
    world.moves(SAFE, LAB);
    let after = world.writes();
    assert_eq!([&before, &between, &after].map(|event| world.sees(BOB, event)), [true, false, true]);
    assert!(!sees_in_history(&world.now, BOB, &between));
    assert!(sees_in_history(&world.now, ADA, &between));
}

#[test]
fn that_a_part_left_is_told_to_those_who_were_let_in_where_it_was() {
    let mut world = World::new();
    world.join(BOB, LAB);
    let left = Left { container: NOTE, parent: Some(LAB) };
    let moved = world.happens(&[DIARY, SAFE, NOTE, LAB], vec![Effect::Left(left)]);
    assert_eq!(world.seen_by(&moved), [ADA, BOB]);
    // A member of the safe sees the note now, but was not there when the part left it.
    world.join(CAROL, SAFE);
    world.moves(LAB, SAFE);
    assert!(!world.sees(CAROL, &moved));
    // And who was there sees no longer what it left.
    assert!(!world.sees(BOB, &moved));
}

#[test]
fn what_a_part_left_is_judged_by_where_that_was_then() {
    let mut world = World::new();
    world.join(BOB, SAFE);
    world.happens(&[PLANS, LAB], vec![Effect::Inside(LAB)]);
    let left = Left { container: NOTE, parent: Some(LAB) };
    let moved = world.happens(&[PLANS, LAB, NOTE, LAB], vec![Effect::Left(left)]);
    world.moves(LAB, SAFE);
    assert!(sight(&world.now, BOB, NOTE).is_some());
    assert!(!world.sees(BOB, &moved), "the note was in the lab when the part left it");
}

#[test]
fn what_is_trashed_is_out_of_sight_but_for_the_news() {
    let mut world = World::new();
    world.join(BOB, LAB);
    let written = world.writes();
    let trashed = world.happens(&[NOTE, LAB], vec![Effect::Trashed(NOTE)]);
    let meanwhile = world.writes();
    assert_eq!([&written, &trashed, &meanwhile].map(|event| world.sees(BOB, event)), [false, true, false]);
    assert!(!world.sees(CAROL, &trashed));
    let restored = world.happens(&[NOTE, LAB], vec![Effect::Restored(NOTE)]);
    assert_eq!([&written, &trashed, &restored].map(|event| world.sees(BOB, event)), [true; 3]);
    world.join(CAROL, LAB);
    assert!(!world.sees(CAROL, &trashed) && !world.sees(CAROL, &restored), "before Carol came");
}

#[test]
fn a_trashed_parent_hides_its_children_also_from_their_own_members() {
    let mut world = World::new();
    world.join(CAROL, NOTE);
    let written = world.writes();
    let trashed = world.happens(&[LAB], vec![Effect::Trashed(LAB)]);
    assert!(!world.sees(ADA, &written) && !world.sees(CAROL, &written));
    assert_eq!(sight(&world.now, CAROL, NOTE), None);
    // But they hear why, and when it is back.
    let restored = world.happens(&[LAB], vec![Effect::Restored(LAB)]);
    assert_eq!(world.seen_by(&trashed), [ADA, CAROL]);
    assert_eq!(world.seen_by(&restored), [ADA, CAROL]);
    let renamed = world.happens(&[LAB], Vec::new());
    assert_eq!(world.seen_by(&renamed), [ADA], "nothing flows up");
}

#[test]
fn whose_child_is_elsewhere_hears_no_news_of_a_root() {
    let mut world = World::new();
    world.join(CAROL, DIARY);
    let trashed = world.happens(&[LAB], vec![Effect::Trashed(LAB)]);
    assert!(!world.sees(CAROL, &trashed));
    // And whose grant is younger than the news does not either.
    world.join(BOB, NOTE);
    assert!(!world.sees(BOB, &trashed));
}

#[test]
fn that_a_root_ended_is_told_to_all_who_had_it_and_nothing_else_of_it_is_shown() {
    let mut world = World::new();
    world.join(BOB, LAB);
    world.join(CAROL, NOTE);
    let written = world.writes();
    world.happens(&[LAB], vec![Effect::Trashed(LAB)]);
    let ended = world.happens(&[LAB], vec![Effect::Ended(LAB)]);
    assert_eq!(world.seen_by(&ended), [ADA, BOB, CAROL]);
    assert!(world.seen_by(&written).is_empty());
    assert!(!sees_in_history(&world.now, ADA, &written));
}

#[test]
fn that_a_child_ended_is_told_to_its_own_members_and_to_its_parents_ones() {
    let mut world = World::new();
    world.join(BOB, NOTE);
    world.join(CAROL, SAFE);
    let ended = world.happens(&[NOTE, LAB], vec![Effect::Ended(NOTE)]);
    assert_eq!(world.seen_by(&ended), [ADA, BOB]);
    world.join(CAROL, LAB);
    assert!(!world.sees(CAROL, &ended));
}

#[test]
fn a_grant_that_ended_before_hears_of_no_end() {
    let mut world = World::new();
    world.join(BOB, LAB);
    world.revoke(LAB, Principal::User(BOB));
    let ended = world.happens(&[LAB], vec![Effect::Ended(LAB)]);
    assert!(!world.sees(BOB, &ended));
}

#[test]
fn a_move_ends_the_childs_own_grants_and_says_so() {
    let mut world = World::new();
    world.join(BOB, NOTE);
    let moved = world.moves(LAB, SAFE);
    let after = world.happens(&[NOTE, SAFE], Vec::new());
    assert_eq!([&moved, &after].map(|event| world.sees(BOB, event)), [true, false]);
}

#[test]
fn everyone_is_all_but_guests() {
    let mut world = World::new();
    world.now.guests = vec![CAROL];
    world.grant(LAB, Principal::Everyone, Role::Editor);
    let written = world.writes();
    assert_eq!(world.seen_by(&written), [ADA, BOB]);
    let revoked = world.revoke(LAB, Principal::Everyone);
    assert_eq!(world.seen_by(&revoked), [ADA, BOB]);
    assert_eq!(world.seen_by(&written), [ADA]);
    world.grant(LAB, Principal::Everyone, Role::Editor);
    let ended = world.happens(&[LAB], vec![Effect::Ended(LAB)]);
    assert_eq!(world.seen_by(&ended), [ADA, BOB]);
}

#[test]
fn of_several_grants_the_oldest_and_the_highest_count() {
    let mut world = World::new();
    world.grant(LAB, Principal::Public, Role::Viewer);
    let written = world.writes();
    world.join(BOB, LAB);
    assert!(world.sees(BOB, &written));
    assert_eq!(sight(&world.now, BOB, NOTE), Some(Role::Editor));
    assert_eq!(sight(&world.now, CAROL, NOTE), Some(Role::Viewer));
    world.now.guests = vec![BOB];
    assert_eq!(sight(&world.now, BOB, NOTE), Some(Role::Viewer));
    assert!(!sees_in_history(&world.now, BOB, &written));
}

#[test]
fn history_is_for_editors_and_older_than_their_grant() {
    let mut world = World::new();
    let written = world.writes();
    world.join(BOB, LAB);
    world.grant(LAB, Principal::User(CAROL), Role::Viewer);
    let in_history = |user| sees_in_history(&world.now, user, &written);
    assert_eq!([ADA, BOB, CAROL].map(in_history), [true, true, false]);
    assert!(!world.sees(BOB, &written));
}

#[test]
fn what_is_unknown_is_not_shown() {
    let mut world = World::new();
    let written = world.writes();
    for container in [NOTE, LAB] {
        let mut hidden = world.now.clone();
        hidden.hide(container);
        assert!(!sees(&hidden, ADA, &written), "{container}");
    }
    let mut newer = written.clone();
    newer.owner = None;
    assert!(!world.sees(ADA, &newer));
    newer.owner = Some(Scope::Principal(Principal::User(ADA)));
    assert!(!world.sees(ADA, &newer), "only names show what is a person's own");
}

fn recorded(scopes: &[&str], effects: Option<Value>) -> Recorded {
    Recorded {
        position: 7,
        id: Uuid::from_u128(77),
        at: DateTime::UNIX_EPOCH,
        aggregate: AggregateRef { kind: "song".to_owned(), id: "1".to_owned(), version: 1 },
        event_type: "SongSung".to_owned(),
        event_version: "1.0".to_owned(),
        data: Value::Null,
        scopes: scopes.iter().copied().map(str::to_owned).collect(),
        effects,
        meta: Meta { actor: String::new(), correlation: String::new(), causation: String::new() },
    }
}

#[test]
fn an_event_is_judged_by_what_is_in_clear_of_it() {
    let (note, lab, ada) = (NOTE.to_string(), LAB.to_string(), format!("user:{ADA}"));
    let of = |owner: Option<&str>, scopes: &[&str], effects: Option<Value>| {
        Subject::of(&recorded(scopes, effects), owner)
    };
    let read = |owner, scopes: &[&str], effects| of(owner, scopes, effects).expect("effects of this release");
    let subject = read(None, &[&note, "choir:1", &ada], Some(json!([{"left": [lab]}])));
    assert_eq!(subject.position, 7);
    assert_eq!(subject.owner, Some(Scope::Container(NOTE)));
    assert_eq!(subject.scopes, [Scope::Container(NOTE), Scope::Principal(Principal::User(ADA))]);
    assert_eq!(subject.effects, [Effect::Left(Left { container: LAB, parent: None })]);
    assert_eq!(read(Some(&lab), &[&note], None).owner, Some(Scope::Container(LAB)));
    assert_eq!(read(Some("choir:1"), &[&note], None).owner, None);
    assert_eq!(read(None, &["choir:1", &note], None).owner, None);
    assert!(of(None, &[&note], Some(json!([{"sung": lab}]))).is_err());
}
