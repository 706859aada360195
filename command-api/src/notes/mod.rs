//! Notes: titled pages in a notebook.

mod aggregate;
mod commands;
mod routes;
#[cfg(test)]
mod snapshot_form;

pub use aggregate::Note;
pub(crate) use commands::chain;
pub use commands::{NoteCommand, NoteError};
pub use routes::routes;
