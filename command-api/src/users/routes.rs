//! Commands on one's own profile over HTTP.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shared::domain::access::Action;
use shared::domain::text::{DisplayName, WebAddress};
use shared::process::http::{Api, Json, present};
use shared::process::problem::Problem;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{User, UserCommand};
use crate::app::{Accepted, App};
use crate::context::CommandContext;

/// The routes of the module.
pub fn routes() -> Api<App> {
    Api::new().route(Action::MeChange, routes!(change))
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

/// Change your profile and your preferences.
#[utoipa::path(patch, path = "/me", tag = "users", request_body = Change,
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
