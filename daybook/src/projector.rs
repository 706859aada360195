//! `daybook projector`: skips events, and lists quarantined rows and refused policy commands.

use std::os::unix::fs::MetadataExt;

use anyhow::{Context, ensure};
use clap::Subcommand;
use shared::log::event_log;
use shared::process::config::Stores;
use shared::process::postgres::{DatabaseRole, pool};
use shared::process::read_schema;
use sqlx::PgPool;

use crate::{output, running};

#[derive(clap::Args)]
pub(crate) struct Projector {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Skip an event in the read tables, for ever. It stays in the log.
    Skip(Skip),
    /// List the quarantined rows, which are withheld from readers.
    Quarantine(Quarantine),
    /// List the policy commands that were refused in the last 30 days.
    Refused(Refused),
}

#[derive(clap::Args)]
struct Skip {
    #[command(flatten)]
    stores: Stores,
    /// The event's position in the log.
    position: i64,
    /// The reason, for people who ask in ten years.
    #[arg(long)]
    why: String,
}

#[derive(clap::Args)]
struct Quarantine {
    #[command(flatten)]
    stores: Stores,
}

#[derive(clap::Args)]
struct Refused {
    #[command(flatten)]
    stores: Stores,
}

impl Projector {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Skip(asked) => {
                let next = skip(&connect(&asked.stores)?, asked.position, &asked.why, &operator()).await?;
                output::line(&next);
            }
            Command::Quarantine(asked) => {
                for line in quarantined(&connect(&asked.stores)?).await? {
                    output::line(&line);
                }
            }
            Command::Refused(asked) => {
                for line in refused(&connect(&asked.stores)?).await? {
                    output::line(&line);
                }
            }
        }
        Ok(())
    }
}

fn connect(stores: &Stores) -> anyhow::Result<PgPool> {
    let url = running::database(stores)?;
    Ok(pool(&url, DatabaseRole::Projector, Some(read_schema::name()), 1)?)
}

/// The name of the operator's account in the operating system.
fn operator() -> String {
    let Ok(process) = std::fs::metadata("/proc/self") else { return "unknown".to_owned() };
    let id = process.uid().to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_of(&id, &accounts).map_or_else(|| format!("uid {id}"), str::to_owned)
}

fn name_of<'a>(id: &str, accounts: &'a str) -> Option<&'a str> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id).then_some(name)
    })
}

/// Records the decision; says what to do next.
async fn skip(pool: &PgPool, position: i64, why: &str, by: &str) -> anyhow::Result<String> {
    ensure!(!why.trim().is_empty(), "Give the reason with --why: somebody will ask in ten years.");
    let Some(event) = event_log::at(pool, position).await? else {
        let head = event_log::head(pool).await?;
        anyhow::bail!("There is no event at position {position}: the log goes from 1 to {head}.");
    };
    let new = sqlx::query!(
        "insert into es.skip (position, why, by) values ($1, $2, $3) on conflict (position) do nothing",
        position,
        why.trim(),
        by
    )
    .execute(pool)
    .await?;
    if new.rows_affected() == 0 {
        let before = sqlx::query!("select why, by, at from es.skip where position = $1", position)
            .fetch_one(pool)
            .await?;
        anyhow::bail!("It is already skipped, by {} at {}: {}", before.by, before.at, before.why);
    }
    let done = format!("{} at position {position} is skipped from now on.", event.recorded.event_type);
    let next = match passed(pool, position).await? {
        Some(true) => {
            "The read tables have already folded it. To apply the skip to them, run daybook rebuild."
        }
        Some(false) => "The projector has not reached it yet and will skip it by itself.",
        None => "The read tables are not built yet and will be built without it.",
    };
    Ok(format!("{done} {next}"))
}

/// Whether the tables of this release have reached a position; `None` if there are none.
async fn passed(pool: &PgPool, position: i64) -> anyhow::Result<Option<bool>> {
    let passed = sqlx::query_scalar!(r#"select position >= $1 as "passed!" from checkpoint"#, position);
    Ok(unless_unbuilt(passed.fetch_one(pool).await)?)
}

/// A line for each quarantined row.
async fn quarantined(pool: &PgPool) -> anyhow::Result<Vec<String>> {
    let rows = sqlx::query!(
        r#"select q.table_name, q.key, q.position, q.why as "why!",
                  (select count(*) from quarantine w
                    where w.table_name = q.table_name and w.why is null
                      and (w.key = q.key
                           or (right(q.key, 2) = '/*' and starts_with(w.key, left(q.key, -1))))) as "waiting!"
             from quarantine q where q.why is not null
            order by q.position, q.table_name, q.key"#
    );
    let rows = unless_unbuilt(rows.fetch_all(pool).await)?
        .context("The read tables of this release are not built. Is it the release that runs?")?;
    if rows.is_empty() {
        return Ok(vec!["No row is quarantined.".to_owned()]);
    }
    let lines = rows.iter().map(|row| {
        format!(
            "{} {}: since position {}, {} later events waiting: {}",
            row.table_name, row.key, row.position, row.waiting, row.why
        )
    });
    Ok(lines.collect())
}

/// A line for each refused command of a policy, the latest one last.
async fn refused(pool: &PgPool) -> anyhow::Result<Vec<String>> {
    let rows = sqlx::query!(
        "select policy, position, aggregate_id, person, slug, detail, at from es.refusal
          order by position, policy"
    );
    let rows = rows.fetch_all(pool).await?;
    if rows.is_empty() {
        return Ok(vec!["Nothing was refused.".to_owned()]);
    }
    let lines = rows.iter().map(|row| {
        format!(
            "{} at position {}, about {} in the name of {}: {}: {} ({})",
            row.policy, row.position, row.aggregate_id, row.person, row.slug, row.detail, row.at
        )
    });
    Ok(lines.collect())
}

/// `None` for what could not be read because the tables of this release are not there.
fn unless_unbuilt<T>(read: sqlx::Result<T>) -> sqlx::Result<Option<T>> {
    match read {
        Err(sqlx::Error::Database(error)) if error.code().is_some_and(|code| code == "42P01") => Ok(None),
        read => read.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use kit::{Fact, Level, Scribe, database, master};
    use serde_json::json;
    use servers::testing::TestDatabase;
    use sqlx::Executor;

    use super::*;

    /// A log of three events; the tables have come to the second.
    async fn world() -> (PgPool, PgPool, TestDatabase) {
        let database = database(Level::Tables).await.expect("a database");
        let projector =
            pool(&database.url, DatabaseRole::Projector, Some(read_schema::name()), 1).expect("an address");
        projector.execute("update checkpoint set position = 2").await.expect("one row");
        let owner = PgPool::connect(&database.url).await.expect("a connection");
        let retitled = Fact { in_clear: true, ..Fact::new("note", "a", "NoteRetitled", json!({})) };
        let mut connection = owner.acquire().await.expect("a connection");
        Scribe::new(master()).store(&mut connection, vec![retitled; 3]).await.expect("events");
        (projector, owner, database)
    }

    #[tokio::test]
    async fn an_event_is_skipped_once_with_who_and_why() {
        let (pool, _owner, _database) = world().await;
        let passed = skip(&pool, 2, " nobody bears it ", "ada").await.expect("skipped");
        assert!(
            passed.starts_with("NoteRetitled at position 2 is skipped") && passed.contains("daybook rebuild")
        );
        let ahead = skip(&pool, 3, "nobody bears it", "ada").await.expect("skipped");
        assert!(ahead.contains("by itself"), "{ahead}");
        let row: (String, String) = sqlx::query_as("select why, by from es.skip where position = 2")
            .fetch_one(&pool)
            .await
            .expect("one");
        assert_eq!(row, ("nobody bears it".to_owned(), "ada".to_owned()));

        for (position, why, wrong) in [
            (2, "again", "It is already skipped, by ada at "),
            (4, "x", "There is no event at position 4: the log goes from 1 to 3."),
            (0, "x", "There is no event at position 0"),
            (1, " ", "Give the reason with --why"),
        ] {
            let refused = skip(&pool, position, why, "bob").await.expect_err("refused").to_string();
            assert!(refused.starts_with(wrong), "{refused}");
        }
    }

    #[tokio::test]
    async fn what_is_quarantined_is_listed_with_what_waits() {
        let (pool, _owner, _database) = world().await;
        assert_eq!(quarantined(&pool).await.expect("read"), ["No row is quarantined."]);
        let rows = "insert into quarantine (table_name, key, position, why, scopes) values
                     ('notes', 'n', 1, 'it panicked', '{}'), ('notes', 'n', 2, null, '{}'),
                     ('members', 'b/*', 1, 'forged', '{}'), ('members', 'b/u', 3, null, '{}'),
                     ('members', 'c/u', 3, null, '{}')";
        pool.execute(rows).await.expect("rows");
        let wanted = [
            "members b/*: since position 1, 1 later events waiting: forged",
            "notes n: since position 1, 1 later events waiting: it panicked",
        ];
        assert_eq!(quarantined(&pool).await.expect("read"), wanted);
    }

    #[tokio::test]
    async fn what_policies_were_refused_is_listed_in_the_order_of_the_log() {
        let (pool, _owner, _database) = world().await;
        assert_eq!(refused(&pool).await.expect("read"), ["Nothing was refused."]);
        let refusals = "insert into es.refusal (policy, position, aggregate_id, person, slug, detail, at) values
                        ('sync', 3, 'a', 'bob', 'note-trashed', 'It is in the trash.', '2026-01-31T12:00:00.5Z'),
                        ('sync', 2, 'b', 'ada', 'invalid', '/note_id: No.', '2026-01-31T12:00:00Z')";
        pool.execute(refusals).await.expect("the projector writes them");
        let wanted = [
            "sync at position 2, about b in the name of ada: invalid: /note_id: No. (2026-01-31 12:00:00 UTC)",
            "sync at position 3, about a in the name of bob: note-trashed: It is in the trash. (2026-01-31 12:00:00.500 UTC)",
        ];
        assert_eq!(refused(&pool).await.expect("read"), wanted);
    }

    #[test]
    fn an_operator_has_the_name_of_their_account() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!((name_of("1000", accounts), name_of("1", accounts)), (Some("ada"), None));
    }
}
