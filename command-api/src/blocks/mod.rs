//! Blocks: the pieces that a note is made of.

mod aggregate;
mod commands;
mod last_edits;
mod places;
mod routes;

pub use aggregate::{Block, Part};
pub use commands::{Anchor, BlockCommand, BlockError, NewBlock, Origin, Spot};
pub(crate) use commands::{add_all, claim};
pub use last_edits::{LastEdits, TaskFacts};
pub(crate) use places::origin;
pub use routes::routes;
pub(crate) use routes::{NewContent, new_blocks};
