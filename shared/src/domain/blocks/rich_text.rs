//! A text with spans: what most blocks and every cell of a table hold.

use serde::Serialize;
use serde_json::Value;

use super::fields::{ContentError, Fields, array};
use super::span::{LineEnds, Span, canonical};
use super::values::BlockText;
use super::{LARGEST_CONTENT, MOST_SPANS};

/// A text and its spans, in canonical form: what means the same is equal. At most 2,000 spans and 180 KiB as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct RichText {
    text: BlockText,
    spans: Vec<Span>,
}

impl RichText {
    /// A text with spans in any order. Pointers of refusals are relative to `{text, spans}`.
    pub fn new(text: BlockText, spans: Vec<Span>) -> Result<Self, ContentError> {
        let spans = canonical(text.as_str(), spans)?;
        if spans.len() > MOST_SPANS {
            return Err(ContentError::new("/spans", format!("must be at most {MOST_SPANS}")));
        }
        let rich = Self { text, spans };
        if !rich.fits() {
            return Err(ContentError::new(
                "/spans",
                "the text and its spans must have at most 180 KiB as JSON",
            ));
        }
        Ok(rich)
    }

    /// The text.
    pub fn text(&self) -> &str {
        self.text.as_str()
    }

    /// Its spans, sorted by place.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Another text, with the spans of this one where the two still match: those before and those after the part that
    /// differs. Spans that touch the difference go.
    #[must_use]
    pub fn with_text(self, text: BlockText) -> Self {
        let (before, after) = (self.text.as_str().chars().count(), text.as_str().chars().count());
        let same = |(a, b): &(char, char)| a == b;
        let (old, new) = (self.text.as_str(), text.as_str());
        let prefix = old.chars().zip(new.chars()).take_while(same).count();
        let room = before.min(after) - prefix;
        let suffix = old.chars().rev().zip(new.chars().rev()).take(room).take_while(same).count();
        let place = |count: usize| u32::try_from(count).expect("a text has at most 50,000 characters");
        let (prefix, suffix) = (place(prefix), place(before - suffix));
        let (before, after) = (place(before), place(after));
        let keep = |span: Span| {
            if span.end <= prefix {
                Some(span)
            } else if span.start >= suffix {
                Some(Span { start: span.start + after - before, end: span.end + after - before, ..span })
            } else {
                None
            }
        };
        let spans = self.spans.into_iter().filter_map(keep).collect();
        Self::new(text.clone(), spans).unwrap_or_else(|_| Self::from(text))
    }

    /// Reads `text` and `spans`, which may be absent, among the fields of a content. Spans count the characters of the
    /// text as it was given.
    pub(super) fn read(fields: &mut Fields) -> Result<Self, ContentError> {
        let line_ends = LineEnds::of(fields.given("text").unwrap_or_default());
        let text = fields.text("text")?;
        let at = fields.pointer("spans");
        let spans = fields.optional("spans").map_or(Ok(Vec::new()), |spans| array(spans, &at))?;
        if spans.len() > MOST_SPANS {
            return Err(ContentError::new(at, format!("must be at most {MOST_SPANS}")));
        }
        let read = |(nth, span)| Span::read(span, &format!("{at}/{nth}")).map(|span| line_ends.shorten(span));
        let spans = spans.into_iter().enumerate().map(read).collect::<Result<_, _>>()?;
        let around = at.strip_suffix("/spans").unwrap_or_default();
        Self::new(text, spans).map_err(|error| error.under(around))
    }

    /// Reads `{text, spans}` on its own.
    pub(super) fn read_whole(value: Value, at: &str) -> Result<Self, ContentError> {
        let mut fields = Fields::of(value, at)?;
        let rich = Self::read(&mut fields)?;
        fields.end().map(|()| rich)
    }

    fn fits(&self) -> bool {
        // What a block says besides takes less than 1 KiB.
        self.spans.is_empty()
            || serde_json::to_vec(self).is_ok_and(|json| json.len() <= LARGEST_CONTENT - 1024)
    }
}

impl From<BlockText> for RichText {
    fn from(text: BlockText) -> Self {
        Self { text, spans: Vec::new() }
    }
}
