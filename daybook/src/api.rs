//! The HTTP API of all services on one port.

use axum::Router;
use command_api::app::App;
use query_api::service::Running;
use utoipa::Modify;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;

#[derive(OpenApi)]
#[openapi(
    info(title = "Daybook", description = "A workspace of notes whose every change is an event."),
    modifiers(&Bearer)
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

/// Every route, and the description of them.
pub(crate) fn routes(app: App, queries: Running) -> (Router, utoipa::openapi::OpenApi) {
    let keys = command_api::jwks(&app.verifier);
    let api = command_api::routes()
        .with_state(app)
        .merge(query_api::routes().with_state(queries.app))
        .merge(query_api::live::routes().with_state(queries.live));
    let (api, document) = described(api).split_for_parts();
    (api.merge(keys), document)
}

/// The description alone. States do not matter to it, but each service has its own, so they are merged as documents.
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    let mut document = described(command_api::routes()).into_openapi();
    document.merge(described(query_api::routes()).into_openapi());
    document.merge(described(query_api::live::routes()).into_openapi());
    document
}

fn described<S: Clone + Send + Sync + 'static>(api: OpenApiRouter<S>) -> OpenApiRouter<S> {
    OpenApiRouter::with_openapi(Document::openapi()).nest("/api/v1", api)
}
