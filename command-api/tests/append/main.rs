//! The event log: what it records, for whom, and what it refuses.

mod access;
mod batches;
mod clocks;
mod contract;
mod cut;
mod guards;
mod model;
mod slow;
mod wishes;
mod world;
