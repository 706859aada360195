//! Under construction.
pub mod log;
