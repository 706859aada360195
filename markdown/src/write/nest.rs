//! Spans may overlap in any way, but marks must nest: cuts spans into pieces that do.

use std::ops::Range;

use shared::domain::blocks::{Span, SpanKind};

/// A step on the way through a text. Opening and closing name the same piece.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Open(usize),
    Close(usize),
    /// Characters without any border in between.
    Text(Range<usize>),
}

/// One uncut stretch of a span.
pub(super) struct Piece<'a> {
    pub(super) kind: &'a SpanKind,
}

struct Open<'a> {
    span: &'a Span,
    piece: usize,
}

/// The steps through a text of this many characters, and the pieces that they name. Links are cut only by images,
/// images never.
pub(super) fn nest(spans: &[Span], length: usize) -> (Vec<Step>, Vec<Piece<'_>>) {
    let mut borders: Vec<u32> = spans.iter().flat_map(|span| [span.start, span.end]).collect();
    borders.sort_unstable();
    borders.dedup();
    let mut path = Path::default();
    let mut waiting = spans;
    let mut at = 0;
    for border in borders {
        let place = usize::try_from(border).unwrap_or(usize::MAX);
        if at < place {
            path.steps.push(Step::Text(at..place));
        }
        at = place;
        let starting = waiting.iter().take_while(|span| span.start == border).count();
        let (now, later) = waiting.split_at(starting);
        waiting = later;
        path.cross(border, now);
    }
    if at < length {
        path.steps.push(Step::Text(at..length));
    }
    (path.steps, path.pieces)
}

#[derive(Default)]
struct Path<'a> {
    steps: Vec<Step>,
    pieces: Vec<Piece<'a>>,
    open: Vec<Open<'a>>,
}

impl<'a> Path<'a> {
    /// Closes what ends here, opens what starts here, and opens again what had to be closed on the way.
    fn cross(&mut self, border: u32, starting: &'a [Span]) {
        let mut again: Vec<&Span> = starting.iter().collect();
        if let Some(lowest) = self.open.iter().position(|open| open.span.end == border) {
            again.extend(self.close(lowest).filter(|span| span.end > border));
        }
        let holds = |span: &&&Span| matches!(span.kind, SpanKind::Link { .. } | SpanKind::Image { .. });
        if let Some(reach) = again.iter().filter(holds).map(|span| span.end).max() {
            let is_image = |open: &Open| matches!(open.span.kind, SpanKind::Image { .. });
            let floor = self.open.iter().rposition(is_image).map_or(0, |nth| nth + 1);
            if let Some(nth) = self.open[floor..].iter().position(|open| open.span.end < reach) {
                again.extend(self.close(floor + nth));
            }
        }
        again.sort_by_key(|span| (std::cmp::Reverse(span.end), rank(&span.kind)));
        for span in again {
            let piece = self.pieces.len();
            self.pieces.push(Piece { kind: &span.kind });
            self.steps.push(Step::Open(piece));
            self.open.push(Open { span, piece });
        }
    }

    /// Closes all from the nth on, innermost first.
    fn close(&mut self, nth: usize) -> impl Iterator<Item = &'a Span> + use<'a> {
        let closed = self.open.split_off(nth);
        self.steps.extend(closed.iter().rev().map(|open| Step::Close(open.piece)));
        closed.into_iter().map(|open| open.span)
    }
}

/// Of spans that end together, which one is outside.
fn rank(kind: &SpanKind) -> u8 {
    match kind {
        SpanKind::Link { .. } => 0,
        SpanKind::Bold => 1,
        SpanKind::Italic => 2,
        SpanKind::Strike => 3,
        SpanKind::Underline => 4,
        SpanKind::Code => 5,
        // So that nothing is within an image without alternative text, whose one character is not written.
        SpanKind::Image { .. } => 6,
    }
}
