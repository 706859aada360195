//! What every side of Daybook agrees on: events, their one JSON shape, encryption, access, HTTP conventions. It
//! decides nothing.

pub mod access;
pub mod auth;
pub mod clock;
pub mod config;
pub mod domain;
pub mod encryption;
pub mod epoch;
pub mod event;
pub mod event_log;
pub mod http;
pub mod id;
pub mod jetstream;
pub mod leadership;
pub mod lifecycle;
pub mod migrate;
pub mod open_files;
pub mod postgres;
pub mod problem;
pub mod rank;
pub mod read_schema;
pub mod server_keys;
pub mod service;
mod signature;
pub mod telemetry;
pub mod text;
pub mod upcasters;
pub mod visibility;
