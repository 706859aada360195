//! Notes: titled pages in a notebook.

mod aggregate;
mod commands;
mod routes;
#[cfg(test)]
mod snapshot_form;

pub use aggregate::Note;
pub use commands::{NoteCommand, NoteError};
pub(crate) use commands::{may_edit, role_of};
pub use routes::routes;
