//! Every kind of problem, with its status and its explanation: one table, from which the answers, the pages at
//! `/problems` and docs/problems.md are made.
//!
//! To add a kind, add a row. A slug is a promise to clients: never rename one, and never give one another meaning.

use axum::http::StatusCode;
use serde::{Serialize, Serializer};

/// Makes [`ProblemType`] of the table's rows: `Variant "slug" STATUS "title" "explanation";`, in groups with a heading.
macro_rules! problem_types {
    ($($group:literal { $($variant:ident $slug:literal $status:ident $title:literal $explanation:literal;)* })*) => {
        /// A kind of problem, as the member `type` of an answer names it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ProblemType {
            $($(#[doc = $title] $variant,)*)*
        }

        impl ProblemType {
            /// Every kind, in groups with a heading for people.
            pub const GROUPS: &[(&str, &[Self])] = &[$(($group, &[$(Self::$variant),*])),*];

            /// The name that programs compare: the last part of the `type` of an answer.
            pub const fn slug(self) -> &'static str {
                match self { $($(Self::$variant => $slug,)*)* }
            }

            /// The HTTP status that it always has.
            pub const fn status(self) -> StatusCode {
                match self { $($(Self::$variant => StatusCode::$status,)*)* }
            }

            /// What happened, in a few words that are the same each time.
            pub const fn title(self) -> &'static str {
                match self { $($(Self::$variant => $title,)*)* }
            }

            /// What it means and what to do, in Markdown with no more than `code` in it.
            pub const fn explanation(self) -> &'static str {
                match self { $($(Self::$variant => $explanation,)*)* }
            }
        }
    };
}

problem_types! {
"Signing in" {
    TokenMissing "token-missing" UNAUTHORIZED "No access token"
        "The request needs a signed-in person. Log in at `POST /api/v1/auth/login`, and send the access token in the \
         header `Authorization: Bearer …`. On a socket, send it in `hello`.";
    TokenInvalid "token-invalid" UNAUTHORIZED "Invalid access token"
        "This server did not issue the access token, or the token was changed on its way. Log in again.";
    TokenExpired "token-expired" UNAUTHORIZED "Expired access token"
        "An access token is valid for 15 minutes. Get a new one at `POST /api/v1/auth/refresh`.";
    SessionEnded "session-ended" UNAUTHORIZED "Session ended"
        "The session of this access token has ended: the person logged out, or a refresh token was used again more \
         than ten seconds after it was replaced. Log in again.";
    LoginWrong "login-wrong" UNAUTHORIZED "Wrong login or password"
        "No account has this login together with this password. The answer is the same whether or not the account \
         exists.";
    RefreshInvalid "refresh-invalid" UNAUTHORIZED "Invalid refresh token"
        "The refresh token is unknown or expired, or its session has ended. If a token is used again more than ten \
         seconds after it was replaced, its session ends, because somebody may have stolen it. Log in again.";
    TicketInvalid "ticket-invalid" UNAUTHORIZED "Invalid ticket"
        "A ticket opens one socket, once, within 30 seconds. Get a new one at `POST /api/v1/live/tickets`.";
    RegistrationClosed "registration-closed" FORBIDDEN "Registration closed"
        "This server does not accept new accounts. Ask its operator for one. The operator can allow registration with \
         `DAYBOOK_REGISTRATION=open`.";
    TooManyAttempts "too-many-attempts" TOO_MANY_REQUESTS "Too many attempts"
        "There were too many attempts to log in to this account or to register with this e-mail address, or too many \
         to log in, register or refresh from this IP address. Wait as many seconds as `Retry-After` says.";
}
"Requests that the server cannot read" {
    NotFound "not-found" NOT_FOUND "Not found"
        "There is nothing at this address. `/docs` lists all routes. An id in an address is a UUID.";
    MethodNotAllowed "method-not-allowed" METHOD_NOT_ALLOWED "Method not allowed"
        "The address exists but does not accept this HTTP method. The header `Allow` lists the methods it accepts.";
    NotJson "not-json" UNSUPPORTED_MEDIA_TYPE "Body is not JSON"
        "Send the body as JSON, with the header `Content-Type: application/json`. A `PATCH` also takes \
         `application/merge-patch+json`.";
    ContentEncodingUnsupported "content-encoding-unsupported" UNSUPPORTED_MEDIA_TYPE "Compressed body"
        "The server does not decompress bodies. Send the body without `Content-Encoding`.";
    CharsetUnsupported "charset-unsupported" UNSUPPORTED_MEDIA_TYPE "Charset is not UTF-8"
        "JSON is always in UTF-8 (RFC 8259, section 8.1). Send it so, without the parameter `charset`.";
    UnreadableJson "unreadable-json" BAD_REQUEST "Unreadable JSON"
        "The body is not well-formed JSON. `detail` says at which line and column reading stopped.";
    DuplicateMember "duplicate-member" BAD_REQUEST "Member sent twice"
        "An object in the body has two members of the same name, so the server cannot know which one is meant. `errors` \
         points to it. Send each member once.";
    UnreadableBody "unreadable-body" BAD_REQUEST "Incomplete body"
        "The connection ended before the whole body had arrived. Send the request again.";
    BodyTooSlow "body-too-slow" REQUEST_TIMEOUT "Body too slow"
        "The body did not arrive within a minute. Send the request again over a faster connection.";
    BodyTooLarge "body-too-large" PAYLOAD_TOO_LARGE "Body too large"
        "A body has at most 1 MiB. Split the request into several.";
    BadQuery "bad-query" BAD_REQUEST "Bad query parameter"
        "A parameter in the query of the address is unknown or has a value that is not allowed. `detail` names it.";
    BadHeader "bad-header" BAD_REQUEST "Bad header"
        "A header has a value that the server cannot use. `detail` names the header and says which values it accepts.";
    BadCursor "bad-cursor" BAD_REQUEST "Bad cursor"
        "A cursor is valid only for the list, the person, the filters and the order that it was given for. Start again \
         without a cursor.";
    Invalid "invalid" UNPROCESSABLE_ENTITY "Invalid content"
        "The request is readable, but a part of it is not acceptable. `errors` lists each part: `pointer` is a JSON \
         Pointer (RFC 6901) into the body, and `detail` says what is wrong there.";
}
"Commands" {
    IdempotencyKeyReused "idempotency-key-reused" UNPROCESSABLE_ENTITY "Idempotency key used for another request"
        "The server has seen this `Idempotency-Key` with another method, address or body. Use a new key for each new \
         request, and the same key only to repeat a request without changes.";
    VersionMoved "version-moved" PRECONDITION_FAILED "Changed by someone else"
        "The thing is no longer at the version that `If-Match` names. `version` in the answer is its current version. \
         Read it again, and decide whether your change still makes sense.";
    IdTaken "id-taken" CONFLICT "Id already used"
        "The id you chose belongs to something else, which you may not be able to see. Choose another id.";
    EmailTaken "email-taken" CONFLICT "E-mail address already used"
        "Another account has this e-mail address.";
    UsernameTaken "username-taken" CONFLICT "Username already used"
        "Another account has this username. Upper and lower case do not make a username different.";
    Gone "gone" NOT_FOUND "Deleted for ever"
        "The thing was deleted for ever, together with its content. Nobody can restore it. Nothing can be deleted for \
         ever yet.";
    TooLarge "too-large" PAYLOAD_TOO_LARGE "Too large to record"
        "The change would be larger than one event may be (256 KiB), or than one append may be. Split it into several \
         requests.";
    Contended "contended" SERVICE_UNAVAILABLE "Too many changes at once"
        "Other people change the same things at this moment, and the server gave up after several attempts. Nothing was \
         changed. Send the request again.";
    Busy "busy" SERVICE_UNAVAILABLE "Server busy"
        "Too many commands are waiting. Nothing was changed. Send the request again.";
    OutcomeUnknown "outcome-unknown" SERVICE_UNAVAILABLE "Outcome unknown"
        "The connection to the database broke at a moment when the change may or may not have been recorded. Send the \
         request again with the same `Idempotency-Key`: the change then takes effect once. If it had no key, read the \
         thing first.";
}
"Reads" {
    NotYet "not-yet" SERVICE_UNAVAILABLE "Not readable yet"
        "The read tables have not reached the position in `after` within two seconds, or not yet an account that was just \
         created. What a command has answered is recorded, and will be readable. Send the request again.";
    EpochChanged "epoch-changed" CONFLICT "Position of another history"
        "The epoch in `after` names another history of the log: the server was restored from a backup or failed over. \
         Discard what you have cached, and read without `after`.";
    ReadTablesBuilding "read-tables-building" SERVICE_UNAVAILABLE "Read tables are being built"
        "The server builds its read tables from the event log, for example after an update. `detail` says how far it \
         is. Commands work meanwhile. Send the request again.";
    RowQuarantined "row-quarantined" SERVICE_UNAVAILABLE "Row quarantined"
        "The server could not take in an event about this thing, so its row is quarantined and not shown. Nothing is \
         lost. The operator sees the row with `daybook projector quarantine`. Try again later.";
}
"Sockets" {
    WebsocketExpected "websocket-expected" BAD_REQUEST "WebSocket expected"
        "This address is a WebSocket. Open it with a WebSocket client.";
    UnknownProtocol "unknown-protocol" BAD_REQUEST "Unknown subprotocol"
        "If a client sends `Sec-WebSocket-Protocol`, it must include `daybook.v1`.";
    TokenInUrl "token-in-url" BAD_REQUEST "Access token in an address"
        "Addresses end up in logs and histories, so an access token must not be part of one. Send the token in `hello`, \
         or get a ticket at `POST /api/v1/live/tickets`.";
    UnknownParameter "unknown-parameter" BAD_REQUEST "Unknown parameter"
        "The only query parameter of a socket is `ticket`, at most once.";
    OriginRefused "origin-refused" FORBIDDEN "Origin not allowed"
        "A page of this origin may not open sockets here. The operator can allow it with `DAYBOOK_ORIGINS`.";
    TooManySockets "too-many-sockets" SERVICE_UNAVAILABLE "Too many sockets"
        "As many sockets are open as this server accepts. Wait as many seconds as `Retry-After` says, or read over \
         REST.";
    LiveNotReady "live-not-ready" SERVICE_UNAVAILABLE "Live not ready"
        "The server has just started, or is about to stop, and cannot open sockets. Wait as many seconds as \
         `Retry-After` says, and try again.";
}
"The server" {
    DatabaseUnavailable "database-unavailable" SERVICE_UNAVAILABLE "Database unavailable"
        "The server cannot reach its database at the moment. Nothing was changed. Send the request again.";
    Internal "internal" INTERNAL_SERVER_ERROR "Internal error"
        "The server failed for a reason that is not in the request. The cause is in its log, together with the id in the \
         answer's header `X-Request-Id`. Tell the operator that id.";
}
"Users and sessions" {
    UserMissing "user-missing" NOT_FOUND "No such account"
        "There is no account with this id, or you may not change it.";
    UserExists "user-exists" CONFLICT "Account already exists"
        "There is already an account with this id. The server chooses these ids, so this does not happen unless two \
         are equal by chance. Send the request again.";
    PreferencesTooLarge "preferences-too-large" UNPROCESSABLE_ENTITY "Preferences too large"
        "All preferences of a person together have at most 64 KiB as JSON. Set keys that you no longer need to null.";
    SessionMissing "session-missing" NOT_FOUND "No such session"
        "There is no session with this id, or it belongs to somebody else.";
    SessionExists "session-exists" CONFLICT "Session already exists"
        "There is already a session with this id. The server chooses these ids, so this does not happen unless two are \
         equal by chance. Log in again.";
}
"Notebooks" {
    NotebookMissing "notebook-missing" NOT_FOUND "No such notebook"
        "There is no notebook with this id, or you may not see it.";
    NotebookExists "notebook-exists" CONFLICT "Notebook already exists"
        "You can already see a notebook with this id. If you repeat a request, send the same `Idempotency-Key` to get \
         the first answer again.";
    OwnerNeeded "owner-needed" FORBIDDEN "Only owners may do this"
        "You may see this, but only its owners may do this. Ask one of them.";
}
"Members" {
    MemberMissing "member-missing" NOT_FOUND "No such member"
        "This person has no role of their own here.";
    NotForThisKind "not-for-this-kind" CONFLICT "Not for a thing of this kind"
        "Things of this kind cannot be shared like that. Things in others have no owners of their own, and \
         are shared with persons, one by one.";
    LastOwner "last-owner" CONFLICT "The last owner"
        "There is always an owner. Make somebody else an owner first; then the last one can leave or get another role.";
}
"Notes" {
    NoteMissing "note-missing" NOT_FOUND "No such note"
        "There is no note with this id, or you may not see it.";
    NoteExists "note-exists" CONFLICT "Note already exists"
        "You can already see a note with this id. If you repeat a request, send the same `Idempotency-Key` to get the \
         first answer again.";
    EditorNeeded "editor-needed" FORBIDDEN "Only editors may do this"
        "You may see this, but only editors and owners may change it. Ask an owner for access.";
}
"Blocks" {
    BlockMissing "block-missing" NOT_FOUND "No such block"
        "There is no block with this id, or you may not see it.";
    BlockExists "block-exists" CONFLICT "Block already exists"
        "You can already see a block with this id. If you repeat a request, send the same `Idempotency-Key` to get the \
         first answer again.";
    BlockRemoved "block-removed" CONFLICT "Block removed"
        "The block was removed from its note. Restore it first with `POST /api/v1/blocks/{id}/restore`.";
}
"Tasks" {
    TaskMissing "task-missing" NOT_FOUND "No such task"
        "There is no task with this id, or you may not see it.";
    TaskExists "task-exists" CONFLICT "Task already exists"
        "You can already see a task with this id. If you repeat a request, send the same `Idempotency-Key` to get the \
         first answer again.";
    TaskRemoved "task-removed" CONFLICT "Task removed"
        "The task was removed. Restore it first with `POST /api/v1/tasks/{id}/restore`.";
}
}

impl ProblemType {
    /// Every kind there is.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::GROUPS.iter().flat_map(|(_, kinds)| kinds.iter().copied())
    }

    /// The kind with this slug.
    pub fn find(slug: &str) -> Option<Self> {
        Self::all().find(|kind| kind.slug() == slug)
    }

    /// The relative URI that names it in answers, and that answers with its explanation.
    pub fn uri(self) -> String {
        format!("/problems/{}", self.slug())
    }
}

impl Serialize for ProblemType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("/problems/{}", self.slug()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_slug_names_one_kind_and_reads_like_its_variant() {
        let mut seen = HashSet::new();
        for kind in ProblemType::all() {
            assert!(seen.insert(kind.slug()), "{} stands twice", kind.slug());
            assert_eq!(ProblemType::find(kind.slug()), Some(kind));
            let plain: String = kind.slug().split('-').collect();
            assert_eq!(format!("{kind:?}").to_lowercase(), plain);
        }
    }

    #[test]
    fn every_explanation_is_whole_sentences_and_every_title_is_not() {
        for kind in ProblemType::all() {
            let (title, explanation) = (kind.title(), kind.explanation());
            assert!(explanation.ends_with('.') && !title.ends_with('.'), "{kind:?}");
            assert!(explanation.matches('`').count().is_multiple_of(2) && !title.contains('`'), "{kind:?}");
            let status = kind.status();
            assert!(status.is_client_error() || status.is_server_error(), "{kind:?}");
        }
    }
}
