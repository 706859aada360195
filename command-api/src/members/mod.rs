//! Members: who was granted which role on a notebook or a note.

mod aggregate;
mod commands;
mod require;
#[cfg(test)]
mod snapshot_form;
mod witness;

pub use aggregate::Member;
pub(crate) use commands::first_owner;
pub use commands::{MemberCommand, MemberContext, MemberError};
pub use require::Found;
