//! Lists in pages, newest first: a cursor says where a page ended, and only this server can make one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shared::domain::id::UserId;
use shared::process::problem::{Problem, ProblemType};
use utoipa::ToSchema;
use utoipa::openapi::schema::ArrayBuilder;
use utoipa::openapi::{Ref, RefOr, Schema};
use uuid::Uuid;

use crate::answer::{Answer, Read};
use crate::app::QueryApp;

/// The most things that a page has.
const LARGEST: i64 = 200;

/// How many things a page has.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "i64")]
pub(crate) struct Limit(i64);

/// The place of a thing in its list: later times first; for one time, larger ids first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CursorKey {
    pub(crate) at: DateTime<Utc>,
    pub(crate) id: Uuid,
}

/// An item of a list.
pub(crate) trait Listed {
    /// The key of a place in the list.
    type Key: Serialize + DeserializeOwned;
    /// Its place.
    fn cursor_key(&self) -> Self::Key;
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// The things of this page.
    #[schema(schema_with = references::<T>)]
    items: Vec<T>,
    /// For the next page; null on the last one.
    #[schema(required)]
    next_cursor: Option<String>,
    /// Something of this list could not be kept up to date, and is left out until the operator has mended it. Absent when
    /// nothing is.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    withheld: bool,
}

/// A list of what the description has a name for.
fn references<T: ToSchema>() -> RefOr<Schema> {
    let items = Ref::from_schema_name(T::name());
    Schema::Array(ArrayBuilder::new().items(items).max_items(usize::try_from(LARGEST).ok()).build()).into()
}

/// One caller's way through one list; its cursors are of no use to another caller, in another list or for other filters.
pub(crate) struct Paging<P = CursorKey> {
    app: QueryApp,
    bound_to: String,
    limit: Limit,
    after: Option<P>,
}

impl<P: Serialize + DeserializeOwned> Paging<P> {
    /// Begins, or goes on where `cursor` says.
    pub(crate) fn new(
        app: &QueryApp,
        (list, caller, filters): (&str, UserId, &impl Serialize),
        limit: Limit,
        cursor: Option<&str>,
    ) -> Result<Self, Problem> {
        let bound_to = serde_json::to_string(&(list, caller, filters)).expect("filters are plain data");
        let begun = Self { app: app.clone(), bound_to, limit, after: None };
        let after = cursor.map(|cursor| begun.open(cursor).ok_or_else(bad_cursor)).transpose()?;
        Ok(Self { after, ..begun })
    }

    /// The place of the last item of the page before.
    pub(crate) fn after(&self) -> Option<&P> {
        self.after.as_ref()
    }

    /// How many rows to read: one more than shown, which tells whether there is a next page.
    pub(crate) fn rows(&self) -> i64 {
        self.limit.0 + 1
    }

    /// The page that the rows make.
    pub(crate) fn answer<T: Listed<Key = P>>(&self, rows: Vec<Read<T>>) -> Result<Answer<Page<T>>, Problem> {
        let first = rows.first().ok_or_else(|| Problem::internal("The checkpoint has no row"))?;
        let (position, withheld) = (first.position()?, first.withheld);
        let mut items: Vec<T> = rows.into_iter().filter_map(|row| row.item).collect();
        let shown = usize::try_from(self.limit.0).unwrap_or(usize::MAX);
        let more = items.len() > shown;
        items.truncate(shown);
        let next_cursor = items.last().filter(|_| more).map(|last| self.sign(&last.cursor_key()));
        Ok(Answer::list(position, Page { items, next_cursor, withheld }))
    }

    fn sign(&self, key: &P) -> String {
        let content = serde_json::to_vec(key).expect("a key is plain data");
        URL_SAFE_NO_PAD.encode([&self.mac(&content)[..], &content].concat())
    }

    fn open(&self, cursor: &str) -> Option<P> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (mac, content) = bytes.split_at_checked(32)?;
        // Compared under the key once more, so that the time it takes says nothing about the right code.
        let genuine = self.app.keys.cursor(&self.mac(content)) == self.app.keys.cursor(mac);
        if genuine { serde_json::from_slice(content).ok() } else { None }
    }

    fn mac(&self, content: &[u8]) -> [u8; 32] {
        self.app.keys.cursor(&[self.bound_to.as_bytes(), b"\0", content].concat())
    }
}

impl Paging {
    /// The time of the last thing of the page before.
    pub(crate) fn at(&self) -> Option<DateTime<Utc>> {
        self.after().map(|key| key.at)
    }

    /// The id of the last thing of the page before.
    pub(crate) fn id(&self) -> Option<Uuid> {
        self.after().map(|key| key.id)
    }
}

fn bad_cursor() -> Problem {
    Problem::new(
        ProblemType::BadCursor,
        "This list did not give you this cursor for these filters. Start without a cursor.",
    )
}

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

impl TryFrom<i64> for Limit {
    type Error = &'static str;

    fn try_from(limit: i64) -> Result<Self, &'static str> {
        if (1..=LARGEST).contains(&limit) { Ok(Self(limit)) } else { Err("limit must be 1 to 200") }
    }
}
