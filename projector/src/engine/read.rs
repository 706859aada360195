//! From events as they are carried to entries of a batch: opened, set apart because unreadable, or not for this release.

use shared::event::Recorded;
use shared::seal::{Keyring, SealError, Unopened};

use crate::projections::Entry;
use crate::status::Fault;

/// Opens a batch, up to the first event that only a newer release can read: the fault.
///
/// Nothing can be told of what such an event touches, so going beyond it would be guessing. Of one whose type we know and
/// whose data does not open, or does not have its form, the rows can be told; they are set aside.
pub(super) async fn read(
    keyring: &Keyring,
    batch: Vec<Recorded>,
) -> Result<(Vec<Entry>, Option<Fault>), SealError> {
    let mut entries = Vec::with_capacity(batch.len());
    for event in keyring.open_each(batch).await? {
        match event {
            Ok(opened) => entries.push(Entry::Opened(opened)),
            Err(unopened) => {
                let Unopened { recorded, why } = *unopened;
                let fault = Fault { position: recorded.position, why: why.to_string() };
                if is_newer(&why) {
                    return Ok((entries, Some(fault)));
                }
                entries.push(Entry::Unreadable { recorded, why: fault.why });
            }
        }
    }
    Ok((entries, None))
}

fn is_newer(why: &SealError) -> bool {
    match why {
        SealError::Unreadable { source, .. } => source.is_newer(),
        SealError::Forged(_) | SealError::Wrapped(_) | SealError::Database(_) => false,
    }
}
