//! Every projection, and what a projection is: a pure fold from events to the rows of one table.
//!
//! To add one: its table in `migrations/read`, its name in [`shared::process::read_schema::VERSIONS`], its file here with
//! its list of columns ([`table`]), its line in [`project_all`] and in `tests/tables.rs`. To change what it does with
//! events, raise its `VERSION` (and the one in that list).
//!
//! **Erased events fold to nothing.** When the key of a key owner is destroyed, none of its encrypted events reaches
//! a fold: a note whose events are all erased has no row, and an event for a row that does not exist creates none.
//! Tables that were fed before the key was destroyed still hold the row. Therefore the event that ends a key owner is
//! in clear, and its fold removes every row of that key owner; a rebuild then gives the same tables. Only the feed
//! keeps erased events: their scopes are in clear.
//!
//! **If a fold fails** (it panics, or the event's keys cannot be determined), its row is quarantined; see
//! [`crate::quarantine`].

/// For a row with the columns of who changed it last, and when: what they are after an event.
macro_rules! touched {
    ($row:ty) => {
        impl $row {
            fn touched(self, recorded: &Recorded) -> Self {
                Self {
                    updated_by: recorded.meta.actor.clone(),
                    updated_at: recorded.at,
                    version: recorded.aggregate.version,
                    ..self
                }
            }
        }
    };
}

mod blocks;
mod feed;
mod fold;
mod members;
mod notebooks;
mod notes;
mod sessions;
pub mod table;
mod tasks;
mod users;

use std::fmt::Debug;

use shared::domain::Listed;
use shared::domain::access::Effect;
use shared::log::event::{Opened, Recorded};
use sqlx::PgConnection;
use uuid::Uuid;

pub use blocks::{BlockRow, Blocks};
pub use feed::Feed;
pub use fold::{Changes, Step, fold, steps};
pub use members::{MemberRow, Members};
pub use notebooks::{NotebookRow, Notebooks};
pub use notes::{NoteRow, Notes};
pub use sessions::{SessionRow, Sessions};
pub use tasks::{TaskRow, Tasks};
pub use users::{UserRow, Users};

use crate::quarantine::Quarantine;
use crate::row_key::{self, RowKey};
use table::Table;

/// An event of a batch, as far as it can be read.
#[derive(Clone, Debug)]
pub enum Entry {
    /// It is readable, or was erased.
    Opened(Opened),
    /// An event of a type that we know, whose data does not open or does not have its form.
    Unreadable {
        /// What of it is in clear.
        recorded: Recorded,
        /// What is wrong with it.
        why: String,
        /// Whether what is in clear is as it was recorded.
        genuine: bool,
    },
}

/// A table whose rows are each a function of the events of their key.
pub trait Projection {
    /// The table, and the projection's name in [`shared::process::read_schema::VERSIONS`].
    const NAME: &'static str = <Self::Row as Table>::NAME;
    /// The version of the fold.
    const VERSION: u32;
    /// The events that are folded.
    type Event: Listed;
    /// What tells rows apart.
    type Key: RowKey;
    /// A row.
    type Row: Table<Key = Self::Key> + Clone + Debug + PartialEq;

    /// The rows that an event touches, known from the event alone.
    fn keys(recorded: &Recorded, event: &Self::Event) -> Result<Vec<Self::Key>, FoldError>;
    /// What the row of `key` becomes; `None` is no row.
    fn apply(
        key: &Self::Key,
        row: Option<Self::Row>,
        recorded: &Recorded,
        event: &Self::Event,
    ) -> Option<Self::Row>;
    /// The rows, or groups of rows, that an event of ours may concern of which only what is in clear can be told: all
    /// that any event of its aggregate can touch, as its type may be what was forged.
    fn concerned(recorded: &Recorded) -> Vec<String> {
        vec![row_key::aggregate_text(recorded)]
    }
}

/// An event that a fold cannot take.
#[derive(Debug, thiserror::Error)]
#[error("the event at position {position}: its aggregate's id is no UUID")]
pub struct FoldError {
    /// Its position in the log.
    pub position: i64,
}

impl Entry {
    /// The event, as far as it is in clear.
    pub fn recorded(&self) -> &Recorded {
        match self {
            Self::Opened(Opened { recorded, .. }) | Self::Unreadable { recorded, .. } => recorded,
        }
    }

    /// What it does to containers and grants, erased or not; an error if it may have done something else.
    fn effects(&self) -> Result<Vec<Effect>, String> {
        match self {
            Self::Opened(Opened { recorded, .. }) | Self::Unreadable { recorded, genuine: true, .. } => {
                Effect::from_json(recorded.effects.as_ref()).map_err(|error| error.to_string())
            }
            Self::Unreadable { why, genuine: false, .. } => Err(why.clone()),
        }
    }
}

/// Brings every table forward by a batch of events: the contents page.
pub async fn project_all(
    connection: &mut PgConnection,
    batch: &[Entry],
    quarantine: &mut Quarantine,
) -> sqlx::Result<()> {
    project::<Users>(connection, batch, quarantine).await?;
    project::<Sessions>(connection, batch, quarantine).await?;
    project::<Notebooks>(connection, batch, quarantine).await?;
    project::<Notes>(connection, batch, quarantine).await?;
    project::<Blocks>(connection, batch, quarantine).await?;
    project::<Tasks>(connection, batch, quarantine).await?;
    Members::project(connection, batch, quarantine).await?;
    Feed::append(connection, batch).await?;
    Ok(())
}

/// Brings one table forward.
pub async fn project<P: Projection>(
    connection: &mut PgConnection,
    batch: &[Entry],
    quarantine: &mut Quarantine,
) -> sqlx::Result<()> {
    let steps = steps::<P>(batch);
    if steps.is_empty() {
        return Ok(());
    }
    let key = |step: &Step<'_, P>| match step {
        Step::On { key, .. } => Some(key.clone()),
        Step::OnOwned { .. } | Step::Unknowable { .. } => None,
    };
    let mut keys: Vec<_> = steps.iter().filter_map(key).collect();
    keys.sort_unstable();
    keys.dedup();
    let changes = fold::<P>(table::load(connection, &keys).await?, &steps, quarantine);
    if !changes.moved.is_empty() {
        table::move_owned::<P::Row>(connection, &changes.moved).await?;
    }
    if !changes.ended.is_empty() {
        table::remove_owned::<P::Row>(connection, &changes.ended).await?;
    }
    if !changes.saved.is_empty() {
        table::save(connection, &changes.saved).await?;
    }
    if !changes.removed.is_empty() {
        table::remove::<P::Row>(connection, &changes.removed).await?;
    }
    Ok(())
}

/// The id of the thing that an event is about.
fn aggregate(recorded: &Recorded) -> Result<Uuid, FoldError> {
    recorded.aggregate.id.parse().map_err(|_| FoldError { position: recorded.position })
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
