//! The one row that says how far the read tables have come. Every write moves it, or does not happen.

use shared::log::epoch::EpochId;
use shared::process::read_schema::VERSIONS;
use sqlx::{Executor, PgConnection, PgExecutor};

/// A place in a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last event that the tables hold.
    pub position: i64,
    /// The history that it counts in; empty before the first batch.
    pub epoch: String,
}

/// What the tables are, seen from the history in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// They are of this history.
    Same,
    /// They are of an earlier one and went no further than both agree: only the name changes.
    Agreed,
    /// They hold events that this history does not have, so they must be rebuilt.
    Parted,
}

impl Checkpoint {
    /// Reads it.
    pub async fn read(executor: impl PgExecutor<'_>) -> sqlx::Result<Self> {
        sqlx::query_as!(Self, "select position, epoch from checkpoint").fetch_one(executor).await
    }

    /// Reads it and locks it until the transaction ends. Writers of these tables wait meanwhile, readers do not.
    pub async fn lock(connection: &mut PgConnection) -> sqlx::Result<Self> {
        sqlx::query_as!(Self, "select position, epoch from checkpoint for update").fetch_one(connection).await
    }

    /// Says that other tables take the place of these. Who waits to [`Self::advance`] it fails then.
    pub async fn retire(connection: &mut PgConnection) -> sqlx::Result<()> {
        sqlx::query!("update checkpoint set retired = true").execute(connection).await?;
        Ok(())
    }

    /// Moves it to `next` and locks it until the transaction ends; `false` when it is not where we left it.
    pub async fn advance(&self, connection: &mut PgConnection, next: &Self) -> sqlx::Result<bool> {
        let moved = sqlx::query!(
            "update checkpoint set position = $1, epoch = $2 where position = $3 and epoch = $4 and not retired",
            next.position,
            next.epoch,
            self.position,
            self.epoch
        )
        .execute(connection)
        .await?;
        Ok(moved.rows_affected() == 1)
    }

    /// Compares it to the history in force. Histories parted more than once agree up to the least of the positions at
    /// which they parted since ours.
    pub async fn standing(&self, executor: impl PgExecutor<'_>, epoch: &EpochId) -> sqlx::Result<Standing> {
        let log = sqlx::query!(
            r#"select (select min(agreed_position) from es.epoch
                        where seq > (select seq from es.epoch where epoch = $1)) as agreed,
                      es.readable() as "head!""#,
            self.epoch
        )
        .fetch_one(executor)
        .await?;
        Ok(self.against(epoch, log.agreed, log.head))
    }

    fn against(&self, epoch: &EpochId, agreed: Option<i64>, head: i64) -> Standing {
        let same = self.epoch == epoch.as_str();
        // Restored before the relay noticed, and not named yet: the log itself is shorter than what we hold.
        if self.position > head {
            Standing::Parted
        } else if same {
            Standing::Same
        } else if self.position <= agreed.unwrap_or(0) {
            Standing::Agreed
        } else {
            Standing::Parted
        }
    }
}

/// Empties every table of the read schema.
///
/// The rows of a parted history cannot be taken back one by one: what they were before is not kept. Readers see the
/// tables empty and then growing, and are told so by the status; it happens after a restore only.
pub async fn empty(connection: &mut PgConnection) -> sqlx::Result<()> {
    // Made at run time, so that no table of the list is forgotten.
    let tables: Vec<&str> = VERSIONS.iter().map(|(table, _)| *table).chain(["quarantine"]).collect();
    connection.execute(format!("truncate {}", tables.join(", ")).as_str()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_kept_as_far_as_the_histories_agree() {
        let (old, new) = (EpochId::fresh(), EpochId::fresh());
        let at = |position| Checkpoint { position, epoch: old.to_string() };
        assert_eq!(at(7).against(&old, None, 9), Standing::Same);
        assert_eq!(at(7).against(&new, Some(7), 9), Standing::Agreed);
        assert_eq!(at(8).against(&new, Some(7), 9), Standing::Parted);
        assert_eq!(at(8).against(&old, None, 7), Standing::Parted);
    }

    #[test]
    fn an_unknown_history_agrees_with_nothing_but_an_empty_table() {
        let unknown = |position| Checkpoint { position, epoch: String::new() };
        assert_eq!(unknown(0).against(&EpochId::fresh(), None, 9), Standing::Agreed);
        assert_eq!(unknown(1).against(&EpochId::fresh(), None, 9), Standing::Parted);
    }
}
