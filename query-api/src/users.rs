//! Reads about persons: so far, only about oneself.

use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use shared::domain::access::{Action, Role};
use shared::domain::id::UserId;
use shared::process::auth::Caller;
use shared::process::http::{Api, Query};
use shared::process::problem::Problem;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::after::{self, When, not_yet};
use crate::answer::{Answer, Read, Versioned, failed};
use crate::app::QueryApp;

/// The routes of the module.
pub(crate) fn routes() -> Api<QueryApp> {
    Api::new().route(Action::MeRead, routes!(me))
}

/// A person as they see themselves.
#[derive(Debug, Serialize, ToSchema)]
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
async fn me(
    caller: Caller,
    State(app): State<QueryApp>,
    Query(when): Query<When>,
) -> Result<Answer<Me>, Problem> {
    after::wait(&app.watermark, when.after.as_ref()).await?;
    let row = sqlx::query!(
        r#"select c.position as at_position, c.epoch as at_epoch, u.id as "id?: UserId", u.email as "email?",
                  u.username as "username?", u.display_name as "display_name?", u.first_name, u.last_name,
                  u.avatar_url, u.preferences as "preferences?", u.created_at as "created_at?",
                  u.updated_at as "updated_at?", u.version as "version?",
                  exists (select from quarantine q where q.table_name = 'users' and q.key = ($1::uuid)::text)
                    as "withheld!"
             from checkpoint c
             left join users u on u.id = $1"#,
        caller.user.0
    )
    .fetch_one(&app.pool)
    .await
    .map_err(failed)?;
    let found = Read::new(row.at_position, row.at_epoch, row.withheld, || {
        Some(Me {
            id: row.id?,
            email: row.email?,
            username: row.username?,
            display_name: row.display_name?,
            first_name: row.first_name,
            last_name: row.last_name,
            avatar_url: row.avatar_url,
            preferences: row.preferences?,
            created_at: row.created_at?,
            updated_at: row.updated_at?,
            version: row.version?,
        })
    });
    // A person with a token has registered, so the read tables have not reached that event yet.
    found.answer(Action::MeRead, || not_yet("Your account is so new that it cannot be read yet. Try again."))
}
