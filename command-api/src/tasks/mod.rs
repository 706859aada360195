//! Tasks: things to do, on their own or as a block of a note.

mod aggregate;
mod commands;
mod routes;

pub use aggregate::{Task, Todo};
pub use commands::{Past, TaskCommand, TaskContext, TaskError};
pub use routes::routes;
