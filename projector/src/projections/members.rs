//! Who was granted which role on what, from which position to which: folded from the effects of events, whatever their
//! types.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use shared::domain::access::{Container, Effect, Grant, Kind, Role};
use shared::log::event::{AggregateRef, Recorded};
use sqlx::PgConnection;
use uuid::Uuid;

use super::Entry;
use super::table::{self, Table, table};
use crate::quarantine::Quarantine;
use crate::row_key::{RowKey, everyone, persons};

/// The table `members`.
#[derive(Debug)]
pub struct Members;

table! {
    /// The grant of one principal on one container, also when it has ended.
    MemberRow in members, key (kind: Kind, container_id: Uuid, principal: Uuid) {
        role: Role,
        since: i64,
        until: Option<i64>,
        granted_by: String,
        granted_at: DateTime<Utc>,
    }
}

type Key = (Kind, Uuid, Uuid);

/// What an event does to grants.
enum Step<'e> {
    Granted {
        key: Key,
        role: Role,
        event: &'e Recorded,
    },
    Revoked {
        key: Key,
        event: &'e Recorded,
    },
    /// All grants on a container end.
    Cleared {
        container: Container,
        event: &'e Recorded,
    },
    /// It cannot be told: nobody is let in by what may have been revoked.
    Unknowable {
        container: Container,
        event: &'e Recorded,
        why: String,
    },
}

impl MemberRow {
    fn granted(earlier: Option<Self>, key: Key, role: Role, event: &Recorded) -> Self {
        let grant = Grant::granted(earlier.as_ref().map(Self::grant), role, event.position);
        let (kind, container_id, principal) = key;
        match earlier {
            Some(row) if row.since == grant.since => Self { role, ..row },
            Some(_) | None => Self {
                kind,
                container_id,
                principal,
                role,
                since: grant.since,
                until: None,
                granted_by: event.meta.actor.clone(),
                granted_at: event.at,
            },
        }
    }

    fn ended(self, position: i64) -> Self {
        Self { until: self.grant().ended(position).until, ..self }
    }

    fn grant(&self) -> Grant {
        Grant { role: self.role, since: self.since, until: self.until }
    }
}

impl Members {
    /// The table, and the projection's name in [`shared::process::read_schema::VERSIONS`].
    pub const NAME: &'static str = <MemberRow as Table>::NAME;
    /// The version of the fold.
    pub const VERSION: u32 = 1;

    /// Brings the table forward by a batch.
    pub async fn project(
        connection: &mut PgConnection,
        batch: &[Entry],
        quarantine: &mut Quarantine,
    ) -> sqlx::Result<()> {
        let steps = steps(batch);
        if steps.is_empty() {
            return Ok(());
        }
        let saved = fold(load(connection, &steps).await?, &steps, quarantine);
        if saved.is_empty() { Ok(()) } else { table::save(connection, &saved).await }
    }
}

fn steps(batch: &[Entry]) -> Vec<Step<'_>> {
    batch.iter().flat_map(steps_of).collect()
}

fn steps_of(entry: &Entry) -> Vec<Step<'_>> {
    let event = entry.recorded();
    let effects = match entry.effects() {
        Ok(effects) => effects,
        Err(why) => {
            let fault = concerned(event).map(|container| Step::Unknowable { container, event, why });
            return fault.into_iter().collect();
        }
    };
    let step = |effect: &Effect| match *effect {
        Effect::Granted { container, principal, role } => {
            Some(Step::Granted { key: (container.kind, container.id, principal.id()), role, event })
        }
        Effect::Revoked { container, principal } => {
            Some(Step::Revoked { key: (container.kind, container.id, principal.id()), event })
        }
        Effect::Cleared(container) | Effect::Ended(container) => Some(Step::Cleared { container, event }),
        Effect::Inside(_) | Effect::Left(_) | Effect::Trashed(_) | Effect::Restored(_) => None,
    };
    effects.iter().filter_map(step).collect()
}

/// The container of which only what is in clear of its event can be told, if grants may hang on that: a container's own
/// event, or that of a grant on it. Events of parts, such as blocks, grant nothing.
fn concerned(event: &Recorded) -> Option<Container> {
    let AggregateRef { kind, id, .. } = &event.aggregate;
    let own = || Some(Container { kind: kind.parse().ok()?, id: id.parse().ok()? });
    own().or_else(|| id.split_once('/')?.0.parse().ok())
}

/// The rows of grants that the steps name, and the active ones of containers on which all end.
async fn load(connection: &mut PgConnection, steps: &[Step<'_>]) -> sqlx::Result<Vec<MemberRow>> {
    let mut keys = BTreeSet::new();
    let mut cleared = BTreeSet::new();
    for step in steps {
        match step {
            Step::Granted { key, .. } | Step::Revoked { key, .. } => _ = keys.insert(*key),
            Step::Cleared { container, .. } => _ = cleared.insert((container.kind, container.id)),
            Step::Unknowable { .. } => (),
        }
    }
    let keys: Vec<_> = keys.into_iter().collect();
    let mut rows = table::load::<MemberRow>(connection, &keys).await?;
    if !cleared.is_empty() {
        let cleared: Vec<_> = cleared.into_iter().collect();
        rows.extend(table::load_within::<MemberRow, _>(connection, "until is null", &cleared).await?);
    }
    Ok(rows)
}

/// The rows that the steps change, as they are then.
fn fold(loaded: Vec<MemberRow>, steps: &[Step<'_>], quarantine: &mut Quarantine) -> Vec<MemberRow> {
    let mut rows: BTreeMap<Key, MemberRow> = loaded.into_iter().map(|row| (row.key(), row)).collect();
    let mut touched = BTreeSet::new();
    for step in steps {
        match step {
            Step::Granted { key, event, .. } | Step::Revoked { key, event }
                if quarantine.holds(Members::NAME, key) =>
            {
                quarantine.wait(Members::NAME, key.text(), event);
            }
            Step::Granted { key, role, event } => {
                let row = MemberRow::granted(rows.remove(key), *key, *role, event);
                rows.insert(*key, row);
                touched.insert(*key);
            }
            Step::Revoked { key, event } => {
                if let Some(row) = rows.remove(key) {
                    rows.insert(*key, row.ended(event.position));
                    touched.insert(*key);
                }
            }
            Step::Cleared { container, event } => {
                let first = (container.kind, container.id, Uuid::nil());
                let last = (container.kind, container.id, Uuid::max());
                for (key, row) in rows.range_mut(first..=last) {
                    if quarantine.holds(Members::NAME, key) {
                        quarantine.wait(Members::NAME, key.text(), event);
                    } else {
                        *row = row.clone().ended(event.position);
                        touched.insert(*key);
                    }
                }
            }
            Step::Unknowable { container, event, why } => {
                // Everybody's: whom it took access from, nobody can tell any more. The persons it names by themselves too,
                // as they may have no row yet and shall hear why.
                quarantine.fault(Members::NAME, everyone(container), event, why);
                for person in persons(event) {
                    quarantine.fault(Members::NAME, format!("{container}/{person}"), event, why);
                }
            }
        }
    }
    rows.into_iter().filter_map(|(key, row)| touched.contains(&key).then_some(row)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use shared::domain::access::Principal;
    use shared::domain::id::UserId;
    use shared::log::event::Opened;

    use super::super::testing::{at, id, recorded};
    use super::*;
    use crate::quarantine::Quarantined;

    const NOTEBOOK: Container = Container { kind: Kind::Notebook, id: Uuid::from_u128(10) };
    const NOTE: Container = Container { kind: Kind::Note, id: Uuid::from_u128(20) };
    const ADA: Principal = Principal::User(UserId(Uuid::from_u128(1)));
    const BOB: Principal = Principal::User(UserId(Uuid::from_u128(2)));

    fn granted(container: Container, principal: Principal, role: Role) -> Effect {
        Effect::Granted { container, principal, role }
    }

    /// An event at each position from 1, whose type nobody asks for.
    fn log(events: &[Vec<Effect>]) -> Vec<Entry> {
        let entry = |(position, effects): (i64, &Vec<Effect>)| {
            let mut recorded = recorded(position);
            recorded.aggregate.kind = "notebook".to_owned();
            recorded.aggregate.id = NOTEBOOK.id.to_string();
            recorded.effects = Effect::to_json(effects);
            Entry::Opened(Opened { recorded, event: None })
        };
        (1..).zip(events).map(entry).collect()
    }

    /// The table after these batches, loaded before each as the engine loads it, and what is quarantined.
    fn table(batches: &[&[Entry]]) -> (BTreeMap<Key, MemberRow>, Vec<Quarantined>) {
        let (mut table, mut quarantine) = (BTreeMap::<Key, MemberRow>::new(), Quarantine::default());
        for batch in batches {
            let steps = steps(batch);
            let is_loaded = |row: &&MemberRow| {
                steps.iter().any(|step| match step {
                    Step::Granted { key, .. } | Step::Revoked { key, .. } => row.key() == *key,
                    Step::Cleared { container, .. } => {
                        row.until.is_none() && (row.kind, row.container_id) == (container.kind, container.id)
                    }
                    Step::Unknowable { .. } => false,
                })
            };
            let loaded = table.values().filter(is_loaded).cloned().collect();
            let saved = fold(loaded, &steps, &mut quarantine);
            table.extend(saved.into_iter().map(|row| (row.key(), row)));
        }
        (table, quarantine.quarantined().to_vec())
    }

    fn rows(events: &[Vec<Effect>]) -> Vec<MemberRow> {
        table(&[&log(events)]).0.into_values().collect()
    }

    #[test]
    fn a_grant_is_a_row_with_who_granted_it_and_when() {
        let rows = rows(&[
            vec![],
            vec![granted(NOTEBOOK, ADA, Role::Owner)],
            vec![granted(NOTEBOOK, ADA, Role::Editor)],
        ]);
        let wanted = MemberRow {
            kind: Kind::Notebook,
            container_id: NOTEBOOK.id,
            principal: id(1),
            role: Role::Editor,
            since: 2,
            until: None,
            granted_by: "ada".to_owned(),
            granted_at: at(2),
        };
        assert_eq!(rows, [wanted]);
    }

    #[test]
    fn a_grant_that_ended_stays_and_one_made_again_begins_there() {
        let revoked = Effect::Revoked { container: NOTEBOOK, principal: ADA };
        let mut events = vec![vec![granted(NOTEBOOK, ADA, Role::Owner)], vec![revoked], vec![revoked]];
        let ended = &rows(&events)[0];
        assert_eq!((ended.since, ended.until), (1, Some(2)));
        events.push(vec![granted(NOTEBOOK, ADA, Role::Viewer)]);
        let again = &rows(&events)[0];
        assert_eq!((again.role, again.since, again.until, again.granted_at), (Role::Viewer, 4, None, at(4)));
    }

    #[test]
    fn what_nobody_was_granted_can_be_revoked_and_makes_no_row() {
        assert!(rows(&[vec![Effect::Revoked { container: NOTEBOOK, principal: ADA }]]).is_empty());
    }

    #[test]
    fn all_grants_on_a_container_end_at_once_and_no_others() {
        for end in [Effect::Cleared(NOTE), Effect::Ended(NOTE)] {
            let events = [
                vec![granted(NOTEBOOK, ADA, Role::Owner)],
                vec![granted(NOTE, BOB, Role::Editor), granted(NOTE, Principal::Everyone, Role::Viewer)],
                vec![granted(NOTE, Principal::Public, Role::Viewer), end],
                vec![granted(NOTE, BOB, Role::Viewer)],
            ];
            for size in 1..=4 {
                let log = log(&events);
                let (table, _) = table(&log.chunks(size).collect::<Vec<_>>());
                let until: Vec<_> = table.values().map(|row| (row.principal, row.since, row.until)).collect();
                assert_eq!(
                    until,
                    [
                        (id(1), 1, None),
                        (Uuid::nil(), 2, Some(3)),
                        (id(2), 4, None),
                        (Uuid::max(), 3, Some(3))
                    ]
                );
            }
        }
    }

    #[test]
    fn an_event_of_a_container_that_may_be_forged_closes_it() {
        let mut log = log(&[
            vec![granted(NOTEBOOK, ADA, Role::Owner)],
            vec![],
            vec![granted(NOTEBOOK, BOB, Role::Editor)],
        ]);
        let Entry::Opened(Opened { recorded, .. }) = log.remove(1) else { panic!("all are opened") };
        let part = Recorded {
            position: 1,
            aggregate: AggregateRef { kind: "block".to_owned(), ..recorded.aggregate.clone() },
            ..recorded.clone()
        };
        log.insert(1, Entry::Unreadable { recorded, why: "forged".to_owned(), genuine: false });
        log.insert(0, Entry::Unreadable { recorded: part, why: "forged".to_owned(), genuine: false });
        let (table, quarantined) = table(&[&log]);
        // Ada's stays as it was, and Bob's waits.
        assert_eq!(table.values().map(|row| row.principal).collect::<Vec<_>>(), [id(1)]);
        let keys: Vec<_> =
            quarantined.iter().map(|row| (row.position, row.key.as_str(), row.why.as_deref())).collect();
        let (all, bobs) = (format!("{NOTEBOOK}/*"), format!("{NOTEBOOK}/{}", id(2)));
        assert_eq!(keys, [(2, all.as_str(), Some("forged")), (3, bobs.as_str(), None)]);
    }

    #[test]
    fn effects_of_an_event_that_is_genuine_hold_whether_or_not_its_data_can_be_read() {
        let mut log = log(&[vec![granted(NOTEBOOK, ADA, Role::Owner)]]);
        let Entry::Opened(Opened { recorded, .. }) = log.remove(0) else { panic!("all are opened") };
        let entry = Entry::Unreadable { recorded, why: "no such field".to_owned(), genuine: true };
        let (table, quarantined) = table(&[&[entry]]);
        assert_eq!(table.len(), 1);
        assert_eq!(quarantined, []);
    }

    #[test]
    fn an_event_of_a_grant_that_may_be_forged_closes_its_container() {
        let mut recorded = recorded(1);
        recorded.aggregate =
            AggregateRef { kind: "note_member".to_owned(), id: format!("{NOTE}/{}", id(1)), version: 1 };
        let (_, quarantined) =
            table(&[&[Entry::Unreadable { recorded, why: "forged".to_owned(), genuine: false }]]);
        assert_eq!(quarantined[0].key, format!("{NOTE}/*"));
    }

    #[test]
    fn effects_of_a_newer_release_close_the_container() {
        let mut log = log(&[vec![]]);
        let Entry::Opened(Opened { recorded, .. }) = &mut log[0] else { panic!("all are opened") };
        recorded.effects = Some(serde_json::json!([{"lent": "notebook:1"}]));
        assert_eq!(table(&[&log]).1[0].key, format!("{NOTEBOOK}/*"));
    }

    fn any_effect() -> impl Strategy<Value = Effect> {
        let container = prop_oneof![Just(NOTEBOOK), Just(NOTE)];
        let principal = prop_oneof![Just(ADA), Just(BOB), Just(Principal::Everyone), Just(Principal::Public)];
        let role = prop_oneof![Just(Role::Viewer), Just(Role::Editor), Just(Role::Owner)];
        prop_oneof![
            4 => (container.clone(), principal.clone(), role)
                .prop_map(|(container, principal, role)| granted(container, principal, role)),
            2 => (container.clone(), principal).prop_map(|(container, principal)| Effect::Revoked { container, principal }),
            1 => container.clone().prop_map(Effect::Cleared),
            1 => container.prop_map(Effect::Ended),
        ]
    }

    proptest! {
        #[test]
        fn wherever_batches_are_cut_the_table_is_the_same(
            events in vec(vec(any_effect(), 0..3), 0..40),
            size in 1usize..8,
        ) {
            let log = log(&events);
            prop_assert_eq!(table(&log.chunks(size).collect::<Vec<_>>()), table(&[&log]));
        }
    }
}
