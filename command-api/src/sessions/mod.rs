//! Sessions: what a login begins, and logging out ends.

mod aggregate;
mod commands;
mod routes;
#[cfg(test)]
mod snapshot_form;

pub use aggregate::Session;
pub use commands::{SessionCommand, SessionError, refuse_ended};
pub use routes::routes;
