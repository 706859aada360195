//! From stored events to the entries of a batch: decrypted, or set apart because they are unreadable or of a newer
//! release.

use shared::domain::Event;
use shared::log::encryption::EncryptionError;
use shared::log::keyring::{Keyring, Unopened};
use shared::log::stored_event::StoredEvent;

use crate::projections::Entry;
use crate::status::Fault;

/// Events that can be folded.
pub(super) struct Batch {
    /// How far they go.
    pub(super) last: i64,
    pub(super) entries: Vec<Entry>,
    /// The event right after them, which only a newer release can read.
    pub(super) fault: Option<Fault>,
}

impl Batch {
    /// Whether every event could be read.
    pub(super) fn is_whole(&self) -> bool {
        self.fault.is_none() && self.entries.iter().all(|entry| matches!(entry, Entry::Opened(_)))
    }
}

/// Opens the events up to `last`, or up to the first that only a newer release can read, or whose type was altered into none
/// of ours.
///
/// Nothing can be told of what such an event touches, so going beyond it would be guessing. Of one whose type we know and
/// whose data does not open, or does not have its form, the rows can be told; they are quarantined.
pub(super) async fn read(
    keyring: &Keyring,
    last: i64,
    events: Vec<StoredEvent>,
) -> Result<Batch, EncryptionError> {
    let mut entries = Vec::with_capacity(events.len());
    for event in keyring.open_each(events).await? {
        match event {
            Ok(opened) => entries.push(Entry::Opened(opened)),
            Err(unopened) => {
                let genuine = unopened.is_genuine();
                let Unopened { recorded, why } = *unopened;
                let fault = Fault { position: recorded.position, why: why.to_string() };
                if !Event::knows(&recorded.event_type) || is_newer(&why) {
                    return Ok(Batch { last: fault.position - 1, entries, fault: Some(fault) });
                }
                entries.push(Entry::Unreadable { recorded, why: fault.why, genuine });
            }
        }
    }
    Ok(Batch { last, entries, fault: None })
}

fn is_newer(why: &EncryptionError) -> bool {
    match why {
        EncryptionError::Unreadable { source, .. } => source.is_newer(),
        EncryptionError::Forged(_)
        | EncryptionError::Altered(_)
        | EncryptionError::Wrapped(_)
        | EncryptionError::NoKey(_)
        | EncryptionError::Database(_) => false,
    }
}
