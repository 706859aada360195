//! Blocks as their note shows them. A person who sees the note sees its blocks.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use shared::domain::blocks::Content;
use shared::domain::id::BlockId;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgHasArrayType, PgTypeInfo};
use sqlx::types::{Json, Type};
use sqlx::{Decode, Postgres};
use utoipa::ToSchema;

/// A block of a note.
// Selected in the order of these fields.
#[derive(Debug, Decode, Serialize, ToSchema)]
#[schema(as = blocks::Block)]
pub(crate) struct Block {
    pub(crate) id: BlockId,
    /// Its type, which says what the content has.
    #[schema(value_type = shared::domain::blocks::BlockType)]
    pub(crate) r#type: String,
    /// What it holds; as it is stored, so not read once more.
    #[schema(value_type = Object)]
    pub(crate) content: Json<Box<RawValue>>,
    /// Its place among the note's blocks: they are in the order of these, byte by byte.
    pub(crate) rank: String,
    /// Who added it: a person's id, or the name of a policy.
    pub(crate) created_by: String,
    pub(crate) created_at: DateTime<Utc>,
    /// Who changed it last: a person's id, or the name of a policy.
    pub(crate) updated_by: String,
    pub(crate) updated_at: DateTime<Utc>,
    /// For `If-Match` when changing it.
    pub(crate) version: i64,
}

/// A note is selected with an array of its blocks. Records and arrays of them have these ids in every Postgres.
impl Type<Postgres> for Block {
    fn type_info() -> PgTypeInfo {
        const RECORD: Oid = Oid(2249);
        PgTypeInfo::with_oid(RECORD)
    }
}

impl PgHasArrayType for Block {
    fn array_type_info() -> PgTypeInfo {
        const RECORDS: Oid = Oid(2287);
        PgTypeInfo::with_oid(RECORDS)
    }
}

impl Block {
    /// Type and content, as the domain has them.
    pub(crate) fn to_content(&self) -> serde_json::Result<Content> {
        let content: Value = serde_json::from_str(self.content.get())?;
        serde_json::from_value(json!({"type": self.r#type, "content": content}))
    }
}
