//! The one form of every error answer: RFC 9457 problem details with a stable `type`.

mod page;
mod types;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

pub use page::{markdown, routes};
pub use types::ProblemType;

use crate::domain::blocks::ContentError;

/// A refusal. Its `type` is for programs and never changes; its `title` and `detail` are for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema, thiserror::Error)]
#[error("{status} {}: {detail}", kind.slug())]
pub struct Problem {
    /// The kind of problem: a relative URI that answers with its explanation.
    #[serde(rename = "type")]
    #[schema(value_type = String, pattern = "^/problems/[a-z-]+$", example = "/problems/note-missing")]
    pub kind: ProblemType,
    /// What happened, in a few words that are the same for each problem of this type.
    pub title: &'static str,
    /// The HTTP status, which is the same for each problem of this type.
    pub status: u16,
    /// What is wrong with this request, and what to do.
    pub detail: String,
    /// Which parts of the request are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldError>,
    /// With 412: the current version of the thing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// Seconds to wait before trying again; the header `Retry-After` says the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

/// One wrong part of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// Where: a JSON pointer (RFC 6901) into the body, or `?name` for a query parameter.
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

impl From<ContentError> for FieldError {
    fn from(error: ContentError) -> Self {
        Self { pointer: error.pointer, detail: error.detail }
    }
}

impl Problem {
    /// A problem of this kind; `detail` says what is wrong with this request.
    pub fn new(kind: ProblemType, detail: impl Into<String>) -> Self {
        Self {
            kind,
            title: kind.title(),
            status: kind.status().as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
            version: None,
            retry_after: None,
        }
    }

    /// 422: the request is readable, but the part of it at `pointer` is not acceptable.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let error = FieldError { pointer: pointer.into(), detail: detail.into() };
        let detail = "A part of the request is not acceptable; see errors.";
        Self { errors: vec![error], ..Self::new(ProblemType::Invalid, detail) }
    }

    /// A problem that passes: the client may try again after `seconds`.
    pub fn passing(kind: ProblemType, detail: impl Into<String>, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..Self::new(kind, detail) }
    }

    /// 503: the database is away for a moment.
    pub fn database_unavailable() -> Self {
        let detail = "The server cannot reach its database at the moment. Nothing was changed. Try again.";
        Self::passing(ProblemType::DatabaseUnavailable, detail, 1)
    }

    /// 500: the server failed. The cause is logged here, once; the client only learns that it happened.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "A request failed for a reason of ours");
        Self::new(
            ProblemType::Internal,
            "Something went wrong in the server. Its log has the cause, with the id in the header X-Request-Id.",
        )
    }

    /// The status as axum's type.
    pub fn status(&self) -> StatusCode {
        self.kind.status()
    }
}

impl From<sqlx::Error> for Problem {
    /// A database that cannot be reached is a matter of waiting; anything else is a defect of ours.
    fn from(error: sqlx::Error) -> Self {
        let away = matches!(
            error,
            sqlx::Error::Io(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed
                | sqlx::Error::Tls(_)
        ) || error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code)
            .is_some_and(|code| is_passing(&code));
        if away {
            tracing::warn!(cause = %error, "The database cannot be reached");
            Self::database_unavailable()
        } else {
            Self::internal(error)
        }
    }
}

/// Whether an SQLSTATE says that the server is starting, stopping, full or slow: connection exceptions (class 08),
/// insufficient resources (53), operator intervention (57).
pub fn is_passing(code: &str) -> bool {
    ["08", "53", "57"].iter().any(|class| code.starts_with(class))
}

impl From<crate::log::encryption::EncryptionError> for Problem {
    fn from(error: crate::log::encryption::EncryptionError) -> Self {
        match error.into_database() {
            Ok(error) => error.into(),
            Err(error) => Self::internal(error),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).expect("a problem is plain data");
        let mut response = (self.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
