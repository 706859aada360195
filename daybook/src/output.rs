//! Standard output holds only what a command was asked for. Complaints go to standard error.

use std::io::Write;

/// Prints a line. A closed pipe (`daybook events | head`) ends the program quietly, as it does others.
pub(crate) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Says why a command failed.
pub(crate) fn complaint(text: &str) {
    // Standard error may be closed; there is no other place to report it.
    _ = writeln!(std::io::stderr(), "{text}");
}
