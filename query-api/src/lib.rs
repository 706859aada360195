//! Answers, pushes, shows history; never decides.

pub mod live;
pub mod watermark;
