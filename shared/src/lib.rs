//! What every side of Daybook agrees on. It decides nothing.
//!
//! Three folders, each of which knows only those before it: `domain`, the language; `log`, how events are stored, read
//! and shown; `process`, what every program is made of.

pub mod domain;
pub mod log;
pub mod process;
