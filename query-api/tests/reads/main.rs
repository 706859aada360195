//! Reads over HTTP: what they answer, to whom, and when they do not.

mod blocks_tasks;
mod grants;
mod lists;
mod one;
mod permissions;
mod quarantine;
mod statements;
mod world;
