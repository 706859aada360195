//! Which events concern which scope. Rows are only ever added, so there is nothing to load and nothing to fold.

use shared::log::event::Recorded;
use sqlx::PgConnection;

use super::Entry;

/// The table `feed`.
#[derive(Debug)]
pub struct Feed;

impl Feed {
    /// The table, and the projection's name in [`shared::process::read_schema::VERSIONS`].
    pub const NAME: &'static str = "feed";
    /// The version of what is fed.
    pub const VERSION: u32 = 1;

    /// The rows of a batch: every event under each of its scopes. Erased and unreadable events too: that something
    /// happened is in clear, and a socket that resumes is told of what was erased without its content.
    pub fn rows(batch: &[Entry]) -> Vec<(&str, i64)> {
        let mut rows = Vec::with_capacity(2 * batch.len());
        for recorded in batch.iter().map(Entry::recorded) {
            let Recorded { scopes, position, .. } = recorded;
            let firsts = scopes.iter().enumerate().filter(|(place, scope)| !scopes[..*place].contains(scope));
            rows.extend(firsts.map(|(_, scope)| (scope.as_str(), *position)));
        }
        rows
    }

    /// Adds the rows of a batch. One that is there already is an error: a batch is applied once.
    pub async fn append(connection: &mut PgConnection, batch: &[Entry]) -> sqlx::Result<()> {
        let (scopes, positions): (Vec<_>, Vec<_>) = Self::rows(batch).into_iter().unzip();
        if scopes.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "insert into feed (scope, position) select * from unnest($1::text[], $2::bigint[])",
            &scopes as &[&str],
            &positions[..]
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}
