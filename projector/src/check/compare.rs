//! Compares two tables of one form, row by row and column by column. Their names vary, so the statements are built at
//! run time.

use std::fmt;

use serde_json::{Map, Value};
use sqlx::PgConnection;

use super::Report;

/// So many differences of a table are named; the others are counted.
const NAMED: i64 = 10;

/// A row that is not what the log makes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The table.
    pub table: String,
    /// The columns of its key, and what they are in this row.
    pub key: Vec<(String, Value)>,
    /// What is wrong.
    pub what: What,
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It should be there.
    Missing,
    /// It should not be there.
    TooMany,
    /// This column of it holds something else.
    Column {
        /// Its name.
        name: String,
        /// What it holds.
        is: Value,
        /// What the log makes of it.
        should_be: Value,
    },
}

/// A table of the read schema.
#[derive(Debug)]
pub(super) struct Table {
    /// Its name.
    pub(super) name: String,
    key: Vec<String>,
}

/// Every table but the checkpoint, with its key.
pub(super) async fn tables(connection: &mut PgConnection, schema: &str) -> sqlx::Result<Vec<Table>> {
    let rows = sqlx::query!(
        r#"select c.relname::text as "name!", array_agg(a.attname::text order by k.place) as "key!"
             from pg_class c
             join pg_index i on i.indrelid = c.oid and i.indisprimary
            cross join lateral unnest(i.indkey) with ordinality k (attnum, place)
             join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
            where c.relnamespace = to_regnamespace($1) and c.relkind = 'r' and c.relname <> 'checkpoint'
            group by c.relname order by c.relname"#,
        schema
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| Table { name: row.name, key: row.key }).collect())
}

/// Adds to the report what is different in one table.
pub(super) async fn compare(
    connection: &mut PgConnection,
    live: &str,
    side: &str,
    table: &Table,
    report: &mut Report,
) -> sqlx::Result<()> {
    let (name, key) = (&table.name, table.key.join(", "));
    // Bytes are compared (`*=`), so that nothing counts as equal that could be told apart.
    let pairs = format!("from {live}.{name} l full join {side}.{name} s using ({key})");
    let count = format!("select count(s), count(*) filter (where (l *= s) is not true) {pairs}");
    let (rows, different): (i64, i64) = sqlx::query_as(&count).fetch_one(&mut *connection).await?;
    report.rows += rows;
    report.different += different;
    if different > 0 {
        let list = format!(
            "select to_jsonb(l), to_jsonb(s) {pairs} where (l *= s) is not true order by {key} limit {NAMED}"
        );
        let found: Vec<(Option<Value>, Option<Value>)> = sqlx::query_as(&list).fetch_all(connection).await?;
        for (is, should_be) in found {
            report.first.extend(differences(table, is.as_ref(), should_be.as_ref()));
        }
    }
    Ok(())
}

fn differences(table: &Table, is: Option<&Value>, should_be: Option<&Value>) -> Vec<Difference> {
    let difference = |row: &Value, what| Difference {
        table: table.name.clone(),
        key: table.key.iter().map(|column| (column.clone(), row[column].clone())).collect(),
        what,
    };
    match (is, should_be) {
        (Some(is), None) => vec![difference(is, What::TooMany)],
        (None, Some(should_be)) => vec![difference(should_be, What::Missing)],
        (Some(is), Some(should_be)) => {
            columns(is, should_be).into_iter().map(|what| difference(is, what)).collect()
        }
        (None, None) => Vec::new(),
    }
}

fn columns(is: &Value, should_be: &Value) -> Vec<What> {
    let empty = Map::new();
    let row = is.as_object().unwrap_or(&empty);
    row.iter()
        .filter(|(name, is)| should_be.get(name) != Some(is))
        .map(|(name, is)| What::Column {
            name: name.clone(),
            is: is.clone(),
            should_be: should_be[name].clone(),
        })
        .collect()
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.table)?;
        for (column, value) in &self.key {
            write!(f, " {column} {value}")?;
        }
        match &self.what {
            What::Missing => write!(f, ": is missing"),
            What::TooMany => write!(f, ": should not be there"),
            What::Column { name, is, should_be } => write!(f, ": {name} is {is}, should be {should_be}"),
        }
    }
}
