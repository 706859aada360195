//! Logging in, staying logged in, logging out over HTTP.

use axum::extract::State;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use shared::http::{Json, present};
use shared::id::{SessionId, UserId};
use shared::problem::{Problem, ProblemType};
use shared::text::label;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::refresh::{LIFETIME, RefreshToken, Turn, turn};
use super::{Session, SessionCommand, peer};
use crate::app::{Accepted, App, CommandMeta};
use crate::context::{CommandContext, command_meta};
use crate::users::{Login, find_account};

/// The longest device name that is kept, in characters.
const LONGEST_DEVICE: usize = 200;

/// The routes of the module.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(login)).routes(routes!(refresh)).routes(routes!(logout))
}

/// Who wants to log in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = sessions::Login)]
struct Credentials {
    /// E-mail address or username, in whatever spelling.
    #[schema(pattern = r"^[^\x00]*$")]
    login: String,
    /// The password.
    #[schema(value_type = String, pattern = r"^[^\x00]*$")]
    password: SecretString,
    /// What this device is called, to tell sessions apart: cut to one line of 200 characters that can be seen.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, pattern = r"^[^\x00]*$")]
    device: Option<String>,
}

/// A refresh token, to be replaced.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = sessions::Refresh)]
struct Refresh {
    /// As the last answer gave it.
    #[schema(pattern = r"^[^\x00]*$")]
    refresh_token: String,
}

/// The tokens of a session.
#[derive(Serialize, ToSchema)]
#[schema(as = sessions::Tokens)]
struct Tokens {
    /// Send it with each request: `Authorization: Bearer <access_token>`.
    access_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// When the access token ends.
    expires_at: DateTime<Utc>,
    /// Gets the next tokens, once.
    refresh_token: String,
    /// The session.
    session_id: SessionId,
    /// Who is logged in.
    user_id: UserId,
}

/// Log in.
///
/// With an e-mail address or a username, and the password.
#[utoipa::path(post, path = "/auth/login", operation_id = "auth_login", tag = "auth", request_body = Credentials, security(()),
    responses((status = 200, body = Tokens), (status = 401, description = "No account has this login with this password.")))]
async fn login(
    State(app): State<App>,
    mut parts: Parts,
    Json(body): Json<Credentials>,
) -> Result<axum::Json<Tokens>, Problem> {
    let address = peer(&parts);
    app.throttle.check_address(address)?;
    // Looked up first, so that an account has one allowance for all its names and spellings.
    let login = Login::from(body.login.as_str());
    let (user, hash) = find_account(&app, &login).await?.unzip();
    app.throttle.check_account(&login.throttled_by(&app.keys, user))?;
    let right = app.passwords.check(&body.password, hash).await?;
    let Some(user) = user.filter(|_| right) else {
        return Err(Problem::new(ProblemType::LoginWrong, "No account has this login and this password."));
    };
    let session = SessionId(app.clock.new_id());
    let token = RefreshToken::first();
    let open = SessionCommand::Open {
        user_id: user,
        device: body.device.and_then(|device| label(&device, LONGEST_DEVICE)),
        address: address.map(|address| address.to_string()),
        refresh: token.hash(),
        expires_at: app.clock.now() + LIFETIME,
    };
    let meta = unkeyed(command_meta(&app, &mut parts, None, user.to_string()).await?);
    app.execute::<Session>(&meta, &session.to_string(), vec![open], &()).await?;
    Ok(axum::Json(tokens(&app, user, session, &token)))
}

/// Refresh the tokens of a session.
///
/// Answers a new access token and a new refresh token. The old refresh token can be used no longer.
#[utoipa::path(post, path = "/auth/refresh", operation_id = "auth_refresh", tag = "auth", request_body = Refresh, security(()),
    responses((status = 200, body = Tokens), (status = 401, description = "The refresh token is not valid any more.")))]
async fn refresh(
    State(app): State<App>,
    mut parts: Parts,
    Json(body): Json<Refresh>,
) -> Result<axum::Json<Tokens>, Problem> {
    let wrong =
        || Problem::new(ProblemType::RefreshInvalid, "This refresh token is no longer valid. Log in again.");
    app.throttle.check_address(peer(&parts))?;
    let token = RefreshToken::parse(&body.refresh_token).ok_or_else(wrong)?;
    match turn(&app, &token).await? {
        Some(Turn::Next { user, session, token }) => Ok(axum::Json(tokens(&app, user, session, &token))),
        Some(Turn::Reused { user, session }) => {
            tracing::warn!(user.id = %user, session.id = %session, "A replaced refresh token was used again; ending its session");
            let meta = unkeyed(command_meta(&app, &mut parts, None, user.to_string()).await?);
            app.execute::<Session>(&meta, &session.to_string(), vec![SessionCommand::End], &()).await?;
            app.verifier.note_ended(session);
            Err(wrong())
        }
        None => Err(wrong()),
    }
}

/// Log out.
///
/// Ends this session: its access tokens and its refresh token are refused from now on.
#[utoipa::path(post, path = "/auth/logout", operation_id = "auth_logout", tag = "auth",
    responses((status = 200, body = Accepted)))]
async fn logout(context: CommandContext, State(app): State<App>) -> Result<Accepted, Problem> {
    let session = context.caller()?.session;
    let accepted = context.unkeyed().execute::<Session>(session, vec![SessionCommand::End], &()).await?;
    app.verifier.note_ended(session);
    Ok(accepted)
}

/// Two logins with one key are still two logins, because earlier tokens are not kept.
fn unkeyed(meta: CommandMeta) -> CommandMeta {
    CommandMeta { key: None, if_match: None, ..meta }
}

fn tokens(app: &App, user: UserId, session: SessionId, token: &RefreshToken) -> Tokens {
    let (access_token, expires_at) = app.issuer.issue(user, session);
    Tokens {
        access_token,
        token_type: "Bearer",
        expires_at,
        refresh_token: token.text(),
        session_id: session,
        user_id: user,
    }
}
