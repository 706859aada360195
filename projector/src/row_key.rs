//! How a row is named where all tables' rows stand side by side: in `quarantine`.

use std::fmt::Debug;
use std::hash::Hash;

use shared::log::event::Recorded;
use uuid::Uuid;

use crate::column::{Query, column};

/// What tells the rows of a table apart.
pub trait RowKey: Clone + Debug + Eq + Hash + Ord + Send + Sync {
    /// The key as text.
    fn text(&self) -> String;

    /// Binds many keys: one array for each column.
    fn bind<'q>(query: Query<'q>, keys: &'q [Self]) -> Query<'q>;

    /// The name of the group of rows that this one belongs to; they can be quarantined together.
    fn group(&self) -> Option<String> {
        None
    }
}

impl RowKey for Uuid {
    fn text(&self) -> String {
        self.to_string()
    }

    fn bind<'q>(query: Query<'q>, keys: &'q [Self]) -> Query<'q> {
        query.bind(keys)
    }
}

/// A person's row in a container: the container, then the person.
impl RowKey for (Uuid, Uuid) {
    fn text(&self) -> String {
        format!("{}/{}", self.0, self.1)
    }

    fn bind<'q>(query: Query<'q>, keys: &'q [Self]) -> Query<'q> {
        query.bind(column(keys, |key| &key.0)).bind(column(keys, |key| &key.1))
    }

    fn group(&self) -> Option<String> {
        Some(everyone(self.0))
    }
}

/// Every person's row in a container.
pub(crate) fn everyone(container: impl std::fmt::Display) -> String {
    format!("{container}/*")
}

/// The aggregate of an event, spelled as keys are; unchanged if it is not a UUID.
pub(crate) fn aggregate_text(recorded: &Recorded) -> String {
    let id = &recorded.aggregate.id;
    id.parse().map_or_else(|_| id.clone(), |id: Uuid| id.text())
}

/// The persons that an event names in clear: who did it, and whom it concerns.
pub(crate) fn persons(recorded: &Recorded) -> impl Iterator<Item = Uuid> {
    let concerned = recorded.scopes.iter().filter_map(|scope| scope.strip_prefix("user:"));
    concerned.chain([recorded.meta.actor.as_str()]).filter_map(|person| person.parse().ok())
}
