//! Spans: which part of a text is bold, a link, an image, and their canonical form.

use serde::Serialize;
use serde_json::Value;

use super::address::{Address, Source};
use super::fields::{ContentError, Fields};
use super::values::Alt;

/// The character that an image without alternative text stands on: U+FFFC, object replacement.
pub const OBJECT: char = '\u{FFFC}';

/// A part of a text that is more than text. On the wire `{"start": 0, "end": 4, "kind": "link", "href": "…"}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Span {
    /// Its first character, counted from 0 in Unicode scalar values.
    pub start: u32,
    /// The character after its last one.
    pub end: u32,
    /// What it is.
    #[serde(flatten)]
    pub kind: SpanKind,
}

/// What a part of a text is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SpanKind {
    /// Strong.
    Bold,
    /// Emphasised.
    Italic,
    /// Underlined.
    Underline,
    /// Struck through: no longer so.
    Strike,
    /// Letters of a program.
    Code,
    /// Leads somewhere. Links do not overlap.
    Link {
        /// Where it leads.
        href: Address,
    },
    /// An image within the line. It covers its alternative text, or one U+FFFC where that is empty, so that the text
    /// reads well without it. Images do not overlap.
    Image {
        /// Where it comes from.
        src: Source,
        /// What it shows.
        alt: Alt,
    },
}

impl Span {
    pub(super) fn read(value: Value, at: &str) -> Result<Self, ContentError> {
        let mut fields = Fields::of(value, at)?;
        let (start, end) = (fields.number::<u32>("start")?, fields.number::<u32>("end")?);
        let kind: String = fields.text("kind")?;
        let kind = match kind.as_str() {
            "bold" => SpanKind::Bold,
            "italic" => SpanKind::Italic,
            "underline" => SpanKind::Underline,
            "strike" => SpanKind::Strike,
            "code" => SpanKind::Code,
            "link" => SpanKind::Link { href: fields.text("href")? },
            "image" => {
                let src = fields.need("src")?;
                SpanKind::Image { src: Source::read(src, &fields.pointer("src"))?, alt: fields.text("alt")? }
            }
            _ => {
                let kinds = "must be bold, italic, underline, strike, code, link or image";
                return Err(fields.refuse("kind", kinds));
            }
        };
        fields.end().map(|()| Self { start, end, kind })
    }

    /// Whether this and a later span of the same kind say the same as one longer span.
    fn goes_on_in(&self, later: &Self) -> bool {
        match self.kind {
            SpanKind::Image { .. } => self == later,
            SpanKind::Bold
            | SpanKind::Italic
            | SpanKind::Underline
            | SpanKind::Strike
            | SpanKind::Code
            | SpanKind::Link { .. } => self.kind == later.kind && later.start <= self.end,
        }
    }
}

/// Where a text as it was given has `\r\n`: its text block holds one line feed there, so all that follows comes nearer.
pub(super) struct LineEnds(Vec<u32>);

impl LineEnds {
    pub(super) fn of(given: &str) -> Self {
        let characters = given.chars().zip(given.chars().skip(1)).zip(1..);
        Self(characters.filter_map(|(pair, second)| (pair == ('\r', '\n')).then_some(second)).collect())
    }

    /// The span on the text with line feeds. One that covers half of a line end covers it whole.
    pub(super) fn shorten(&self, span: Span) -> Span {
        let (start, end) = (self.place(span.start), self.place(span.end));
        let is_half = start == end && span.start < span.end;
        Span { start: if is_half { start - 1 } else { start }, end, ..span }
    }

    fn place(&self, given: u32) -> u32 {
        let before = self.0.partition_point(|line_feed| *line_feed < given);
        given.saturating_sub(u32::try_from(before).unwrap_or(given))
    }
}

/// The one form of all span lists that mean the same: sorted by place, overlapping or adjacent spans of the same kind
/// (of links: with the same address) joined into one. Refused is what lies outside of the text, an image that does not
/// cover its alternative text, and links or images that overlap each other.
pub(super) fn canonical(text: &str, spans: Vec<Span>) -> Result<Vec<Span>, ContentError> {
    let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    for (nth, span) in spans.iter().enumerate() {
        check(span, nth, text, &ends)?;
    }
    let mut sorted: Vec<(usize, Span)> = spans.into_iter().enumerate().collect();
    sorted.sort_by(|(_, a), (_, b)| (&a.kind, a.start, a.end).cmp(&(&b.kind, b.start, b.end)));
    let mut joined: Vec<(usize, Span)> = Vec::with_capacity(sorted.len());
    for (nth, span) in sorted {
        match joined.last_mut() {
            Some((_, last)) if last.goes_on_in(&span) => last.end = last.end.max(span.end),
            Some(_) | None => joined.push((nth, span)),
        }
    }
    joined.sort_by(|(_, a), (_, b)| a.cmp(b));
    refuse_overlap(&joined, "a link", |kind| matches!(kind, SpanKind::Link { .. }))?;
    refuse_overlap(&joined, "an image", |kind| matches!(kind, SpanKind::Image { .. }))?;
    Ok(joined.into_iter().map(|(_, span)| span).collect())
}

fn check(span: &Span, nth: usize, text: &str, ends: &[usize]) -> Result<(), ContentError> {
    if span.start >= span.end {
        return Err(ContentError::new(format!("/spans/{nth}/end"), "must be greater than start"));
    }
    let offset = |place: u32| usize::try_from(place).ok().and_then(|place| ends.get(place));
    let (Some(start), Some(end)) = (offset(span.start), offset(span.end)) else {
        return Err(ContentError::new(format!("/spans/{nth}/end"), "must not be beyond the end of the text"));
    };
    if let SpanKind::Image { alt, .. } = &span.kind {
        let covered = &text[*start..*end];
        let without_alt = alt.as_str().is_empty() && covered.chars().eq([OBJECT]);
        if covered != alt.as_str() && !without_alt {
            let detail = "an image must cover its alternative text, or one U+FFFC if that is empty";
            return Err(ContentError::new(format!("/spans/{nth}"), detail));
        }
    }
    Ok(())
}

fn refuse_overlap(
    spans: &[(usize, Span)],
    what: &str,
    is: fn(&SpanKind) -> bool,
) -> Result<(), ContentError> {
    let mut end = 0;
    for (nth, span) in spans.iter().filter(|(_, span)| is(&span.kind)) {
        if span.start < end {
            return Err(ContentError::new(
                format!("/spans/{nth}"),
                format!("{what} must not overlap another one"),
            ));
        }
        end = span.end;
    }
    Ok(())
}
