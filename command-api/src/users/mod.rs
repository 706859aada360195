//! Users: accounts and profiles.

mod account;
mod aggregate;
mod commands;
mod routes;

pub(crate) use account::{EMAIL, USERNAME};
pub use account::{Login, Registration, find_account};
pub use aggregate::User;
pub use commands::{UserCommand, UserError};
pub use routes::routes;
