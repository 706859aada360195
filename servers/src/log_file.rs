//! Keeps the log of a server from growing for ever.
//!
//! The server itself writes to the file, always at its end. When the file has become too large, its last part is copied
//! into a file beside it, and the file is emptied. (Postgres' own log collector bounds a log by time only, and a pipe
//! that we read would break under the server when we are killed.) A line that is written between the two is lost.

use std::fs::File;
use std::io::{Read, Result, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// How large a log may become before its older part goes, in bytes.
pub const LIMIT: u64 = 16 * 1_024 * 1_024;
/// How often its size is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// What is read of it to say why a server did not start.
const TAIL: u64 = 64 * 1_024;

/// A log that is kept within bounds until this is dropped.
#[derive(Debug)]
pub struct BoundedLog {
    _held: Sender<()>,
}

impl BoundedLog {
    /// Watches the log, on a thread of its own. It and its older part have about `limit` bytes each.
    pub fn watch(log: &Path, limit: u64) -> Result<Self> {
        let (held, dropped) = channel();
        let log = log.to_owned();
        thread::Builder::new().name("server log".to_owned()).spawn(move || watch(&log, limit, &dropped))?;
        Ok(Self { _held: held })
    }
}

/// Where the older part of a log is.
pub fn older(log: &Path) -> PathBuf {
    log.with_added_extension("old")
}

fn watch(log: &Path, limit: u64, dropped: &Receiver<()>) {
    let mut failed = false;
    while dropped.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        if let Err(error) = cut(log, limit) {
            // Once: the next look may find the same.
            if !std::mem::replace(&mut failed, true) {
                tracing::warn!(log = %log.display(), %error, "The log of a server cannot be cut");
            }
        } else {
            failed = false;
        }
    }
}

fn cut(log: &Path, limit: u64) -> Result<()> {
    let mut file = File::options().read(true).write(true).open(log)?;
    let size = file.metadata()?.len();
    if size > limit {
        file.seek(SeekFrom::Start(size - limit))?;
        std::io::copy(&mut (&mut file).take(limit), &mut File::create(older(log))?)?;
        file.set_len(0)?;
    }
    Ok(())
}

/// The last lines of a server's log, for the sentence that says why it did not start.
pub(crate) fn tail(log: &Path) -> String {
    let mut bytes = Vec::new();
    let read = File::open(log).and_then(|mut file| {
        file.seek(SeekFrom::Start(file.metadata()?.len().saturating_sub(TAIL)))?;
        file.read_to_end(&mut bytes)
    });
    // What cannot be read says nothing.
    drop(read);
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}
