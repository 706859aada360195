//! A text with spans as the inside of a paragraph.

use shared::domain::blocks::{Alt, RichText, Source, SpanKind};

use super::escape::{Flow, Writer, entity, longest_run};
use super::marks::marks;
use super::nest::{Piece, Step, nest};
use crate::BLOB;

/// The text with its marks; empty if it is empty.
pub(super) fn write(rich: &RichText, flow: Flow) -> String {
    let text: Vec<char> = rich.text().chars().collect();
    let (steps, pieces) = nest(rich.spans(), text.len());
    let ticked = ticked(&steps, &pieces, &text, flow);
    let marks = marks(&steps, &pieces, &text, &ticked);
    let mut writer = Writer::new(&text, flow);
    let mut brackets = 0;
    let has_brackets = |piece: usize| {
        usize::from(matches!(pieces[piece].kind, SpanKind::Link { .. } | SpanKind::Image { .. }))
    };
    for (nth, step) in steps.iter().enumerate() {
        match step {
            Step::Text(part) => match around(&steps, nth) {
                Some(piece) if ticked[piece] => writer.mark(&code(&text[part.clone()], flow)),
                Some(piece) if is_without_alt(pieces[piece].kind) => {}
                Some(_) | None => writer.part(part, brackets > 0),
            },
            Step::Open(piece) => {
                brackets += has_brackets(*piece);
                writer.mark(opening(marks[*piece], pieces[*piece].kind));
            }
            Step::Close(piece) => {
                brackets -= has_brackets(*piece);
                writer.mark(&closing(marks[*piece], pieces[*piece].kind));
            }
        }
    }
    writer.out
}

type Marks = Option<(&'static str, &'static str)>;

fn opening(marks: Marks, kind: &SpanKind) -> &'static str {
    match (marks, kind) {
        (Some((open, _)), _) => open,
        (None, SpanKind::Link { .. }) => "[",
        (None, SpanKind::Image { .. }) => "![",
        (None, _) => "",
    }
}

fn closing(marks: Marks, kind: &SpanKind) -> String {
    match (marks, kind) {
        (Some((_, close)), _) => close.to_owned(),
        (None, SpanKind::Link { href }) => format!("]({})", destination(href.as_str())),
        (None, SpanKind::Image { src, .. }) => format!("]({})", place(src)),
        (None, _) => String::new(),
    }
}

/// An image as a paragraph of its own.
pub(super) fn image(src: &Source, alt: &Alt) -> String {
    let text: Vec<char> = alt.as_str().chars().collect();
    let mut writer = Writer::new(&text, Flow::Lines);
    writer.mark("![");
    writer.part(&(0..text.len()), true);
    writer.mark(&format!("]({})", place(src)));
    writer.out
}

/// The piece that holds just this step.
fn around(steps: &[Step], nth: usize) -> Option<usize> {
    match (nth.checked_sub(1).and_then(|before| steps.get(before)), steps.get(nth + 1)) {
        (Some(Step::Open(piece)), Some(Step::Close(closed))) if piece == closed => Some(*piece),
        (Some(_) | None, Some(_) | None) => None,
    }
}

fn is_without_alt(kind: &SpanKind) -> bool {
    matches!(kind, SpanKind::Image { alt, .. } if alt.as_str().is_empty())
}

/// Which pieces are code that can stand between backticks: whole, in one line, in a table without what would need two
/// escapes, and in a link without what would make a definition of it.
fn ticked(steps: &[Step], pieces: &[Piece], text: &[char], flow: Flow) -> Vec<bool> {
    let mut ticked = vec![false; pieces.len()];
    let mut links = 0;
    let is_link = |piece: usize| usize::from(matches!(pieces[piece].kind, SpanKind::Link { .. }));
    for (nth, step) in steps.iter().enumerate() {
        match step {
            Step::Open(piece) => links += is_link(*piece),
            Step::Close(piece) => links -= is_link(*piece),
            Step::Text(part) => {
                let piece = around(steps, nth).filter(|piece| *pieces[*piece].kind == SpanKind::Code);
                if let Some(piece) = piece {
                    ticked[piece] = fits_ticks(&text[part.clone()], flow, links > 0);
                }
            }
        }
    }
    ticked
}

fn fits_ticks(code: &[char], flow: Flow, in_link: bool) -> bool {
    let two_escapes = flow == Flow::Cell && code.contains(&'|') && code.contains(&'\\');
    let defines = in_link && code.windows(2).any(|pair| pair == [']', ':']);
    !two_escapes && !defines && !code.contains(&'\n') && !code.contains(&'\u{FEFF}')
}

fn code(code: &[char], flow: Flow) -> String {
    let code: String = code.iter().collect();
    let fence = "`".repeat(longest_run(&code, '`') + 1);
    let blank = code.chars().all(|c| c == ' ');
    let ticks = code.starts_with('`') || code.ends_with('`');
    let padding = if ticks || (!blank && code.starts_with(' ') && code.ends_with(' ')) { " " } else { "" };
    let code = if flow == Flow::Cell { code.replace('|', "\\|") } else { code };
    format!("{fence}{padding}{code}{padding}{fence}")
}

fn place(src: &Source) -> String {
    match src {
        Source::Blob(blob) => format!("{BLOB}{blob}"),
        Source::Url(url) => destination(url.as_str()),
    }
}

/// An address between brackets, so that neither is it ended nor does it end anything else.
fn destination(address: &str) -> String {
    let mut written = String::with_capacity(address.len());
    for (at, c) in address.char_indices() {
        match c {
            '(' | ')' | '[' | ']' => written.extend(['\\', c]),
            '`' | '|' => written.push_str(&entity(c)),
            '&' if address[at + 1..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '#')
                && address[at..].contains(';') =>
            {
                written.push_str("&amp;");
            }
            c => written.push(c),
        }
    }
    written
}
