//! What every program is made of: its options, its connections, its HTTP conventions, and how it starts and stops.

pub mod auth;
pub mod config;
pub mod http;
pub mod jetstream;
pub mod leadership;
pub mod lifecycle;
pub mod migrate;
pub mod open_files;
pub mod postgres;
pub mod problem;
pub mod read_schema;
pub mod service;
mod signature;
pub mod telemetry;
