//! What a handler holds to execute commands: who asks, and with which headers.

use axum::extract::{FromRequestParts, MatchedPath, RawPathParams};
use axum::http::HeaderMap;
use axum::http::header::IF_MATCH;
use axum::http::request::Parts;
use serde::Serialize;
use shared::process::auth::Caller;
use shared::process::http::{CORRELATION_ID, EntityTags, IDEMPOTENCY_KEY, LONGEST_NAME, REQUEST_ID, name};
use shared::process::problem::{Problem, ProblemType};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use crate::app::{Accepted, App, CommandMeta, Decide, Decision, IfMatch};

/// A request by a signed-in person. Extracting it answers 401 to others.
pub struct CommandContext {
    app: App,
    meta: CommandMeta,
}

impl CommandContext {
    /// A new id, if the client did not choose one.
    pub fn new_id(&self) -> Uuid {
        self.app.clock.new_id()
    }

    /// Who asks.
    pub fn caller(&self) -> Result<Caller, Problem> {
        self.meta.caller.ok_or_else(|| Problem::new(ProblemType::TokenMissing, "Log in first."))
    }

    /// The same, for commands that ignore idempotency keys and versions.
    #[must_use]
    pub fn unkeyed(self) -> Self {
        Self { meta: CommandMeta { key: None, if_match: None, ..self.meta }, ..self }
    }

    /// Executes commands on one aggregate. `body` is what an idempotency key is bound to.
    pub async fn execute<A: Decide>(
        &self,
        id: impl ToString + Send,
        commands: Vec<A::Command>,
        body: &(impl Serialize + Sync),
    ) -> Result<Accepted, Problem> {
        self.app.execute::<A>(&self.meta, &id.to_string(), commands, body).await
    }

    /// The same for what several aggregates take part in.
    pub async fn carry_out(
        &self,
        decision: &impl Decision,
        body: &(impl Serialize + Sync),
    ) -> Result<Accepted, Problem> {
        self.app.carry_out(&self.meta, decision, body).await
    }
}

impl FromRequestParts<App> for CommandContext {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let meta = command_meta(app, parts, Some(caller), caller.user.to_string()).await?;
        Ok(Self { app: app.clone(), meta })
    }
}

/// The caller and the headers of a command, from the head of its request.
pub async fn command_meta(
    app: &App,
    parts: &mut Parts,
    caller: Option<Caller>,
    actor: String,
) -> Result<CommandMeta, Problem> {
    let target = target(parts).await;
    let headers = &parts.headers;
    let causation = name(headers, &REQUEST_ID).map_or_else(|| app.clock.new_id().to_string(), str::to_owned);
    Ok(CommandMeta {
        caller,
        on_behalf_of: None,
        remembered: actor.clone(),
        actor,
        key: idempotency_key(headers)?,
        if_match: if_match(headers)?,
        correlation: name(headers, &CORRELATION_ID).unwrap_or(&causation).to_owned(),
        causation,
        target,
    })
}

/// Method and path, the same however the client has spelled them: an idempotency key is bound to what is asked, not to
/// the case of an id or to what is percent-encoded.
async fn target(parts: &mut Parts) -> String {
    let template = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
    let mut path = template.unwrap_or_else(|| parts.uri.path()).to_owned();
    // A segment that is not UTF-8 is refused where the path is read.
    if let Ok(segments) = RawPathParams::from_request_parts(parts, &()).await {
        for (name, segment) in &segments {
            let id = segment.parse::<Hyphenated>();
            let segment = id.map_or_else(|_| segment.to_owned(), |id| id.to_string());
            path = path.replace(&format!("{{{name}}}"), &segment);
        }
    }
    format!("{} {path}", parts.method)
}

/// A key that is not usable is refused: without a key the command could take effect twice.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let key = name(headers, &IDEMPOTENCY_KEY);
    if key.is_none() && headers.contains_key(IDEMPOTENCY_KEY) {
        return Err(Problem::new(
            ProblemType::BadHeader,
            format!("The header {IDEMPOTENCY_KEY} takes 1 to {LONGEST_NAME} printable ASCII characters."),
        ));
    }
    Ok(key.map(str::to_owned))
}

/// The condition that `If-Match` sets, if there is one.
fn if_match(headers: &HeaderMap) -> Result<Option<IfMatch>, Problem> {
    let tags = EntityTags::read(headers.get_all(IF_MATCH));
    let tags = tags.map_err(|error| Problem::new(ProblemType::BadHeader, format!("If-Match {error}.")))?;
    Ok(tags.map(IfMatch::from))
}
