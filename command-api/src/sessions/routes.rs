//! Logging out over HTTP.

use axum::extract::State;
use shared::domain::access::Action;
use shared::process::http::Api;
use shared::process::problem::Problem;
use utoipa_axum::routes;

use super::{Session, SessionCommand};
use crate::app::{Accepted, App};
use crate::context::CommandContext;

/// The routes of the module.
pub fn routes() -> Api<App> {
    Api::new().route(Action::AuthLogout, routes!(logout))
}

/// Log out.
///
/// Ends this session: its access tokens and its refresh token are refused from now on.
#[utoipa::path(post, path = "/auth/logout", tag = "auth",
    responses((status = 200, body = Accepted)))]
async fn logout(context: CommandContext, State(app): State<App>) -> Result<Accepted, Problem> {
    let session = context.caller()?.session;
    let accepted = context.unkeyed().execute::<Session>(session, vec![SessionCommand::End], &()).await?;
    app.verifier.note_ended(session);
    Ok(accepted)
}
