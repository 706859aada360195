//! Notebooks: containers of notes, and what is shared.

mod aggregate;
mod commands;
mod routes;
#[cfg(test)]
mod snapshot_form;

pub use aggregate::Notebook;
pub(crate) use commands::chain;
pub use commands::{NotebookCommand, NotebookError};
pub use routes::routes;
