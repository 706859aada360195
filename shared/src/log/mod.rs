//! The log of events: their one shape, their encryption, who may see them, and how the log is read.

pub mod encryption;
pub mod epoch;
pub mod event;
pub mod event_log;
pub mod keyring;
pub mod server_keys;
pub mod sight;
pub mod stored_event;
pub mod upcasters;
