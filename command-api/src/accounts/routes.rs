//! Registering, logging in and staying logged in over HTTP.

use axum::extract::State;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use shared::domain::access::Action;
use shared::domain::id::{SessionId, UserId};
use shared::domain::text::{DisplayName, Email, Username, fold, fold_login, label};
use shared::process::http::{Api, Json, present};
use shared::process::problem::{Problem, ProblemType};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::refresh::{LIFETIME, RefreshToken, Turn, turn};
use super::{Accounts, Login, Password, Registration, find_account, peer};
use crate::app::{Accepted, CommandMeta};
use crate::context::command_meta;
use crate::sessions::{Session, SessionCommand};
use crate::users::{User, UserCommand};

/// The longest device name that is kept, in characters.
const LONGEST_DEVICE: usize = 200;
/// How often a username is made from an e-mail address before giving up.
const USERNAME_ATTEMPTS: usize = 8;

/// The routes of the module.
pub fn routes() -> OpenApiRouter<Accounts> {
    let api = Api::new()
        .route(Action::AuthRegister, routes!(register))
        .route(Action::AuthLogin, routes!(login))
        .route(Action::AuthRefresh, routes!(refresh));
    api.into_router()
}

/// A new account.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = users::Register)]
struct Register {
    /// Unique without regard to case.
    email: Email,
    /// 8 to 256 characters, in whatever composition.
    password: Password,
    /// Unique without regard to case; by default made from the e-mail address.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    username: Option<Username>,
    /// What others see; by default the username.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    display_name: Option<DisplayName>,
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

/// Register an account.
///
/// Log in with it afterwards.
#[utoipa::path(post, path = "/auth/register", tag = "auth", request_body = Register,
    responses((status = 201, body = Accepted), (status = 403, description = "This server does not accept new accounts.")))]
async fn register(
    State(accounts): State<Accounts>,
    mut parts: Parts,
    Json(body): Json<Register>,
) -> Result<Response, Problem> {
    let app = &accounts.app;
    if accounts.registration == Registration::Closed {
        return Err(Problem::new(
            ProblemType::RegistrationClosed,
            "This server does not accept new accounts. Ask its operator for one.",
        ));
    }
    let claim = app.keys.claim("register", &fold_login(body.email.as_str()));
    accounts.throttle.check(&claim, peer(&parts))?;
    let hash = accounts.passwords.hash(&body.password).await?;
    // There is no signed-in person yet, so keys are remembered per e-mail address.
    let remembered = format!("register:{}", hex::encode(claim));
    let id = app.clock.new_id().to_string();
    let meta =
        CommandMeta { if_match: None, remembered, ..command_meta(app, &mut parts, None, id.clone()).await? };
    for attempt in 0..USERNAME_ATTEMPTS {
        let username = body.username.clone().map_or_else(|| made_from(&body.email, attempt), Ok)?;
        let shown = body
            .display_name
            .clone()
            .map_or_else(|| DisplayName::try_from(String::from(username.clone())), Ok);
        let display_name = shown.map_err(Problem::internal)?;
        let command =
            UserCommand::Register { email: body.email.clone(), username, display_name, hash: hash.clone() };
        match app.execute::<User>(&meta, &id, vec![command], &body).await {
            Err(problem) if problem.kind == ProblemType::UsernameTaken && body.username.is_none() => (),
            other => return Ok(other?.created().into_response()),
        }
    }
    Err(Problem::invalid(
        "/username",
        "no free username could be derived from the e-mail address; choose one",
    ))
}

/// Log in.
///
/// With an e-mail address or a username, and the password.
#[utoipa::path(post, path = "/auth/login", tag = "auth", request_body = Credentials,
    responses((status = 200, body = Tokens), (status = 401, description = "No account has this login with this password.")))]
async fn login(
    State(accounts): State<Accounts>,
    mut parts: Parts,
    Json(body): Json<Credentials>,
) -> Result<axum::Json<Tokens>, Problem> {
    let app = &accounts.app;
    let address = peer(&parts);
    accounts.throttle.check_address(address)?;
    // Looked up first, so that an account has one allowance for all its names and spellings.
    let login = Login::from(body.login.as_str());
    let (user, hash) = find_account(app, &login).await?.unzip();
    accounts.throttle.check_account(&login.throttled_by(&app.keys, user))?;
    let right = accounts.passwords.check(&body.password, hash).await?;
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
        lifetime: LIFETIME,
    };
    let meta = unkeyed(command_meta(app, &mut parts, None, user.to_string()).await?);
    app.execute::<Session>(&meta, &session.to_string(), vec![open], &()).await?;
    Ok(axum::Json(tokens(&accounts, user, session, &token)))
}

/// Refresh the tokens of a session.
///
/// Answers a new access token and a new refresh token. The old refresh token can be used no longer.
#[utoipa::path(post, path = "/auth/refresh", tag = "auth", request_body = Refresh,
    responses((status = 200, body = Tokens), (status = 401, description = "The refresh token is not valid any more.")))]
async fn refresh(
    State(accounts): State<Accounts>,
    mut parts: Parts,
    Json(body): Json<Refresh>,
) -> Result<axum::Json<Tokens>, Problem> {
    let app = &accounts.app;
    let wrong =
        || Problem::new(ProblemType::RefreshInvalid, "This refresh token is no longer valid. Log in again.");
    accounts.throttle.check_address(peer(&parts))?;
    let token = RefreshToken::parse(&body.refresh_token).ok_or_else(wrong)?;
    match turn(app, &token).await? {
        Some(Turn::Next { user, session, token }) => Ok(axum::Json(tokens(&accounts, user, session, &token))),
        Some(Turn::Reused { user, session }) => {
            tracing::warn!(user.id = %user, session.id = %session, "A replaced refresh token was used again; ending its session");
            let meta = unkeyed(command_meta(app, &mut parts, None, user.to_string()).await?);
            app.execute::<Session>(&meta, &session.to_string(), vec![SessionCommand::End], &()).await?;
            app.verifier.note_ended(session);
            Err(wrong())
        }
        None => Err(wrong()),
    }
}

/// Two logins with one key are still two logins, because earlier tokens are not kept.
fn unkeyed(meta: CommandMeta) -> CommandMeta {
    CommandMeta { key: None, if_match: None, ..meta }
}

fn tokens(accounts: &Accounts, user: UserId, session: SessionId, token: &RefreshToken) -> Tokens {
    let (access_token, expires_at) = accounts.issuer.issue(user, session);
    Tokens {
        access_token,
        token_type: "Bearer",
        expires_at,
        refresh_token: token.text(),
        session_id: session,
        user_id: user,
    }
}

/// A username from the local part of an address; later attempts add digits.
fn made_from(email: &Email, attempt: usize) -> Result<Username, Problem> {
    let local = email.as_str().split('@').next().unwrap_or_default();
    let plain: String = fold(local).chars().filter(|c| Username::takes(*c)).take(30).collect();
    let base = if plain.chars().count() < 2 { format!("user{plain}") } else { plain };
    let name = if attempt == 0 {
        base
    } else {
        format!("{base}{}", u16::from_le_bytes(shared::domain::clock::random()) % 10_000)
    };
    Username::try_from(name).map_err(|error| {
        Problem::invalid(
            "/username",
            format!("no username could be derived from the e-mail address: it {error}"),
        )
    })
}
