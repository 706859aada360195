//! The relay, with a Postgres and a NATS of its own in each test.

mod histories;
mod leaders;
mod world;
