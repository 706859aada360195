//! What the reads work with.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;
use shared::log::server_keys::ServerKeys;
use shared::process::auth::Verifier;
use sqlx::PgPool;

use crate::watermark::Watermark;

/// Everything the query API works with; cheap to clone.
#[derive(Clone)]
pub struct QueryApp(Arc<Parts>);

/// The parts of a [`QueryApp`].
pub struct Parts {
    /// Connections as `daybook_query`, whose search path is the read schema.
    pub pool: PgPool,
    /// How far reads may be served.
    pub watermark: Watermark,
    /// Reads access tokens.
    pub verifier: Verifier,
    /// The server's own keys; cursors are authenticated with one.
    pub keys: ServerKeys,
}

impl QueryApp {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for QueryApp {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl FromRef<QueryApp> for Verifier {
    fn from_ref(app: &QueryApp) -> Self {
        app.verifier.clone()
    }
}
