//! How a row is named where all tables' rows stand side by side: in `quarantine`.

use std::fmt::Debug;
use std::hash::Hash;

use shared::domain::access::{Container, Kind};
use shared::log::event::Recorded;
use uuid::Uuid;

use crate::column::{Query, column};

/// What tells the rows of a table apart.
pub trait RowKey: Clone + Debug + Eq + Hash + Ord + Send + Sync {
    /// How many columns it has.
    const COLUMNS: usize;

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
    const COLUMNS: usize = 1;

    fn text(&self) -> String {
        self.to_string()
    }

    fn bind<'q>(query: Query<'q>, keys: &'q [Self]) -> Query<'q> {
        query.bind(keys)
    }
}

/// A container.
impl RowKey for (Kind, Uuid) {
    const COLUMNS: usize = 2;

    fn text(&self) -> String {
        Container { kind: self.0, id: self.1 }.to_string()
    }

    fn bind<'q>(query: Query<'q>, keys: &'q [Self]) -> Query<'q> {
        query.bind(column(keys, |key| &key.0)).bind(column(keys, |key| &key.1))
    }
}

/// A principal's row in a container: the container, then the principal.
impl RowKey for (Kind, Uuid, Uuid) {
    const COLUMNS: usize = 3;

    fn text(&self) -> String {
        format!("{}/{}", (self.0, self.1).text(), self.2)
    }

    fn bind<'q>(query: Query<'q>, keys: &'q [Self]) -> Query<'q> {
        query
            .bind(column(keys, |key| &key.0))
            .bind(column(keys, |key| &key.1))
            .bind(column(keys, |key| &key.2))
    }

    fn group(&self) -> Option<String> {
        Some(everyone((self.0, self.1).text()))
    }
}

/// Every principal's row in a container.
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
