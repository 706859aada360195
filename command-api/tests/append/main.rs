//! The event log: what it records, for whom, and what it refuses.

mod batches;
mod contract;
mod cut;
mod guards;
mod model;
mod wishes;
mod world;
