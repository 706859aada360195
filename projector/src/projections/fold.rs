//! Folds a batch in memory: from the rows before it to the rows after it, and which rows must be quarantined.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use shared::domain::access::{Effect, Scopes};
use shared::domain::{AggregateEvent, Listed};
use shared::log::event::{Opened, Recorded};

use super::table::Table;
use super::{Entry, Projection};
use crate::quarantine::Quarantine;
use crate::row_key::RowKey;
use uuid::Uuid;

/// One event's effect on a table.
pub enum Step<'e, P: Projection> {
    /// On one row.
    On {
        /// Which row.
        key: P::Key,
        /// The event as everyone sees it.
        recorded: &'e Recorded,
        /// What happened.
        event: &'e P::Event,
    },
    /// On all rows of one owner.
    OnOwned {
        /// Which owner.
        owner: Uuid,
        /// What becomes of them.
        change: Change,
    },
    /// It cannot be told, so whatever rows it may concern are at fault.
    Unknowable {
        /// The event as far as it is in clear.
        recorded: &'e Recorded,
        /// What is wrong.
        why: String,
    },
}

/// What becomes of all rows of an owner at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Their owner is in this root now.
    Moved(Uuid),
    /// Their owner has ended for ever: they go.
    Ended,
}

/// What is to be written after a batch, in this order.
#[derive(Debug)]
pub struct Changes<P: Projection> {
    /// Owners, and the root in which all their rows are now.
    pub moved: Vec<(Uuid, Uuid)>,
    /// Owners whose rows all go.
    pub ended: Vec<Uuid>,
    /// Rows that are new or different.
    pub saved: Vec<P::Row>,
    /// Keys whose row was there and is no more.
    pub removed: Vec<P::Key>,
}

/// The steps of a batch for one projection, in the order of the log. Erased events have none but those of their effects.
pub fn steps<P: Projection>(batch: &[Entry]) -> Vec<Step<'_, P>> {
    let mut steps = Vec::new();
    for entry in batch {
        steps.extend(on_owned(entry));
        match entry {
            Entry::Opened(Opened { recorded, event }) => {
                let Some(event) = event.as_ref().and_then(P::Event::of) else { continue };
                match contained(|| P::keys(recorded, event)) {
                    Ok(Ok(keys)) => {
                        steps.extend(keys.into_iter().map(|key| Step::On { key, recorded, event }));
                    }
                    Ok(Err(error)) => steps.push(Step::Unknowable { recorded, why: error.to_string() }),
                    Err(why) => steps.push(Step::Unknowable { recorded, why }),
                }
            }
            Entry::Unreadable { recorded, why, .. } => {
                if P::Event::knows(&recorded.event_type) {
                    steps.push(Step::Unknowable { recorded, why: why.clone() });
                }
            }
        }
    }
    steps
}

/// What an event does to all rows of an owner.
fn on_owned<P: Projection>(entry: &Entry) -> Vec<Step<'_, P>> {
    let Some((kind, _)) = P::Row::OWNER else { return Vec::new() };
    let effects = entry.effects().unwrap_or_default();
    // What is new has no rows yet.
    let moves = P::Row::ROOT.is_some() && effects.iter().any(|effect| matches!(effect, Effect::Left(_)));
    let itself = || Scopes::parse(&entry.recorded().scopes).container();
    let change = |effect: &Effect| match *effect {
        Effect::Ended(container) => Some((container, Change::Ended)),
        Effect::Inside(root) if moves => Some((itself()?, Change::Moved(root.id))),
        Effect::Inside(_)
        | Effect::Left(_)
        | Effect::Granted { .. }
        | Effect::Revoked { .. }
        | Effect::Cleared(_)
        | Effect::Trashed(_)
        | Effect::Restored(_) => None,
    };
    // Clients choose ids: containers of two kinds may share one.
    let of_kind = effects.iter().filter_map(change).filter(|(container, _)| container.kind == kind);
    of_kind.map(|(container, change)| Step::OnOwned { owner: container.id, change }).collect()
}

/// A row after that.
fn change_owned<R: Table>(mut row: R, change: Change) -> Option<R> {
    match change {
        Change::Moved(root) => {
            row.set_root(root);
            Some(row)
        }
        Change::Ended => None,
    }
}

/// Folds the steps over the rows that were `loaded` for their keys. A row whose fold fails is left as it was before
/// that event and put into `quarantine`, where its later events wait.
pub fn fold<P: Projection>(
    loaded: Vec<P::Row>,
    steps: &[Step<'_, P>],
    quarantine: &mut Quarantine,
) -> Changes<P> {
    let before: HashMap<P::Key, P::Row> = loaded.into_iter().map(|row| (row.key(), row)).collect();
    let mut rows = before.clone();
    let mut touched = HashSet::with_capacity(steps.len());
    let (mut moved, mut ended) = (HashMap::new(), HashSet::new());
    for (place, step) in steps.iter().enumerate() {
        match step {
            Step::On { key, recorded, .. } if quarantine.holds(P::NAME, key) => {
                quarantine.wait(P::NAME, key.text(), recorded);
            }
            Step::On { key, recorded, event } => {
                match contained(|| P::apply(key, rows.remove(key), recorded, event)) {
                    Ok(row) => {
                        rows.extend(row.map(|row| (key.clone(), row)));
                        touched.insert(key);
                    }
                    Err(why) => {
                        let row = again(key, before.get(key).cloned(), &steps[..place]);
                        rows.extend(row.map(|row| (key.clone(), row)));
                        quarantine.fault(P::NAME, key.text(), recorded, &why);
                    }
                }
            }
            Step::OnOwned { owner, change } => {
                let of_owner = rows.extract_if(|_, row| row.owner() == Some(*owner)).collect::<Vec<_>>();
                rows.extend(
                    of_owner.into_iter().filter_map(|(key, row)| Some((key, change_owned(row, *change)?))),
                );
                match change {
                    Change::Moved(root) => _ = moved.insert(*owner, *root),
                    Change::Ended => _ = ended.insert(*owner),
                }
            }
            Step::Unknowable { recorded, why } => {
                for key in P::concerned(recorded) {
                    quarantine.fault(P::NAME, key, recorded, why);
                }
            }
        }
    }
    let removed = before.into_keys().filter(|key| touched.contains(key) && !rows.contains_key(key)).collect();
    let saved = rows.into_iter().filter_map(|(key, row)| touched.contains(&key).then_some(row)).collect();
    Changes { moved: moved.into_iter().collect(), ended: ended.into_iter().collect(), saved, removed }
}

/// The row of `key` after steps that went well before: the fold that failed has taken it along.
fn again<P: Projection>(key: &P::Key, row: Option<P::Row>, steps: &[Step<'_, P>]) -> Option<P::Row> {
    steps.iter().fold(row, |row, step| match step {
        Step::On { key: of, recorded, event } if of == key => P::apply(key, row, recorded, event),
        Step::OnOwned { owner, change } => match row {
            Some(row) if row.owner() == Some(*owner) => change_owned(row, *change),
            other => other,
        },
        Step::On { .. } | Step::Unknowable { .. } => row,
    })
}

/// Runs a pure piece of a fold; `Err` says how it panicked. Nothing outlives it half-changed: what it was given by value
/// is gone, and the rest it may only look at.
fn contained<T>(piece: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(piece)).map_err(|panic| format!("the fold panicked: {}", words(&*panic)))
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let owned = || panic.downcast_ref::<String>().map(String::as_str);
    panic.downcast_ref::<&str>().copied().or_else(owned).unwrap_or("without a word")
}
