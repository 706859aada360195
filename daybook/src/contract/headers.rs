//! The headers of requests and answers, and which routes have them.

use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Ref, RefOr};

use super::Traits;

/// A header of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    CacheControl,
    ETag,
    Position,
    RequestId,
    RetryAfter,
    WwwAuthenticate,
}

/// A header of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestHeader {
    IdempotencyKey,
    IfMatch,
    IfNoneMatch,
}

impl Header {
    /// All of them.
    pub(super) const ALL: [Self; 6] = [
        Self::CacheControl,
        Self::ETag,
        Self::Position,
        Self::RequestId,
        Self::RetryAfter,
        Self::WwwAuthenticate,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::CacheControl => "Cache-Control",
            Self::ETag => "ETag",
            Self::Position => "Position",
            Self::RequestId => "X-Request-Id",
            Self::RetryAfter => "Retry-After",
            Self::WwwAuthenticate => "WWW-Authenticate",
        }
    }

    /// Whether an operation answers with it when all went well.
    pub(super) fn applies_to(self, operation: Traits) -> bool {
        match self {
            Self::CacheControl => operation.is_read,
            Self::ETag | Self::Position => operation.is_command || operation.is_read,
            Self::RequestId => true,
            Self::RetryAfter | Self::WwwAuthenticate => false,
        }
    }

    /// Whether a refusal of this status has it.
    pub(super) fn is_of_refusal(self, status: u16) -> bool {
        match self {
            Self::CacheControl | Self::ETag | Self::Position => false,
            Self::RequestId => true,
            Self::RetryAfter => matches!(status, 429 | 503),
            Self::WwwAuthenticate => status == 401,
        }
    }

    pub(super) fn reference(self) -> RefOr<utoipa::openapi::Header> {
        RefOr::Ref(Ref::new(format!("#/components/headers/{}", self.name())))
    }

    pub(super) fn described(self) -> utoipa::openapi::Header {
        let text = ObjectBuilder::new().schema_type(Type::String);
        let (schema, description) = match self {
            Self::CacheControl => (text, "Keep it if you like, but ask each time whether it is still so."),
            Self::ETag => (
                text.pattern(Some(r#"^(W/)?"[^"]*"$"#)),
                "The version, for `If-Match`; of a read also for `If-None-Match`.",
            ),
            Self::Position => (
                text.pattern(Some("^([0-9a-f]{8}-)?[0-9]+$")),
                "The position in the log that the answer is true at; send it as `?after=` to read at or beyond it.",
            ),
            Self::RequestId => {
                (text, "Names this request in the log: the value that you sent, or a new one.")
            }
            Self::RetryAfter => (
                ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)),
                "How many seconds to wait before the next attempt.",
            ),
            Self::WwwAuthenticate => (text, "How to authenticate: `Bearer`."),
        };
        utoipa::openapi::HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build()
    }
}

impl RequestHeader {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::IdempotencyKey, Self::IfMatch, Self::IfNoneMatch];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::IdempotencyKey => "Idempotency-Key",
            Self::IfMatch => "If-Match",
            Self::IfNoneMatch => "If-None-Match",
        }
    }

    /// Whether an operation takes it.
    pub(super) fn applies_to(self, operation: Traits) -> bool {
        match self {
            Self::IdempotencyKey => operation.is_command,
            Self::IfMatch => operation.is_change,
            Self::IfNoneMatch => operation.is_read,
        }
    }

    pub(super) fn described(self) -> Parameter {
        let text = ObjectBuilder::new().schema_type(Type::String);
        let (schema, description) = match self {
            Self::IdempotencyKey => (
                text.min_length(Some(1)).max_length(Some(200)).pattern(Some("^[!-~]([ -~]*[!-~])?$")),
                "Chosen by you. The same request with the same key takes effect once and gets the same answer, for 30 days.",
            ),
            Self::IfMatch => (
                text.pattern(Some(r#"^(\*|((W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)?)$"#)).examples(["\"1\""]),
                "The ETag that you have seen. If the version is another one by now, the answer is 412 and nothing changes.",
            ),
            Self::IfNoneMatch => (
                text,
                "The ETags that you have. If one of them is still right, the answer is 304 and has no body.",
            ),
        };
        ParameterBuilder::new()
            .name(self.name())
            .parameter_in(ParameterIn::Header)
            .schema(Some(schema))
            .description(Some(description))
            .build()
    }
}
