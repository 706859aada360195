//! Sessions: what a login begins, and logging out ends.

mod aggregate;
mod commands;
mod routes;

pub use aggregate::Session;
pub use commands::{SessionCommand, SessionError, refuse_ended};
pub use routes::routes;
