//! Blocks: the pieces that a note is made of.

mod aggregate;
mod begin;
mod commands;
mod last_edits;
mod places;
mod routes;

pub use aggregate::{Block, Part};
pub use begin::Begin;
pub(crate) use commands::claim;
pub use commands::{Anchor, BlockCommand, BlockContext, BlockError, NewBlock, Origin};
pub use last_edits::{LastEdits, TaskFacts};
pub(crate) use places::origin;
pub use routes::routes;
