//! Reads over HTTP: what they answer, to whom, and when they do not.

mod blocks_tasks;
mod grants;
mod lists;
mod one;
mod permissions;
mod plans;
mod quarantine;
mod statements;
mod world;
