//! Which marks a piece gets: those of Markdown where they are understood for certain, otherwise HTML tags.

use shared::domain::blocks::SpanKind;

use super::nest::{Piece, Step};

/// What stands next to a mark, as the rules for emphasis (CommonMark, section 6.2) see it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    Space,
    Punctuation,
    Letter,
    /// White space that is not plain: no mark holds on to it, nor does it set a mark apart for sure.
    OtherSpace,
    /// Symbols and other characters that programs disagree about.
    Unsure,
}

/// Opening and closing mark of each piece; `None` for links, images, and code that stands between backticks.
pub(super) fn marks(
    steps: &[Step],
    pieces: &[Piece],
    text: &[char],
    ticks: &[bool],
) -> Vec<Option<(&'static str, &'static str)>> {
    let mut sure = vec![true; pieces.len()];
    for (nth, step) in steps.iter().enumerate() {
        let before = nth.checked_sub(1).map_or(Beside::Space, |nth| beside(&steps[nth], text, true));
        let after = steps.get(nth + 1).map_or(Beside::Space, |step| beside(step, text, false));
        match step {
            Step::Open(piece) => sure[*piece] &= fits(pieces[*piece].kind, after, before),
            Step::Close(piece) => sure[*piece] &= fits(pieces[*piece].kind, before, after),
            Step::Text(_) => {}
        }
    }
    let mark = |(nth, piece): (usize, &Piece)| match piece.kind {
        SpanKind::Bold if sure[nth] => Some(("**", "**")),
        SpanKind::Bold => Some(("<b>", "</b>")),
        SpanKind::Italic if sure[nth] => Some(("_", "_")),
        SpanKind::Italic => Some(("<i>", "</i>")),
        SpanKind::Strike if sure[nth] => Some(("~~", "~~")),
        SpanKind::Strike => Some(("<s>", "</s>")),
        SpanKind::Underline => Some(("<u>", "</u>")),
        SpanKind::Code if ticks[nth] => None,
        SpanKind::Code => Some(("<code>", "</code>")),
        SpanKind::Link { .. } | SpanKind::Image { .. } => None,
    };
    pieces.iter().enumerate().map(mark).collect()
}

/// Whether a mark with this inside and that outside can only be what it is meant to be.
fn fits(kind: &SpanKind, inside: Beside, outside: Beside) -> bool {
    let apart = matches!(outside, Beside::Space | Beside::Punctuation);
    let solid = !matches!(inside, Beside::Space | Beside::OtherSpace);
    match kind {
        SpanKind::Italic => solid && apart,
        SpanKind::Bold
        | SpanKind::Strike
        | SpanKind::Underline
        | SpanKind::Code
        | SpanKind::Link { .. }
        | SpanKind::Image { .. } => inside == Beside::Letter || (solid && apart),
    }
}

fn beside(step: &Step, text: &[char], before: bool) -> Beside {
    let c = match step {
        // Every mark is punctuation itself.
        Step::Open(_) | Step::Close(_) => return Beside::Punctuation,
        Step::Text(range) => text[if before { range.end - 1 } else { range.start }],
    };
    match c {
        ' ' | '\t' | '\n' => Beside::Space,
        c if c.is_ascii_punctuation() => Beside::Punctuation,
        c if c.is_alphanumeric() => Beside::Letter,
        c if c.is_whitespace() => Beside::OtherSpace,
        _ => Beside::Unsure,
    }
}
