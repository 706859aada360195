//! What every side of Daybook agrees on. It decides nothing.
//!
//! Three folders, each of which knows only those before it: `domain`, the language; `log`, how events are stored, read
//! and shown; `process`, what every program is made of. The features of these names build them.

pub mod domain;
#[cfg(feature = "log")]
pub mod log;
#[cfg(feature = "process")]
pub mod process;
