//! Every refusal that more than one route answers with, and which routes these are.

use shared::domain::access::Answer;
use shared::process::problem::Problem;
use utoipa::ToSchema;
use utoipa::openapi::{ContentBuilder, Ref, Response, ResponseBuilder};

use super::Traits;
use super::headers::Header;

/// A refusal, always in the form of a problem.
#[derive(Clone, Copy)]
pub(super) struct Refusal<'a> {
    /// Its status.
    pub(super) status: u16,
    /// What its component is called.
    pub(super) name: &'a str,
    /// When it is answered.
    pub(super) description: &'a str,
    /// Who answers it.
    pub(super) applies_to: fn(Traits) -> bool,
}

/// All of them.
pub(super) const REFUSALS: [Refusal<'static>; 13] = [
    Refusal {
        status: 400,
        name: "BadRequest",
        description: "The request cannot be read: a parameter of the query, a header, or the JSON of the body is wrong.",
        applies_to: |operation| operation.has_body || operation.has_query || operation.is_command,
    },
    Refusal {
        status: 401,
        name: "Unauthorized",
        description: "There is no valid access token, or its session has ended.",
        applies_to: |operation| operation.rule.can(Answer::LogIn),
    },
    Refusal {
        status: 403,
        name: "Forbidden",
        description: "You may see this, but you may not do that with it.",
        applies_to: |operation| operation.rule.can(Answer::Forbidden),
    },
    Refusal {
        status: 404,
        name: "NotFound",
        description: "There is no such thing, or none that you may see.",
        applies_to: |operation| operation.has_id && operation.rule.can(Answer::Unseen),
    },
    Refusal {
        status: 408,
        name: "RequestTimeout",
        description: "The body did not arrive within a minute.",
        applies_to: |operation| operation.has_body,
    },
    Refusal {
        status: 409,
        name: "Conflict",
        description: "A rule forbids it in the present state, or `after` is a position of another history.",
        applies_to: |operation| operation.is_command || operation.is_read,
    },
    Refusal {
        status: 412,
        name: "PreconditionFailed",
        description: "It has another version than `If-Match` names.",
        applies_to: |operation| operation.is_change,
    },
    Refusal {
        status: 413,
        name: "ContentTooLarge",
        description: "The body is larger than 1 MiB.",
        applies_to: |operation| operation.has_body,
    },
    Refusal {
        status: 415,
        name: "UnsupportedMediaType",
        description: "The body is not sent as `application/json`.",
        applies_to: |operation| operation.has_body,
    },
    Refusal {
        status: 422,
        name: "UnprocessableContent",
        description: "A part of the body is not acceptable (`errors` says which part and why), or the `Idempotency-Key` was \
                      used for another request.",
        applies_to: |operation| operation.has_body || operation.is_command,
    },
    Refusal {
        status: 429,
        name: "TooManyRequests",
        description: "There were too many attempts; wait as long as `Retry-After` says.",
        applies_to: |operation| operation.has_body && !operation.rule.can(Answer::LogIn),
    },
    Refusal {
        status: 500,
        name: "InternalServerError",
        description: "Something went wrong in the server. It was logged with the id in `X-Request-Id`.",
        applies_to: |_| true,
    },
    Refusal {
        status: 503,
        name: "ServiceUnavailable",
        description: "The server cannot answer at the moment; nothing was changed. Try again after `Retry-After`.",
        applies_to: |_| true,
    },
];

impl Refusal<'_> {
    /// The answer as the description has it.
    pub(super) fn response(&self) -> Response {
        let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
        let response =
            ResponseBuilder::new().description(self.description).content("application/problem+json", problem);
        let mut response = response.build();
        for header in Header::ALL.into_iter().filter(|header| header.is_of_refusal(self.status)) {
            response.headers.insert(header.name().to_owned(), header.reference());
        }
        response
    }
}
