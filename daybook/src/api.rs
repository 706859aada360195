//! The HTTP API of all services on one port.

use axum::Router;
use command_api::accounts::Accounts;
use query_api::service::Running;
use shared::process::problem::Problem;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::contract;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Daybook",
        description = "A workspace of notebooks, notes and tasks in which every change is an event. Commands answer with \
                       the position of their event; send it as `?after=` to read your own write."
    ),
    // Every refusal is one, whether or not a route names it.
    components(schemas(Problem)),
    tags(
        (name = "auth", description = "Accounts and sessions."),
        (name = "users", description = "Your own profile and preferences."),
        (name = "notebooks", description = "Notebooks hold notes; access is given to notebooks."),
        (name = "notes", description = "Notes are made of blocks."),
        (name = "blocks", description = "Blocks are the pieces of a note: paragraphs, headers, tasks, tables, images."),
        (name = "tasks", description = "Tasks belong to a note, often as one of its blocks, or are your own."),
        (name = "live", description = "Every change that you may see, pushed over a WebSocket.")
    )
)]
struct Document;

/// Every route, and the description of them.
pub(crate) fn routes(accounts: Accounts, queries: Running) -> (Router, utoipa::openapi::OpenApi) {
    let keys = command_api::jwks(&accounts.app.verifier);
    let api = command_api::routes()
        .with_state(accounts.app.clone())
        .merge(command_api::accounts::routes().with_state(accounts))
        .merge(query_api::routes().with_state(queries.app))
        .merge(query_api::live::routes().with_state(queries.live));
    let (api, mut document) = described(api).split_for_parts();
    contract::complete(&mut document);
    (api.merge(keys), document)
}

/// The description alone. States do not matter to it, but each service has its own, so they are merged as documents.
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    let mut document = described(command_api::routes()).into_openapi();
    document.merge(described(command_api::accounts::routes()).into_openapi());
    document.merge(described(query_api::routes()).into_openapi());
    document.merge(described(query_api::live::routes()).into_openapi());
    contract::complete(&mut document);
    document
}

fn described<S: Clone + Send + Sync + 'static>(api: OpenApiRouter<S>) -> OpenApiRouter<S> {
    OpenApiRouter::with_openapi(Document::openapi()).nest("/api/v1", api)
}
