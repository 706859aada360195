//! What a read answers: the thing, the position at which it is true, and a tag for the client's cache.

use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderName, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use sha2::{Digest, Sha256};
use shared::domain::access::{self, Action, Role, Situation};
use shared::process::http::EntityTags;
use shared::process::problem::{Problem, ProblemType};

use crate::watermark::Mark;

const POSITION: HeaderName = HeaderName::from_static("position");

/// The row of every read: how far the tables were, and the thing if there is one.
///
/// Every read joins what it looks for to the checkpoint, so there is a row even when nothing is found. A statement
/// selects the thing as one record: `n as "item?: Note"` for a row of a subselect, or `row(n.id, …)`. The columns of a
/// record arrive without names, so they stand **in the order of the fields**.
pub(crate) struct Read<T> {
    pub(crate) position: i64,
    pub(crate) epoch: String,
    /// The row, or a part of it, is quarantined; see docs/quarantine.md.
    pub(crate) withheld: bool,
    pub(crate) item: Option<T>,
}

/// One thing that commands change.
pub(crate) trait Versioned {
    /// What `If-Match` takes when changing it.
    fn version(&self) -> i64;

    /// What the caller may do with it; `None` if it is no thing that others could see.
    fn role(&self) -> Option<Role>;
}

/// A body with its position.
pub(crate) struct Answer<T> {
    position: String,
    /// Of one thing; a list has none.
    version: Option<i64>,
    body: T,
}

impl<T> Read<T> {
    /// The position as the header carries it.
    pub(crate) fn position(&self) -> Result<String, Problem> {
        // A caller has registered, so a log without a fold is one that was not read yet.
        if self.epoch.is_empty() {
            Err(building(None))
        } else {
            Ok(format!("{}-{}", self.epoch, self.position))
        }
    }
}

impl<T: Versioned> Read<T> {
    /// The thing, or the refusal when there is none that the caller may see.
    pub(crate) fn answer(
        self,
        action: Action,
        missing: impl FnOnce() -> Problem,
    ) -> Result<Answer<T>, Problem> {
        let position = self.position()?;
        if self.withheld {
            return Err(quarantined());
        }
        let role = self.item.as_ref().and_then(Versioned::role);
        let body = match action.rule().answer(Situation::live(role)) {
            access::Answer::Yes => self.item,
            // Nothing asks for more than a viewer yet, and nothing is in the trash.
            access::Answer::LogIn
            | access::Answer::Unseen
            | access::Answer::Forbidden
            | access::Answer::Trashed => None,
        };
        let body = body.ok_or_else(missing)?;
        Ok(Answer { position, version: Some(body.version()), body })
    }
}

impl<T> Answer<T> {
    /// A list that is true at a position.
    pub(crate) fn list(position: String, body: T) -> Self {
        Self { position, version: None, body }
    }

    /// The same as a file of text.
    pub(crate) fn file(
        self,
        media: &'static str,
        file: impl FnOnce(T) -> Result<(String, String), Problem>,
    ) -> Result<File, Problem> {
        let (name, text) = file(self.body)?;
        Ok(File { media, position: self.position, version: self.version, name, text })
    }
}

/// A body that is a text of its own, with its position and what it may be called.
pub(crate) struct File {
    media: &'static str,
    position: String,
    version: Option<i64>,
    name: String,
    text: String,
}

/// Why a statement failed. Tables that are not there are being made by the projector of this release.
pub(crate) fn failed(error: sqlx::Error) -> Problem {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    if code.is_some_and(|code| code == "42P01" || code == "3F000") { building(None) } else { error.into() }
}

/// 503 for a quarantined row: its content may be wrong, and so may be who has access to it.
fn quarantined() -> Problem {
    /// People mend it, so it takes a while.
    const SECONDS: u64 = 60;
    let detail = "The server could not process a change of this, so it is withheld instead of shown wrong. Nothing is \
                  lost. The operator of this server can repair it. Try again later.";
    Problem::passing(ProblemType::RowQuarantined, detail, SECONDS)
}

/// 503 until the tables are built; with how far they are, if that is known.
pub(crate) fn building(mark: Option<&Mark>) -> Problem {
    /// Events folded in a second, at the least.
    const PACE: i64 = 10_000;
    let (progress, seconds) = mark.map_or_else(Default::default, |mark| {
        let seconds = ((mark.head - mark.position) / PACE).clamp(1, 30);
        (format!(": {} of {} events", mark.position, mark.head), seconds)
    });
    let detail = format!("The read tables are being built{progress}. Try again.");
    Problem::passing(ProblemType::ReadTablesBuilding, detail, seconds.max(1).unsigned_abs())
}

/// Answers 304 to a client that already has the representation (RFC 9110, 13.1.2).
pub(crate) async fn unless_seen(request: Request, next: Next) -> Response {
    let seen = request.headers().get_all(IF_NONE_MATCH).iter().cloned().collect::<Vec<_>>();
    let response = next.run(request).await;
    // A malformed header is ignored: the caller gets the body.
    let named = EntityTags::read(&seen).ok().flatten();
    let has_it = |tag| named.is_some_and(|named| named.match_weakly(tag));
    if response.status() == StatusCode::OK && response.headers().get(ETAG).is_some_and(has_it) {
        let mut headers = response.headers().clone();
        headers.remove(CONTENT_TYPE);
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    response
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.body).expect("an answer is plain data");
        represented("application/json", self.position, self.version, body)
    }
}

impl IntoResponse for File {
    fn into_response(self) -> Response {
        let name = utf8_percent_encode(&self.name, NON_ALPHANUMERIC);
        let disposition = format!("attachment; filename*=UTF-8''{name}");
        let response = represented(self.media, self.position, self.version, self.text.into_bytes());
        ([(CONTENT_DISPOSITION, disposition)], response).into_response()
    }
}

fn represented(media: &'static str, position: String, version: Option<i64>, body: Vec<u8>) -> Response {
    let digest = URL_SAFE_NO_PAD.encode(&Sha256::digest(&body)[..16]);
    // The version alone would not do: a note's body holds blocks, which have versions of their own.
    let tag = version.map_or_else(|| format!("W/\"{digest}\""), |version| format!("\"{version}.{digest}\""));
    let headers = [
        (CONTENT_TYPE, media.to_owned()),
        // Access can change at any moment, so a cache may keep it but must ask each time.
        (CACHE_CONTROL, "private, no-cache".to_owned()),
        (ETAG, tag),
        (POSITION, position),
    ];
    (headers, body).into_response()
}
