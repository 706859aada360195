//! The one form of a refusal over HTTP: RFC 9457 problem details with a stable `type`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

/// A refusal. Its `type` is for programs and never changes; its `detail` is for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema, thiserror::Error)]
#[error("{status} {slug}: {detail}")]
pub struct Problem {
    /// What kind of refusal, such as `note-missing`; relative to the documentation of problems.
    #[serde(rename = "type")]
    pub slug: String,
    /// The HTTP status, once more.
    pub status: u16,
    /// What was wrong and what to do.
    pub detail: String,
    /// Which parts of the request were wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// With 412: the version that the thing has now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// Seconds to wait before trying again; also sent as `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

/// One wrong part of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FieldError {
    /// Where: a JSON pointer (RFC 6901) into the body, or `?name` for a query parameter.
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

impl Problem {
    /// A refusal with its status, slug and plain words.
    pub fn new(status: StatusCode, slug: &str, detail: impl Into<String>) -> Self {
        Self {
            slug: slug.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
            version: None,
            retry_after: None,
        }
    }

    /// 400: the request cannot be read.
    pub fn bad_request(slug: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, slug, detail)
    }

    /// 401: nobody knows who asks.
    pub fn unauthorized(slug: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, slug, detail)
    }

    /// 404: there is no such thing, or none that the caller may see.
    pub fn not_found(slug: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, slug, detail)
    }

    /// 422: readable, but a part of it is not acceptable.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            "A part of the request is not acceptable; see errors.",
        );
        problem.errors.push(FieldError { pointer: pointer.into(), detail: detail.into() });
        problem
    }

    /// 503: try again in `seconds`.
    pub fn unavailable(slug: &str, detail: impl Into<String>, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, slug, detail) }
    }

    /// An error of ours: logged here, once, with its cause; the caller learns only that it happened.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "A request failed for a reason of ours");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something went wrong here; it was logged with the id in the X-Request-Id header.",
        )
    }

    /// The status as axum's type.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
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
            Self::unavailable(
                "database-unavailable",
                "The database cannot be reached at the moment; nothing was changed. Try again.",
                1,
            )
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

impl From<crate::encryption::EncryptionError> for Problem {
    fn from(error: crate::encryption::EncryptionError) -> Self {
        match error {
            crate::encryption::EncryptionError::Database(error) => error.into(),
            error @ (crate::encryption::EncryptionError::Wrapped(_)
            | crate::encryption::EncryptionError::Forged(_)
            | crate::encryption::EncryptionError::Unreadable { .. }) => Self::internal(error),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).expect("a problem is plain data");
        let mut response = (self.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED.as_u16() {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
