//! Reads about persons: so far, only about oneself.

use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use shared::domain::access::{Action, Role};
use shared::domain::id::UserId;
use shared::process::auth::Caller;
use shared::process::http::Api;
use shared::process::problem::Problem;
use sqlx::Decode;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::after::{When, not_yet};
use crate::answer::{Answer, Read, Versioned, failed};
use crate::app::QueryApp;

/// The routes of the module.
pub(crate) fn routes() -> Api<QueryApp> {
    Api::new().route(Action::MeRead, routes!(me))
}

/// A person as they see themselves.
// Selected in the order of these fields.
#[derive(Debug, Decode, Serialize, ToSchema)]
#[schema(as = users::Me)]
struct Me {
    id: UserId,
    email: String,
    username: String,
    /// What others see.
    display_name: String,
    /// Given name.
    #[schema(required)]
    first_name: Option<String>,
    /// Family name.
    #[schema(required)]
    last_name: Option<String>,
    /// A picture, by its web address.
    #[schema(required)]
    avatar_url: Option<String>,
    /// What clients keep about how the person likes things.
    #[schema(value_type = Object)]
    preferences: Value,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    /// For `If-Match` when changing it.
    version: i64,
}

impl Versioned for Me {
    fn version(&self) -> i64 {
        self.version
    }

    fn role(&self) -> Option<Role> {
        None
    }
}

/// Read your profile and your preferences.
#[utoipa::path(get, path = "/me", tag = "users", params(When),
    responses((status = 200, body = Me)))]
async fn me(caller: Caller, State(app): State<QueryApp>, _: When) -> Result<Answer<Me>, Problem> {
    let read = sqlx::query_as!(
        Read::<Me>,
        r#"select c.position, c.epoch, u as "item?: Me",
                  exists (select from quarantine q where q.table_name = 'users' and q.key = ($1::uuid)::text)
                    as "withheld!"
             from checkpoint c
             left join (
               select id, email, username, display_name, first_name, last_name, avatar_url, preferences, created_at,
                      updated_at, version
                 from users
                where id = $1) u on true"#,
        caller.user.0
    )
    .fetch_one(&app.pool)
    .await
    .map_err(failed)?;
    // A person with a token has registered, so the read tables have not reached that event yet.
    read.answer(Action::MeRead, || not_yet("Your account is so new that it cannot be read yet. Try again."))
}
