//! What tests and benchmarks share. No program depends on it, and it knows none of the services.

mod scribe;

pub use scribe::{Fact, Scribe, destroy_key, rewrite};
