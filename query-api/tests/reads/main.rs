//! Reads over HTTP: what they answer, to whom, and when they do not.

mod lists;
mod one;
mod quarantine;
mod world;
