//! Derives the read tables from the log: pure folds ([`projections`]), and one engine that does all reading and writing.

pub mod engine;
pub mod projections;
pub mod quarantine;
mod run;
pub mod service;
mod standing;
mod status;

pub use run::{Handles, run};
pub use status::{Fault, Status};
