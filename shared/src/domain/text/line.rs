//! Texts of one line: the names of things and persons.

use unicode_normalization::UnicodeNormalization;

use super::chars::{breaks_a_line, is_visible, isolates_end, turns_direction};
use super::{TextError, within};

/// A text of one line, in NFC (Unicode Standard Annex 15) and without white space at its ends.
///
/// It has something that can be seen, and nothing that ends a line or turns the direction of what stands beside it.
/// Other invisible characters may stand in it, as many scripts and emoji need them. It is counted as it was sent and as
/// it is kept, so that the bounds hold for clients that do not compose.
pub(super) fn line(text: &str, min: usize, max: usize) -> Result<String, TextError> {
    within(text, 0, max)?;
    let text = text.trim_matches(is_edge);
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    if text.chars().any(breaks_a_line) {
        return Err(TextError::Line);
    }
    if text.chars().any(turns_direction) || !isolates_end(text) {
        return Err(TextError::Direction);
    }
    if !text.chars().any(is_visible) {
        return Err(TextError::Unseen);
    }
    within(text, min, max)?;
    let text: String = text.nfc().collect();
    within(&text, min, max)?;
    Ok(text)
}

/// What can be made a one-line text of at most `max` characters, for a name that no request is refused for; none when
/// nothing of it can be seen.
pub fn label(text: &str, max: usize) -> Option<String> {
    let steers = |c: char| turns_direction(c) || matches!(c, '\u{2066}'..='\u{2069}');
    let plain: String =
        text.nfc().filter(|c| !steers(*c)).map(|c| if breaks_a_line(c) { ' ' } else { c }).collect();
    let cut: String = plain.trim_matches(is_edge).chars().take(max).collect();
    line(&cut, 1, max).ok()
}

/// White space, and the two invisible characters that editors and clipboards leave at the ends of texts.
fn is_edge(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200B}' | '\u{FEFF}')
}
