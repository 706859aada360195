//! The relay, with a Postgres and a NATS of its own in each test.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod histories;
mod leaders;
mod world;
