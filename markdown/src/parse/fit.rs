//! Cuts what is too large for one block into several, without losing a character.

use shared::domain::blocks::{BlockText, RichText, Span, SpanKind};

use super::inline::Line;
use super::unreadable;

/// How far before the middle a cut looks for white space, in characters.
const LOOK_BACK: usize = 200;

/// The texts that hold this line: nearly always one.
pub(super) fn fit(line: Line) -> Vec<RichText> {
    let mut texts = Vec::new();
    let mut waiting = vec![line];
    while let Some(line) = waiting.pop() {
        if let Some(rich) = whole(&line) {
            texts.push(rich);
            continue;
        }
        match halves(line) {
            Ok((first, second)) => waiting.extend([second, first]),
            // One image or one letter, with more around it than fits: its letters stay.
            Err(text) => texts.extend(BlockText::try_from(text).ok().map(RichText::from)),
        }
    }
    texts
}

/// The plain texts that hold this one.
pub(super) fn fit_plain(text: &str) -> Vec<BlockText> {
    let line = Line { text: text.replace(unreadable, "\u{FFFD}"), ..Line::default() };
    fit(line).into_iter().filter_map(|rich| BlockText::try_from(rich.text().to_owned()).ok()).collect()
}

/// The one text that holds this line, if it fits.
pub(super) fn whole(line: &Line) -> Option<RichText> {
    let text = BlockText::try_from(line.text.clone()).ok()?;
    RichText::new(text, line.spans.clone()).ok()
}

fn halves(line: Line) -> Result<(Line, Line), String> {
    let characters = line.text.chars().count();
    let Some(cut) = cut(&line, characters) else { return Err(line.text) };
    let at = line.text.char_indices().nth(cut).map_or(line.text.len(), |(at, _)| at);
    let cut = u32::try_from(cut).unwrap_or(u32::MAX);
    let (first, second) = line.text.split_at(at);
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for span in line.spans {
        if span.start < cut {
            before.push(Span { end: span.end.min(cut), ..span.clone() });
        }
        if span.end > cut {
            after.push(Span { start: span.start.max(cut) - cut, end: span.end - cut, ..span });
        }
    }
    let half = |text: &str, spans| Line { text: text.to_owned(), spans, image: None };
    Ok((half(first, before), half(second, after)))
}

/// About in the middle, after white space if there is some, and not within an image.
fn cut(line: &Line, characters: usize) -> Option<usize> {
    let middle = characters / 2;
    let from = middle.saturating_sub(LOOK_BACK);
    let near: Vec<char> = line.text.chars().skip(from).take(middle - from).collect();
    let cut = near.iter().rposition(|c| c.is_whitespace()).map_or(middle, |nth| from + nth + 1);
    let place = u32::try_from(cut).unwrap_or(u32::MAX);
    let within =
        |span: &&Span| matches!(span.kind, SpanKind::Image { .. }) && span.start < place && place < span.end;
    let cut = match line.spans.iter().find(within) {
        Some(image) if image.start > 0 => usize::try_from(image.start).ok()?,
        Some(image) => usize::try_from(image.end).ok()?,
        None => cut,
    };
    (0 < cut && cut < characters).then_some(cut)
}
