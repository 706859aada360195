//! Reading requests: extractors whose rejections are problems, so no client ever gets a bare line of text.

use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};

use super::json::{self, JsonError};
use super::media::{self, Unsupported};
use super::numbers;
use crate::process::problem::{FieldError, Problem, ProblemType};

/// The largest body that is read, in bytes.
pub(super) const BODY_LIMIT: usize = 1024 * 1024;
/// How long a whole body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_mins(1);
/// How much more of a refused body is read and discarded, and for how long. If the connection were closed while the
/// client still sends, the client would not get the answer.
const LET_GO: (usize, Duration) = (64 * 1024 * 1024, Duration::from_secs(2));

/// A JSON body. 400 unreadable or ambiguous, 413 too large, 415 not plain JSON, 422 not acceptable, with a pointer.
pub struct Json<T>(pub T);

/// The parameters of the path. 404 if one does not parse, because it names nothing.
pub struct Path<T>(pub T);

/// The parameters of the query. 400 for a bad or unknown one.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        media::check(request.method(), request.headers()).map_err(Unsupported::into_response)?;
        let body = collect(request.into_body()).await.map_err(Problem::into_response)?;
        read(&body).map(Self).map_err(Problem::into_response)
    }
}

/// Reads a JSON body from its bytes, with the same refusals as [`Json`].
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let value = json::parse(bytes);
    numbers::check(bytes, value.as_ref().ok())?;
    let mut value = value.map_err(|error| match error {
        JsonError::Syntax(error) => {
            Problem::new(ProblemType::UnreadableJson, format!("The body is not well-formed JSON: {error}."))
        }
        JsonError::Duplicate(pointer) => duplicate_member(pointer),
    })?;
    if let Some(pointer) = find_nul(&value, &mut String::new()) {
        return Err(Problem::invalid(pointer, "must not contain U+0000"));
    }
    // Serde would take the fields of a struct from an array too, in the order of their declaration.
    if value.is_array() {
        return Err(Problem::invalid("", "must be an object, not an array"));
    }
    // Numbers stay as they were sent unless a whole one is wanted.
    if let Ok(read) = T::deserialize(&value) {
        return Ok(read);
    }
    numbers::make_whole(&mut value);
    serde_path_to_error::deserialize(value)
        .map_err(|error| Problem::invalid(pointer(error.path()), error.inner().to_string()))
}

fn duplicate_member(pointer: String) -> Problem {
    let detail = "An object in the body has two members of the same name; see errors.";
    let mut problem = Problem::new(ProblemType::DuplicateMember, detail);
    problem.errors.push(FieldError { pointer, detail: "is there twice; send it once".to_owned() });
    problem
}

/// Text with U+0000 is valid JSON, but nothing that Postgres stores.
fn find_nul(value: &Value, at: &mut String) -> Option<String> {
    let before = at.len();
    let mut inside = |key: &str, value: &Value| {
        at.push('/');
        at.push_str(&key.replace('~', "~0").replace('/', "~1"));
        let found = if key.contains('\0') { Some(at.clone()) } else { find_nul(value, at) };
        at.truncate(before);
        found
    };
    match value {
        Value::String(text) => text.contains('\0').then(|| at.clone()),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| inside(&index.to_string(), item))
        }
        Value::Object(fields) => fields.iter().find_map(|(key, item)| inside(key, item)),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter().fold(String::new(), |pointer, segment| match segment {
        Segment::Seq { index } => format!("{pointer}/{index}"),
        Segment::Map { key } => json::below(&pointer, key),
        Segment::Enum { .. } | Segment::Unknown => pointer,
    })
}

/// The whole body, if it is not too large.
async fn collect(mut body: Body) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let deadline = Instant::now() + BODY_WITHIN;
    loop {
        let Ok(frame) = timeout_at(deadline, body.frame()).await else {
            drop(timeout(LET_GO.1, let_go(body)).await);
            let detail = "The body did not arrive within a minute. Send the request again.";
            return Err(Problem::new(ProblemType::BodyTooSlow, detail));
        };
        let Some(frame) = frame else { return Ok(bytes) };
        let frame = frame.map_err(|_| {
            Problem::new(
                ProblemType::UnreadableBody,
                "The connection ended before the whole body had arrived.",
            )
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > BODY_LIMIT {
            drop(timeout(LET_GO.1, let_go(body)).await);
            return Err(Problem::new(ProblemType::BodyTooLarge, "The body is larger than 1 MiB."));
        }
        bytes.extend_from_slice(&data);
    }
}

async fn let_go(mut body: Body) {
    let mut left = LET_GO.0;
    while let Some(Ok(frame)) = body.frame().await
        && let Some(less) = left.checked_sub(frame.data_ref().map_or(0, axum::body::Bytes::len))
    {
        left = less;
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(path) => Ok(Self(path.0)),
            Err(PathRejection::FailedToDeserializePathParams(_)) => {
                Err(Problem::new(ProblemType::NotFound, "There is nothing at this address. An id is a UUID."))
            }
            Err(other) => Err(Problem::internal(other)),
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::read(parts.uri.query().unwrap_or_default())
    }
}

impl<T: DeserializeOwned> Query<T> {
    /// Reads a query, with the same refusal as the extractor's.
    pub fn read(query: &str) -> Result<Self, Problem> {
        let uri = format!("/?{query}").parse().map_err(Problem::internal)?;
        let read = axum::extract::Query::<T>::try_from_uri(&uri);
        read.map(|query| Self(query.0)).map_err(|rejection| {
            let detail = std::error::Error::source(&rejection)
                .map_or_else(|| rejection.to_string(), ToString::to_string);
            Problem::new(ProblemType::BadQuery, format!("The query of the address is not valid: {detail}."))
        })
    }
}

/// For attributes of a PATCH that cannot be cleared: absent leaves them, null is refused.
pub fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[expect(dead_code, reason = "only its being read matters")]
        #[serde(default, deserialize_with = "present")]
        title: Option<crate::domain::text::Title>,
    }

    fn refusal(json: &[u8]) -> (u16, String) {
        let problem = read::<Body>(json).expect_err("must be refused");
        (problem.status, problem.errors.first().map(|error| error.pointer.clone()).unwrap_or_default())
    }

    #[test]
    fn a_wrong_part_is_pointed_at() {
        assert_eq!(refusal(br#"{"title": 5}"#), (422, "/title".to_owned()));
        assert_eq!(refusal(br#"{"title": null}"#), (422, "/title".to_owned()));
        assert_eq!(refusal(br#"{"titel": "a"}"#), (422, "/titel".to_owned()));
        assert_eq!(refusal(br#"{"title": "a\u0000"}"#), (422, "/title".to_owned()));
        assert_eq!(refusal(b"[]").0, 422);
        assert_eq!(refusal(br#"{"title": 1e400}"#), (422, "/title".to_owned()));
        assert_eq!(refusal(br#"{"title": 12345678901234567890123}"#), (422, "/title".to_owned()));
    }

    #[test]
    fn what_is_no_json_is_unreadable() {
        for broken in [&b"{"[..], b"", b"\xff", br#"{"title": "\ud800"}"#, b"{} {}"] {
            assert_eq!(refusal(broken).0, 400);
        }
        assert_eq!(refusal("[".repeat(200).as_bytes()).0, 400);
    }
}
