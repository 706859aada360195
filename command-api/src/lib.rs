//! The command API: decides what may happen, and records it. One command path (`app`), one log (`log`), one relay
//! (`relay`).

pub mod accounts;
pub mod app;
pub mod blocks;
pub mod containers;
pub mod context;
pub mod log;
pub mod members;
pub mod notebooks;
pub mod notes;
pub mod relay;
pub mod service;
pub mod sessions;
pub mod tasks;
pub mod users;

use app::App;
use axum::Router;
use axum::http::header::CACHE_CONTROL;
use axum::routing::get;
use shared::process::auth::Verifier;
use utoipa_axum::router::OpenApiRouter;

/// Every route of this service, without `/api/v1`, but for those of accounts, which have a state of their own.
pub fn routes() -> OpenApiRouter<App> {
    users::routes()
        .merge(sessions::routes())
        .merge(notebooks::routes())
        .merge(notes::routes())
        .merge(blocks::routes())
        .merge(tasks::routes())
        .into_router()
}

/// Where others find the key that access tokens are signed with (RFC 7517).
#[expect(
    clippy::disallowed_methods,
    reason = "everybody may have the key, and no client of the API asks for it"
)]
pub fn jwks(verifier: &Verifier) -> Router {
    // Those who verify tokens need not ask for each token.
    let keys = ([(CACHE_CONTROL, "public, max-age=300")], axum::Json(verifier.jwks().clone()));
    Router::new().route("/.well-known/jwks.json", get(async move || keys))
}
