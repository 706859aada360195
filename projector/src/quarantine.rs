//! Quarantined rows: a row whose fold failed, and the later events that wait for it.
//!
//! The row stays as it was before the event that failed, and everything else goes on. Waiting events are never folded
//! into it afterwards. When the cause is repaired (a release whose fold handles the event, or a skip of the event),
//! the tables are rebuilt, and the row with them. docs/quarantine.md explains it to operators.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use shared::log::event::Recorded;
use sqlx::PgConnection;
use tokio::sync::watch;

use crate::row_key::RowKey;
use crate::status::Status;

/// The quarantined rows before and after a batch.
#[derive(Debug, Default)]
pub struct Quarantine {
    at_fault: HashMap<String, HashSet<String>>,
    new: Vec<Quarantined>,
}

/// An event that was not folded into a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The row's table.
    pub table: &'static str,
    /// The row's key as text; see [`RowKey::text`].
    pub key: String,
    /// The event's position in the log.
    pub position: i64,
    /// What went wrong; `None` when it waits for an earlier one.
    pub why: Option<String>,
    /// The event's scopes.
    pub scopes: Vec<String>,
}

impl Quarantine {
    /// Reads which rows are quarantined; once for a batch, in its transaction.
    pub async fn load(connection: &mut PgConnection) -> sqlx::Result<Self> {
        let rows = sqlx::query!("select table_name, key from quarantine where why is not null")
            .fetch_all(connection)
            .await?;
        let mut at_fault: HashMap<String, HashSet<String>> = HashMap::new();
        for row in rows {
            at_fault.entry(row.table_name).or_default().insert(row.key);
        }
        Ok(Self { at_fault, new: Vec::new() })
    }

    /// Writes what this batch has quarantined.
    pub async fn save(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        if self.new.is_empty() {
            return Ok(());
        }
        let scopes = |quarantined: &Quarantined| Value::from(quarantined.scopes.clone());
        sqlx::query!(
            "insert into quarantine (table_name, key, position, why, scopes)
             select t, k, p, w, array(select jsonb_array_elements_text(s))
               from unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::jsonb[]) n (t, k, p, w, s)",
            &self.new.iter().map(|quarantined| quarantined.table).collect::<Vec<_>>() as &[&str],
            &self.new.iter().map(|quarantined| quarantined.key.as_str()).collect::<Vec<_>>() as &[&str],
            &self.new.iter().map(|quarantined| quarantined.position).collect::<Vec<_>>()[..],
            &self.new.iter().map(|quarantined| quarantined.why.as_deref()).collect::<Vec<_>>()
                as &[Option<&str>],
            &self.new.iter().map(scopes).collect::<Vec<_>>()[..]
        )
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Whether events of this row have to wait.
    pub(crate) fn holds(&self, table: &str, key: &impl RowKey) -> bool {
        // Hardly ever is there anything: the texts of keys are made only then.
        self.at_fault.get(table).is_some_and(|held| {
            held.contains(&key.text()) || key.group().is_some_and(|group| held.contains(&group))
        })
    }

    /// Quarantines a row from this event on. If it is already quarantined, it has one more waiting event.
    pub(crate) fn fault(&mut self, table: &'static str, key: String, event: &Recorded, why: &str) {
        let news = self.at_fault.entry(table.to_owned()).or_default().insert(key.clone());
        self.add(table, key, event, news.then(|| why.to_owned()));
    }

    /// One more event waits.
    pub(crate) fn wait(&mut self, table: &'static str, key: String, event: &Recorded) {
        self.add(table, key, event, None);
    }

    /// What this batch has quarantined.
    pub fn quarantined(&self) -> &[Quarantined] {
        &self.new
    }

    /// Logs an alarm once for each row, after its quarantine was committed.
    pub(crate) fn alarm(&self, status: &watch::Sender<Status>) {
        for quarantined in &self.new {
            if let Some(why) = &quarantined.why {
                tracing::error!(
                    table = quarantined.table,
                    key = quarantined.key,
                    position = quarantined.position,
                    why,
                    "A row cannot be kept up and is quarantined; all others go on. See docs/quarantine.md"
                );
            }
        }
        let rows: usize = self.at_fault.values().map(HashSet::len).sum();
        status.send_if_modified(|status| std::mem::replace(&mut status.quarantined, rows) != rows);
    }

    fn add(&mut self, table: &'static str, key: String, event: &Recorded, why: Option<String>) {
        // One event may touch a row in two ways, and waits for it once.
        let waits = |quarantined: &Quarantined| {
            (quarantined.table, &quarantined.key, quarantined.position) == (table, &key, event.position)
        };
        if !self.new.iter().rev().take_while(|quarantined| quarantined.position == event.position).any(waits)
        {
            let scopes = event.scopes.clone();
            self.new.push(Quarantined { table, key, position: event.position, why, scopes });
        }
    }
}

/// Shows how many rows are quarantined; 0 in a process that does not lead. Said again and again, as metrics forget what was
/// said before they were first asked for.
pub(crate) fn show(rows: usize) {
    let rows = u32::try_from(rows).unwrap_or(u32::MAX);
    metrics::gauge!("daybook_projector_quarantined_rows").set(f64::from(rows));
}
