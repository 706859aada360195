//! The types that columns of read tables can have, and how many values of one are bound at once.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;
use shared::domain::access::{Kind, Role};
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::types::Json;
use uuid::Uuid;

/// A statement and what is bound to it so far.
pub type Query<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

/// One column of many rows, as `unnest` takes it.
pub fn column<'r, R, T: ColumnType>(rows: &'r [R], value: impl Fn(&'r R) -> &'r T) -> Vec<T::Bound<'r>> {
    rows.iter().map(|row| value(row).bound()).collect()
}

/// A type that a column can have.
pub trait ColumnType: 'static {
    /// The type in SQL, as `pg_type` names it.
    const SQL: &'static str;
    /// Whether the column may be null.
    const NULLABLE: bool = false;
    /// What is bound for it, borrowed where that saves a copy. Arrays of it can be bound too.
    type Bound<'r>;
    /// The value to bind.
    fn bound(&self) -> Self::Bound<'_>;
}

/// Types that are bound as they are.
macro_rules! bound_as_is {
    ($($type:ty = $sql:literal),+ $(,)?) => {$(
        impl ColumnType for $type {
            const SQL: &'static str = $sql;
            type Bound<'r> = Self;
            fn bound(&self) -> Self {
                *self
            }
        }
    )+};
}

bound_as_is! {
    Uuid = "uuid",
    bool = "bool",
    i16 = "int2",
    i64 = "int8",
    DateTime<Utc> = "timestamptz",
    NaiveDate = "date",
}

impl ColumnType for String {
    const SQL: &'static str = "text";
    type Bound<'r> = &'r str;
    fn bound(&self) -> &str {
        self
    }
}

impl ColumnType for Value {
    const SQL: &'static str = "jsonb";
    type Bound<'r> = Json<&'r Self>;
    fn bound(&self) -> Json<&Self> {
        Json(self)
    }
}

/// Bound by its number: sqlx can bind no array of an enum.
impl ColumnType for Role {
    const SQL: &'static str = "int2";
    type Bound<'r> = i16;
    fn bound(&self) -> i16 {
        *self as i16
    }
}

/// Bound by its name.
impl ColumnType for Kind {
    const SQL: &'static str = "text";
    type Bound<'r> = &'r str;
    fn bound(&self) -> &str {
        self.as_ref()
    }
}

impl<T: ColumnType> ColumnType for Option<T> {
    const SQL: &'static str = T::SQL;
    const NULLABLE: bool = true;
    type Bound<'r> = Option<T::Bound<'r>>;
    fn bound(&self) -> Option<T::Bound<'_>> {
        self.as_ref().map(T::bound)
    }
}
