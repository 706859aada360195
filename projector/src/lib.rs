//! Derives the read tables from the log: pure folds ([`projections`]), and one engine that does all reading and writing.

pub mod check;
pub mod engine;
pub mod policies;
pub mod projections;
pub mod quarantine;
mod rebuild;
mod run;
pub mod service;
mod standing;
mod status;
mod tables;
mod workshop;

pub use run::{Handles, run};
pub use status::{Fault, Status};
pub use workshop::{Workshop, WorkshopError};
