//! Answers, pushes, shows history; never decides.

mod after;
mod answer;
mod app;
mod blocks;
mod cursor;
mod list;
pub mod live;
mod notebooks;
mod notes;
pub mod service;
mod tasks;
mod users;
pub mod watermark;

use axum::middleware::from_fn;
use utoipa_axum::router::OpenApiRouter;

pub use app::{Parts, QueryApp};

/// The reads over HTTP. The gateway brings its own state, so the process merges [`live::routes`] beside these.
pub fn routes() -> OpenApiRouter<QueryApp> {
    users::routes()
        .merge(notebooks::routes())
        .merge(notes::routes())
        .merge(tasks::routes())
        .into_router()
        .route_layer(from_fn(answer::unless_seen))
}
