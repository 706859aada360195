//! Notebooks: containers of notes, and what is shared.

mod aggregate;
mod commands;
mod routes;

pub use aggregate::Notebook;
pub use commands::{NotebookCommand, NotebookError, role_in};
pub use routes::routes;
