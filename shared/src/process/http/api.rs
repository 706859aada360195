//! Routers of the permission table's actions: the one way to make a route of the API.

use utoipa::openapi::path::Operation;
use utoipa::openapi::{HttpMethod, PathItem};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::domain::access::Action;

/// A router in which each route serves one action, together with its description.
pub struct Api<S>(OpenApiRouter<S>);

impl<S: Clone + Send + Sync + 'static> Api<S> {
    /// One without routes.
    #[expect(clippy::new_without_default, reason = "a router begins with its routes")]
    pub fn new() -> Self {
        Self(OpenApiRouter::new())
    }

    /// Serves an action, by `routes!(handler)`. In the description, the operation has the action's name.
    #[must_use]
    pub fn route(self, action: Action, (schemas, mut paths, handler): UtoipaMethodRouter<S>) -> Self {
        for operation in paths.paths.values_mut().flat_map(operations) {
            operation.1.operation_id = Some(action.as_ref().to_owned());
        }
        #[expect(clippy::disallowed_methods, reason = "this is where routes of actions are made")]
        Self(self.0.routes((schemas, paths, handler)))
    }

    /// With the routes of another one.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self(self.0.merge(other.0))
    }

    /// The finished router.
    pub fn into_router(self) -> OpenApiRouter<S> {
        self.0
    }
}

/// The operations of a path, each with its method.
pub fn operations(item: &mut PathItem) -> impl Iterator<Item = (HttpMethod, &mut Operation)> {
    [
        (HttpMethod::Get, &mut item.get),
        (HttpMethod::Post, &mut item.post),
        (HttpMethod::Put, &mut item.put),
        (HttpMethod::Patch, &mut item.patch),
        (HttpMethod::Delete, &mut item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}
