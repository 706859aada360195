//! The addresses of links and images: only those that are safe to follow.

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::fields::{ContentError, Fields};
use crate::domain::text::{TextError, misleads};

const LONGEST: usize = 2_000;

/// An address of 1 to 2,000 characters: http, https, mailto, or relative to where the note is shown.
///
/// Browsers are generous readers: they skip tabs and line breaks within `java\tscript:`, take `\` for `/`, and `//host`
/// or `https:host` for another site. None of these is accepted, nor what hides the look of an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(
    min_length = 1,
    max_length = 2_000,
    pattern = r#"^(?=https?://[^/?#]|mailto:[^/]|/([^/]|$)|[?#]|[^:/?#]+([/?#]|$))[^\s\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\\<>"]+$"#
)]
pub struct Address(String);

impl Address {
    /// The address as it was accepted.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Address {
    type Error = TextError;

    fn try_from(address: String) -> Result<Self, TextError> {
        if address.is_empty() {
            return Err(TextError::Empty);
        }
        if address.chars().count() > LONGEST {
            return Err(TextError::TooLong(LONGEST));
        }
        if address.chars().any(misleads) {
            return Err(TextError::Form(
                "must not contain white space, invisible characters, '\\', '<', '>' or '\"'",
            ));
        }
        if leads_to_a_known_place(&address) {
            Ok(Self(address))
        } else {
            Err(TextError::Form("must start with https://, http:// or mailto:, or be relative"))
        }
    }
}

fn leads_to_a_known_place(address: &str) -> bool {
    let first_part = address.split(['/', '?', '#']).next().unwrap_or_default();
    let Some((scheme, _)) = first_part.split_once(':') else {
        return !address.starts_with("//");
    };
    let rest = &address[scheme.len() + 1..];
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => {
            rest.strip_prefix("//").is_some_and(|host| !host.is_empty() && !host.starts_with(['/', '?', '#']))
        }
        "mailto" => !rest.is_empty() && !rest.starts_with('/'),
        _ => false,
    }
}

/// Where an image comes from: `{"blob": id}` or `{"url": address}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Bytes that are kept here.
    Blob(Uuid),
    /// Somewhere else.
    Url(Address),
}

impl Source {
    pub(super) fn read(value: Value, at: &str) -> Result<Self, ContentError> {
        let mut fields = Fields::of(value, at)?;
        let source = if fields.has("blob") {
            let blob: String = fields.text("blob")?;
            let id = blob.parse::<Hyphenated>().map_err(|_| fields.refuse("blob", "must be a UUID"))?;
            Self::Blob(id.into_uuid())
        } else if fields.has("url") {
            Self::Url(fields.text("url")?)
        } else {
            return Err(ContentError::new(at, "must have either 'blob' or 'url'"));
        };
        fields.end().map(|()| source)
    }
}

/// Writes the ids of blobs in lower case, wherever they stand in a content that was not read yet: then there is one
/// spelling of it.
pub fn lower_blob_ids(content: &mut Value) {
    match content {
        Value::Array(items) => items.iter_mut().for_each(lower_blob_ids),
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                if let ("blob", Value::String(id)) = (name.as_str(), &mut *value) {
                    id.make_ascii_lowercase();
                } else {
                    lower_blob_ids(value);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => (),
    }
}
