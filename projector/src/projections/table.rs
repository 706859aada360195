//! A read table, declared once: `table!` lists its columns. The type of its rows, the statements that load, save and
//! remove them, and what these bind all follow from the list.
//!
//! The migration names the columns too, because it also says what a list cannot: collations, constraints, and why.
//! `tests/tables.rs` compares every list with the migrated tables and runs every statement.
//!
//! To add a column: one line in the list, one in the migration. To use another type for a column: implement
//! [`ColumnType`].

use shared::domain::access::Kind;
use sqlx::postgres::PgRow;
use sqlx::{Decode, PgConnection, Postgres, Row, Type};
use uuid::Uuid;

use crate::column::{ColumnType, Query};
use crate::row_key::RowKey;

/// Declares a table: its row type and its name, the columns of its primary key, then the others, in the order of the
/// migration.
///
/// If rows go with a container, `owner` names its kind and the column with its id; `root` names the column with the id of
/// the root that the owner is in, for tables that are listed by root without the owner. The column of the owner needs an
/// index in the table's own migration, since all rows of an owner change at once.
///
/// ```ignore
/// table! {
///     /// A note as lists show it.
///     NoteRow in notes, key (id: Uuid) {
///         notebook_id: Uuid,
///         title: String,
///     }
/// }
/// ```
macro_rules! table {
    (
        $(#[$doc:meta])*
        $row:ident in $table:ident, key ($($key:ident: $key_type:ty),+)
        $(, owner $kind:ident $owner:ident $(, root $root:ident)?)? {
            $($(#[$column_doc:meta])* $column:ident: $type:ty,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the columns of the table, by their names")]
        pub struct $row {
            $(pub $key: $key_type,)+
            $($(#[$column_doc])* pub $column: $type,)*
        }

        const _: () = {
            use $crate::column::{Query, column};
            use $crate::projections::table::{Column, Columns, Statements, Table};

            static STATEMENTS: std::sync::LazyLock<Statements> =
                std::sync::LazyLock::new(Statements::of::<$row>);

            impl Table for $row {
                type Key = table!(@key $($key_type),+);
                const NAME: &'static str = stringify!($table);
                const KEY: &'static [&'static str] = &[$(stringify!($key)),+];
                const COLUMNS: &'static [Column] = &[
                    $(Column::of::<$key_type>(stringify!($key)),)+
                    $(Column::of::<$type>(stringify!($column)),)*
                ];

                fn statements() -> &'static Statements {
                    &STATEMENTS
                }

                fn key(&self) -> Self::Key {
                    ($(self.$key),+)
                }

                $(
                    const OWNER: Option<(shared::domain::access::Kind, &'static str)> =
                        Some((shared::domain::access::Kind::$kind, stringify!($owner)));

                    fn owner(&self) -> Option<uuid::Uuid> {
                        self.$owner.into()
                    }

                    $(
                        const ROOT: Option<&'static str> = Some(stringify!($root));

                        fn set_root(&mut self, root: uuid::Uuid) {
                            self.$root = root.into();
                        }
                    )?
                )?

                fn read(mut columns: Columns<'_>) -> sqlx::Result<Self> {
                    Ok(Self { $($key: columns.take()?,)+ $($column: columns.take()?,)* })
                }

                fn bind<'q>(query: Query<'q>, rows: &'q [Self]) -> Query<'q> {
                    query$(.bind(column(rows, |row| &row.$key)))+$(.bind(column(rows, |row| &row.$column)))*
                }
            }
        };
    };
    // The type of a key: of one column its type, of several a tuple.
    (@key $one:ty) => { $one };
    (@key $($several:ty),+) => { ($($several),+) };
}
pub(super) use table;

/// A row of a table that was declared with `table!`.
pub trait Table: Send + Sync + Unpin + Sized {
    /// What tells rows apart.
    type Key: RowKey;
    /// The table.
    const NAME: &'static str;
    /// The columns of the primary key.
    const KEY: &'static [&'static str];
    /// All columns, those of the key first.
    const COLUMNS: &'static [Column];

    /// The statements over this table, built once.
    fn statements() -> &'static Statements;
    /// The key of this row.
    fn key(&self) -> Self::Key;
    /// Of the container under whose key a row's data was encrypted, its kind, and the column with its id: when that ends,
    /// the row goes.
    const OWNER: Option<(Kind, &'static str)> = None;
    /// The id of that container.
    fn owner(&self) -> Option<Uuid> {
        None
    }
    /// The column with the id of the root that the owner is in, kept when the owner moves.
    const ROOT: Option<&'static str> = None;
    /// The owner is in another root now.
    fn set_root(&mut self, _: Uuid) {}
    /// A row of the columns as they are selected.
    fn read(columns: Columns<'_>) -> sqlx::Result<Self>;
    /// Binds one array for each column.
    fn bind<'q>(query: Query<'q>, rows: &'q [Self]) -> Query<'q>;
}

/// A column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type, as `pg_type` names it.
    pub sql_type: &'static str,
    /// Whether it may be null.
    pub nullable: bool,
}

impl Column {
    /// The column of a field. A field that is a keyword of Rust (`r#type`) has its plain name in SQL.
    pub const fn of<T: ColumnType>(field: &'static str) -> Self {
        let name = match field.as_bytes() {
            [b'r', b'#', ..] => field.split_at(2).1,
            _ => field,
        };
        Self { name, sql_type: T::SQL, nullable: T::NULLABLE }
    }
}

/// The statements over one table.
#[derive(Debug)]
pub struct Statements {
    /// Selects rows.
    pub select: String,
    /// Selects the rows of some keys.
    pub load: String,
    /// Writes rows over what was there.
    pub save: String,
    /// Deletes the rows of some keys.
    pub remove: String,
    /// Deletes all rows of some owners.
    pub remove_owned: Option<String>,
    /// Sets the root of all rows of some owners.
    pub move_owned: Option<String>,
}

impl Statements {
    /// Builds them from the list of columns.
    pub fn of<T: Table>() -> Self {
        let table = T::NAME;
        let (key, others) = T::COLUMNS.split_at(T::KEY.len());
        let selected = each(T::COLUMNS, |column| format!("t.{column}"));
        let select = format!("select {selected} from {table} t");
        let inserted = each(T::COLUMNS, ToOwned::to_owned);
        let conflict = each(key, ToOwned::to_owned);
        let updates = each(others, |column| format!("{column} = excluded.{column}"));
        let upsert = format!(
            "insert into {table} ({inserted}) select * from {} on conflict ({conflict}) do update set {updates}",
            unnest(T::COLUMNS)
        );
        // Of one column `any` is enough, and plans an index scan however many keys there are.
        let (load, remove) = if let [key] = T::KEY {
            (
                format!("{select} where t.{key} = any($1)"),
                format!("delete from {table} t where t.{key} = any($1)"),
            )
        } else {
            let keys = format!("{} k ({conflict})", unnest(key));
            let same = T::KEY.iter().map(|column| format!("t.{column} = k.{column}"));
            let same = same.collect::<Vec<_>>().join(" and ");
            (
                format!("select {selected} from {keys} join {table} t on {same}"),
                format!("delete from {table} t using {keys} where {same}"),
            )
        };
        let remove_owned = T::OWNER.map(|(_, owner)| format!("delete from {table} where {owner} = any($1)"));
        let move_owned = T::OWNER.zip(T::ROOT).map(|((_, owner), root)| {
            let moves = "unnest($1::uuid[], $2::uuid[]) m (owner, root)";
            format!("update {table} t set {root} = m.root from {moves} where t.{owner} = m.owner")
        });
        Self { select, load, save: upsert, remove, remove_owned, move_owned }
    }
}

/// Something for the name of each column, in a list.
fn each(columns: &[Column], of: impl Fn(&str) -> String) -> String {
    columns.iter().map(|column| of(column.name)).collect::<Vec<_>>().join(", ")
}

/// One array for each column, as rows.
fn unnest(columns: &[Column]) -> String {
    let arrays = (1..).zip(columns).map(|(place, column)| format!("${place}::{}[]", column.sql_type));
    format!("unnest({})", arrays.collect::<Vec<_>>().join(", "))
}

/// The columns of a selected row, one after the other.
#[derive(Debug)]
pub struct Columns<'r> {
    row: &'r PgRow,
    place: usize,
}

impl Columns<'_> {
    /// The next column.
    pub fn take<T: for<'d> Decode<'d, Postgres> + Type<Postgres>>(&mut self) -> sqlx::Result<T> {
        let value = self.row.try_get(self.place)?;
        self.place += 1;
        Ok(value)
    }
}

/// Reads the rows of these keys, those that there are.
pub async fn load<T: Table>(connection: &mut PgConnection, keys: &[T::Key]) -> sqlx::Result<Vec<T>> {
    T::Key::bind(sqlx::query(&T::statements().load), keys)
        .try_map(|row| T::read(Columns { row: &row, place: 0 }))
        .fetch_all(connection)
        .await
}

/// Reads the rows that meet a condition and whose first columns are one of these.
pub async fn load_within<T: Table, K: RowKey>(
    connection: &mut PgConnection,
    condition: &str,
    firsts: &[K],
) -> sqlx::Result<Vec<T>> {
    let columns = T::COLUMNS.get(..K::COLUMNS).unwrap_or_default();
    let names = each(columns, |column| format!("t.{column}"));
    let select = &T::statements().select;
    let statement =
        format!("{select} where {condition} and ({names}) in (select * from {})", unnest(columns));
    K::bind(sqlx::query(&statement), firsts)
        .try_map(|row| T::read(Columns { row: &row, place: 0 }))
        .fetch_all(connection)
        .await
}

/// Writes these rows over what was there.
pub async fn save<T: Table>(connection: &mut PgConnection, rows: &[T]) -> sqlx::Result<()> {
    T::bind(sqlx::query(&T::statements().save), rows).execute(connection).await?;
    Ok(())
}

/// Removes the rows of these keys.
pub async fn remove<T: Table>(connection: &mut PgConnection, keys: &[T::Key]) -> sqlx::Result<()> {
    T::Key::bind(sqlx::query(&T::statements().remove), keys).execute(connection).await?;
    Ok(())
}

/// Sets the root of all rows of each owner.
pub async fn move_owned<T: Table>(connection: &mut PgConnection, roots: &[(Uuid, Uuid)]) -> sqlx::Result<()> {
    let Some(statement) = &T::statements().move_owned else { return Ok(()) };
    let (owners, roots): (Vec<_>, Vec<_>) = roots.iter().copied().unzip();
    sqlx::query(statement).bind(owners).bind(roots).execute(connection).await?;
    Ok(())
}

/// Removes all rows of these owners.
pub async fn remove_owned<T: Table>(connection: &mut PgConnection, owners: &[Uuid]) -> sqlx::Result<()> {
    let Some(statement) = &T::statements().remove_owned else { return Ok(()) };
    sqlx::query(statement).bind(owners).execute(connection).await?;
    Ok(())
}
