//! What tests and benchmarks share. No program depends on it, and it knows none of the services.

mod crowd;
mod database;
mod http;
mod scribe;

use std::time::Duration;

use shared::log::encryption::MasterKey;

pub use crowd::{Crowd, Of, numbered};
pub use database::{Level, database};
pub use http::{Answer, TestRequest, Tokens, id};
pub use scribe::{Fact, Scribe, destroy_key, rewrite};

/// The hexadecimal digits of [`master`].
pub fn master_digits() -> String {
    "07".repeat(32)
}

/// The master key of every database that tests use.
pub fn master() -> MasterKey {
    MasterKey::from_hex(&master_digits()).expect("64 digits")
}

/// Asks `probe` again and again until it gives a value; fails the test after `limit`.
pub async fn until<T>(limit: Duration, what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let found = servers::until::until(limit, what, async || Ok(probe().await)).await;
    found.unwrap_or_else(|error| panic!("{error}"))
}
