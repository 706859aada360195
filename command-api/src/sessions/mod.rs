//! Sessions: logging in, staying logged in, logging out.

mod aggregate;
mod commands;
mod passwords;
mod refresh;
mod routes;
mod throttle;

pub use aggregate::Session;
pub use commands::{SessionCommand, SessionError};
pub use passwords::{Password, Passwords};
pub use routes::routes;
pub use throttle::{Throttle, peer};
