//! Every declared table is the one that the migrations make, and Postgres accepts every statement over it.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use kit::{Level, database};
use projector::projections::table::{self, Column, Table};
use projector::projections::{BlockRow, MemberRow, NoteRow, NotebookRow, SessionRow, TaskRow, UserRow};
use shared::process::postgres::{DatabaseRole, pool};
use shared::process::read_schema::{self, VERSIONS};
use sqlx::PgConnection;

/// Name, type and whether it may be null, of each column that is written; Postgres makes the others of these.
type Columns = Vec<(String, String, bool)>;

async fn columns(connection: &mut PgConnection, table: &str) -> Columns {
    let columns = "select a.attname::text, t.typname::text, not a.attnotnull
                     from pg_attribute a join pg_type t on t.oid = a.atttypid
                    where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
                    order by a.attnum";
    sqlx::query_as(columns).bind(table).fetch_all(connection).await.unwrap()
}

async fn key(connection: &mut PgConnection, table: &str) -> Vec<String> {
    let key = "select a.attname::text
                 from pg_index i
                cross join lateral unnest(i.indkey) with ordinality k (attnum, place)
                 join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
                where i.indrelid = $1::regclass and i.indisprimary
                order by k.place";
    sqlx::query_scalar(key).bind(table).fetch_all(connection).await.unwrap()
}

/// The list is the table, and every statement over it runs.
async fn fits<T: Table>(connection: &mut PgConnection) -> &'static str {
    let column = |column: &Column| (column.name.to_owned(), column.sql_type.to_owned(), column.nullable);
    let declared: Columns = T::COLUMNS.iter().map(column).collect();
    assert_eq!(declared, columns(connection, T::NAME).await, "{}", T::NAME);
    assert_eq!(T::KEY, key(connection, T::NAME).await, "{}", T::NAME);
    table::save::<T>(connection, &[]).await.unwrap();
    assert!(table::load::<T>(connection, &[]).await.unwrap().is_empty());
    table::remove::<T>(connection, &[]).await.unwrap();
    table::move_owned::<T>(connection, &[]).await.unwrap();
    table::remove_owned::<T>(connection, &[]).await.unwrap();
    assert!(table::load_within::<T, T::Key>(connection, "true", &[]).await.unwrap().is_empty());
    T::NAME
}

#[tokio::test]
async fn every_list_of_columns_is_that_of_the_migrated_table() {
    let database = database(Level::Tables).await.unwrap();
    let pool = pool(&database.url, DatabaseRole::Projector, Some(read_schema::name()), 1).unwrap();
    let mut connection = pool.acquire().await.unwrap();
    let declared = [
        fits::<UserRow>(&mut connection).await,
        fits::<SessionRow>(&mut connection).await,
        fits::<NotebookRow>(&mut connection).await,
        fits::<NoteRow>(&mut connection).await,
        fits::<BlockRow>(&mut connection).await,
        fits::<TaskRow>(&mut connection).await,
        fits::<MemberRow>(&mut connection).await,
    ];
    // Rows of the feed are only added, never loaded.
    let projected = VERSIONS.iter().map(|(table, _)| *table).filter(|table| *table != "feed");
    assert_eq!(declared.to_vec(), projected.collect::<Vec<_>>());
}
