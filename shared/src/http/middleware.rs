//! What each process adds around its routes, once: request ids, limits, 404 and 405, health, metrics, documentation.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::json;
use tower::util::MapRequestLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::trace::TraceLayer;
use utoipa::openapi::OpenApi;

use super::extract::BODY_LIMIT;
use super::request_id::{REQUEST_ID, without_unusable_ids};
use super::{docs, trace};
use crate::problem::{self, Problem, ProblemType};

/// How long a health question may take.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// Whether a process can do its work. Each part that is not ready says so in a sentence.
pub trait Health: Send + Sync + 'static {
    /// An empty list when ready.
    fn complaints(&self) -> impl Future<Output = Vec<String>> + Send;
}

/// Adds everything around the API routes of a process.
pub fn middleware(api: Router, openapi: OpenApi, health: impl Health) -> Router {
    let metrics = metrics_handle();
    let health = Arc::new(health);
    let ready = get(move |State(health): State<Arc<_>>| ready(health)).with_state(health);
    api.route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", ready)
        .route("/metrics", get(|| async { metrics.render() }))
        .merge(problem::routes())
        .merge(docs::routes(openapi))
        .fallback(|| async {
            Problem::new(ProblemType::NotFound, "There is nothing at this address. /docs lists all routes.")
        })
        .method_not_allowed_fallback(|| async {
            Problem::new(
                ProblemType::MethodNotAllowed,
                "This address does not accept this method. /docs lists all routes.",
            )
        })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(CatchPanicLayer::custom(|panic: Box<dyn std::any::Any + Send>| {
            let cause = panic
                .downcast_ref::<&str>()
                .map(ToString::to_string)
                .or_else(|| panic.downcast_ref::<String>().cloned());
            Problem::internal(cause.unwrap_or_else(|| "a panic".to_owned())).into_response()
        }))
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(trace::span)
                .on_request(())
                .on_response(trace::answered)
                .on_failure(()),
        )
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .layer(MapRequestLayer::new(without_unusable_ids))
}

async fn ready(health: Arc<impl Health>) -> Response {
    let complaints = tokio::time::timeout(HEALTH_TIMEOUT, health.complaints())
        .await
        .unwrap_or_else(|_| vec!["The services did not answer in time.".to_owned()]);
    let status = if complaints.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({"ready": complaints.is_empty(), "complaints": complaints}))).into_response()
}

/// The process's metrics; the first call starts recording.
fn metrics_handle() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        PrometheusBuilder::new()
            .install_recorder()
            .expect("only this function installs a recorder, and it runs once")
    })
}
