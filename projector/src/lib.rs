//! Derives the read tables from the log: pure folds ([`projections`]), and one engine that does all reading and writing.

pub mod check;
pub mod column;
pub mod engine;
pub mod policies;
pub mod projections;
pub mod quarantine;
mod rebuild;
pub mod row_key;
mod run;
pub mod service;
mod shadow_build;
mod standing;
mod status;
mod tables;

pub use run::{Handles, run};
pub use shadow_build::{ShadowBuild, ShadowBuildError};
pub use status::{Fault, Status};
