//! The command API: decides what may happen, and records it. One door (`app`), one log (`log`), one relay (`relay`).

pub mod aggregate;
pub mod app;
pub mod door;
pub mod log;
pub mod notebooks;
pub mod notes;
pub mod relay;
pub mod service;
pub mod sessions;
pub mod users;

use app::App;
use utoipa_axum::router::OpenApiRouter;

/// Every route of this service, without `/api/v1`.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(users::routes())
        .merge(sessions::routes())
        .merge(notebooks::routes())
        .merge(notes::routes())
}
