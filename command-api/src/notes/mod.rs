//! Notes: titled pages in a notebook.

mod aggregate;
mod commands;
mod routes;

pub use aggregate::Note;
pub(crate) use commands::may_edit;
pub use commands::{NoteCommand, NoteError};
pub use routes::routes;
