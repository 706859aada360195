//! Folding a batch in memory: from the rows before it to the rows after it.

use std::collections::{HashMap, HashSet};

use shared::event::{Opened, Recorded};

use super::{FoldError, Projection};

/// One event's effect on one row.
pub struct Step<'e, P: Projection> {
    /// Which row.
    pub key: P::Key,
    /// The event as everyone sees it.
    pub recorded: &'e Recorded,
    /// What happened.
    pub event: &'e P::Event,
}

/// What is to be written after a batch.
#[derive(Debug)]
pub struct Changes<P: Projection> {
    /// Rows that are new or different.
    pub saved: Vec<P::Row>,
    /// Keys whose row was there and is no more.
    pub removed: Vec<P::Key>,
}

/// The steps of a batch for one projection, in the order of the log. Erased events have none.
pub fn steps<P: Projection>(batch: &[Opened]) -> Result<Vec<Step<'_, P>>, FoldError> {
    let mut steps = Vec::new();
    for Opened { recorded, event } in batch {
        if let Some(event) = event.as_ref().and_then(P::event) {
            let keys = P::keys(recorded, event)?;
            steps.extend(keys.into_iter().map(|key| Step { key, recorded, event }));
        }
    }
    Ok(steps)
}

/// Folds the steps over the rows that were `loaded` for their keys.
pub fn fold<P: Projection>(loaded: Vec<P::Row>, steps: &[Step<'_, P>]) -> Changes<P> {
    let mut rows: HashMap<P::Key, P::Row> = loaded.into_iter().map(|row| (P::key(&row), row)).collect();
    let before: HashSet<P::Key> = rows.keys().cloned().collect();
    let mut touched = HashSet::with_capacity(steps.len());
    for step in steps {
        let row = P::apply(&step.key, rows.remove(&step.key), step.recorded, step.event);
        if let Some(row) = row {
            rows.insert(step.key.clone(), row);
        }
        touched.insert(&step.key);
    }
    let removed = before.into_iter().filter(|key| touched.contains(key) && !rows.contains_key(key)).collect();
    let saved = rows.into_iter().filter_map(|(key, row)| touched.contains(&key).then_some(row)).collect();
    Changes { saved, removed }
}
