//! Under construction.
pub mod log;
pub mod relay;
