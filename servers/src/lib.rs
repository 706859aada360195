//! Finds, starts and stops Postgres and NATS; nobody else in the workspace spawns them.
//!
//! A server started here never outlives the process that started it, however that process ends: see
//! [`leash`]. It is reached over a private socket ([`postgres`]) or the loopback address ([`nats`]).
//! [`testing`] gives each test a migrated database of its own.

pub mod leash;
pub mod log_file;
pub mod nats;
pub mod postgres;
pub mod programs;
pub mod testing;
pub mod until;
mod user;
