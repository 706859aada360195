//! Commands on accounts over HTTP.

use axum::extract::State;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shared::http::{Json, present};
use shared::problem::{Problem, ProblemType};
use shared::text::{DisplayName, Email, Username, WebAddress, fold, fold_login};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Registration, User, UserCommand};
use crate::app::{Accepted, App, CommandMeta};
use crate::context::{CommandContext, command_meta};
use crate::sessions::{Password, peer};

/// How often a username is made from an e-mail address before giving up.
const USERNAME_ATTEMPTS: usize = 8;

/// The routes of the module.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(register)).routes(routes!(change))
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

/// What to change of oneself; what is absent stays, null clears.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = users::Change)]
struct Change {
    /// What others see.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    display_name: Option<DisplayName>,
    /// Given name.
    #[serde(default, with = "serde_with::rust::double_option", skip_serializing_if = "Option::is_none")]
    first_name: Option<Option<DisplayName>>,
    /// Family name.
    #[serde(default, with = "serde_with::rust::double_option", skip_serializing_if = "Option::is_none")]
    last_name: Option<Option<DisplayName>>,
    /// A picture, by its web address.
    #[serde(default, with = "serde_with::rust::double_option", skip_serializing_if = "Option::is_none")]
    avatar_url: Option<Option<WebAddress>>,
    /// A JSON merge patch (RFC 7396) of the preferences; 64 KiB at most in all. Any JSON, kept as it is: whole numbers of
    /// 64 bits, others as doubles (17 digits at most).
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, required = false)]
    preferences: Option<Map<String, Value>>,
}

/// Register an account.
///
/// Log in with it afterwards. Where registration is closed, the answer is 403.
#[utoipa::path(post, path = "/auth/register", operation_id = "auth_register", tag = "auth", request_body = Register, security(()),
    responses((status = 201, body = Accepted)))]
async fn register(
    State(app): State<App>,
    mut parts: Parts,
    Json(body): Json<Register>,
) -> Result<Response, Problem> {
    if app.registration == Registration::Closed {
        return Err(Problem::new(
            ProblemType::RegistrationClosed,
            "This server does not accept new accounts. Ask its operator for one.",
        ));
    }
    let claim = app.keys.claim("register", &fold_login(body.email.as_str()));
    app.throttle.check(&claim, peer(&parts))?;
    let hash = app.passwords.hash(&body.password).await?;
    // There is no signed-in person yet, so keys are remembered per e-mail address.
    let remembered = format!("register:{}", hex::encode(claim));
    let id = app.clock.new_id().to_string();
    let meta =
        CommandMeta { if_match: None, remembered, ..command_meta(&app, &mut parts, None, id.clone()).await? };
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

/// Change your profile and your preferences.
#[utoipa::path(patch, path = "/me", operation_id = "me_change", tag = "users", request_body = Change,
    responses((status = 200, body = Accepted)))]
async fn change(context: CommandContext, Json(body): Json<Change>) -> Result<Accepted, Problem> {
    let edit = UserCommand::Edit {
        display_name: body.display_name.clone(),
        first_name: body.first_name.clone(),
        last_name: body.last_name.clone(),
        avatar_url: body.avatar_url.clone(),
    };
    let prefer = body.preferences.clone().map(|patch| UserCommand::Prefer { patch });
    context
        .execute::<User>(context.caller()?.user, std::iter::once(edit).chain(prefer).collect(), &body)
        .await
}

/// A username from the local part of an address; later attempts add digits.
fn made_from(email: &Email, attempt: usize) -> Result<Username, Problem> {
    let local = email.as_str().split('@').next().unwrap_or_default();
    let plain: String = fold(local).chars().filter(|c| Username::takes(*c)).take(30).collect();
    let base = if plain.chars().count() < 2 { format!("user{plain}") } else { plain };
    let name = if attempt == 0 {
        base
    } else {
        format!("{base}{}", u16::from_le_bytes(shared::clock::random()) % 10_000)
    };
    Username::try_from(name).map_err(|error| {
        Problem::invalid(
            "/username",
            format!("no username could be derived from the e-mail address: it {error}"),
        )
    })
}
