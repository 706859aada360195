//! Users: accounts and profiles.

mod aggregate;
mod commands;
mod routes;
#[cfg(test)]
mod snapshot_form;

pub use aggregate::User;
pub(crate) use commands::{EMAIL, USERNAME};
pub use commands::{UserCommand, UserError};
pub use routes::routes;
