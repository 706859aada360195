//! Aggregates in memory. A stale one does no harm: an append that is based on it is refused, and it is loaded again.

use std::any::Any;
use std::sync::Arc;

use super::Decide;
use super::load::Loaded;

/// What the cache may weigh in bytes.
const WEIGHT: u64 = 64 * 1024 * 1024;
/// What an entry weighs besides its aggregate: key, counters, allocation.
const OVERHEAD: usize = 256;

/// A cache of aggregates by type and id, bounded by weight.
#[derive(Clone)]
pub struct Cache(moka::sync::Cache<(&'static str, String), Entry>);

#[derive(Clone)]
struct Entry {
    weight: u32,
    sequence: i64,
    aggregate: Arc<dyn Any + Send + Sync>,
}

impl Default for Cache {
    fn default() -> Self {
        Self(
            moka::sync::Cache::builder()
                .max_capacity(WEIGHT)
                .weigher(|_, entry: &Entry| entry.weight)
                .build(),
        )
    }
}

impl Cache {
    pub(super) fn get<A: Decide>(&self, id: &str) -> Option<Arc<Loaded<A>>> {
        let entry = self.0.get(&(A::TYPE, id.to_owned()))?;
        entry.aggregate.downcast().ok()
    }

    pub(super) fn put<A: Decide>(&self, id: &str, loaded: Arc<Loaded<A>>) {
        let size = serde_json::to_vec(&loaded.state).map_or(0, |json| json.len()) + OVERHEAD;
        let (weight, sequence) = (u32::try_from(size).unwrap_or(u32::MAX), loaded.sequence);
        let entry = Entry { weight, sequence, aggregate: loaded };
        self.0.insert((A::TYPE, id.to_owned()), entry);
    }

    /// Forgets an aggregate that turned out to be stale, unless it has been loaded again meanwhile.
    pub fn drop_stale(&self, aggregate_type: &'static str, id: &str, sequence: i64) {
        let key = (aggregate_type, id.to_owned());
        if self.0.get(&key).is_some_and(|entry| entry.sequence <= sequence) {
            self.0.invalidate(&key);
        }
    }
}
