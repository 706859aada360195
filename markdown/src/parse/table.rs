//! Tables, and how tables that are too large are split.

use pulldown_cmark::Alignment;
use shared::domain::blocks::{Align, Content, RichText, Span, Table};

use super::fit::{fit, whole};
use super::inline::Line;

/// A table on its way.
pub(super) struct Rows {
    align: Vec<Align>,
    rows: Vec<Vec<Line>>,
}

impl Rows {
    pub(super) fn new(align: &[Alignment]) -> Self {
        let align = align.iter().map(|align| match align {
            Alignment::Left => Align::Left,
            Alignment::Center => Align::Center,
            Alignment::Right => Align::Right,
            Alignment::None => Align::None,
        });
        Self { align: align.collect(), rows: Vec::new() }
    }

    pub(super) fn row(&mut self) {
        self.rows.push(Vec::new());
    }

    pub(super) fn cell(&mut self, line: Line) {
        if let Some(row) = self.rows.last_mut() {
            row.push(line);
        }
    }

    /// One table, or several of which the later ones have an empty head, or lines of text.
    pub(super) fn end(mut self) -> Vec<Content> {
        let columns = self.align.len();
        self.rows.iter_mut().for_each(|row| row.resize(columns, Line::default()));
        let cells = |row: &Vec<Line>| row.iter().map(whole).collect::<Option<Vec<_>>>();
        match self.rows.iter().map(cells).collect::<Option<Vec<_>>>() {
            Some(rows)
                if Table::new(self.align.clone(), vec![vec![RichText::default(); columns]]).is_ok() =>
            {
                rows.split_first().map_or_else(Vec::new, |(head, body)| tables(&self.align, head, body))
            }
            Some(_) | None => self.rows.into_iter().flat_map(text).collect(),
        }
    }
}

fn tables(align: &[Align], head: &[RichText], body: &[Vec<RichText>]) -> Vec<Content> {
    let rows = [head.to_vec()].into_iter().chain(body.iter().cloned()).collect();
    if let Ok(table) = Table::new(align.to_vec(), rows) {
        return vec![Content::Table(table)];
    }
    let empty = vec![RichText::default(); head.len()];
    let (first, second) = match body {
        [] => return text(head.iter().map(line)),
        [row] if head == empty => return text(row.iter().map(line)),
        [_] => body.split_at(0),
        rows => rows.split_at(rows.len() / 2),
    };
    [tables(align, head, first), tables(align, &empty, second)].concat()
}

/// The cells of a row as lines of text, with `|` between them.
fn text(row: impl IntoIterator<Item = Line>) -> Vec<Content> {
    let mut joined = Line::default();
    for cell in row.into_iter().filter(|cell| !cell.text.is_empty()) {
        if !joined.text.is_empty() {
            joined.text.push_str(" | ");
        }
        let before = u32::try_from(joined.text.chars().count()).unwrap_or(u32::MAX);
        joined.text.push_str(&cell.text);
        let moved = |span: Span| Span { start: span.start + before, end: span.end + before, ..span };
        joined.spans.extend(cell.spans.into_iter().map(moved));
    }
    if joined.text.is_empty() {
        return Vec::new();
    }
    fit(joined).into_iter().map(|rich| Content::Text { rich }).collect()
}

fn line(cell: &RichText) -> Line {
    Line { text: cell.text().to_owned(), spans: cell.spans().to_vec(), image: None }
}
