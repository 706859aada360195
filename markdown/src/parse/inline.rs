//! The inside of a paragraph: text, marks, links and images, collected first and then laid out as a text with spans.

use std::collections::HashMap;

use pulldown_cmark::{CowStr, LinkType};
use shared::domain::blocks::{Address, Alt, OBJECT, Source, Span, SpanKind};
use uuid::Uuid;

use super::unreadable;
use crate::{BLOB, NOTHING};

/// What was found in a line, in order.
#[derive(Default)]
pub(super) struct Inline<'a> {
    pieces: Vec<Piece<'a>>,
}

enum Piece<'a> {
    Text(CowStr<'a>),
    Code(CowStr<'a>),
    Html(CowStr<'a>),
    Open(Mark<'a>),
    Close,
}

pub(super) enum Mark<'a> {
    Simple(SpanKind),
    Link(LinkType, CowStr<'a>),
    Image(CowStr<'a>),
}

/// A text with spans that may be too large for a block.
#[derive(Clone, Default)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) spans: Vec<Span>,
    /// The image, if there is nothing else.
    pub(super) image: Option<(Source, Alt)>,
}

impl<'a> Inline<'a> {
    pub(super) fn text(&mut self, text: CowStr<'a>) {
        self.pieces.push(Piece::Text(text));
    }

    pub(super) fn code(&mut self, code: CowStr<'a>) {
        self.pieces.push(Piece::Code(code));
    }

    pub(super) fn html(&mut self, html: CowStr<'a>) {
        self.pieces.push(Piece::Html(html));
    }

    pub(super) fn open(&mut self, mark: Mark<'a>) {
        self.pieces.push(Piece::Open(mark));
    }

    pub(super) fn close(&mut self) {
        self.pieces.push(Piece::Close);
    }

    /// The text and its spans.
    pub(super) fn lay_out(mut self) -> Line {
        let marked = matches!(self.pieces.last(), Some(Piece::Html(html)) if html.as_ref() == NOTHING);
        if marked {
            self.pieces.pop();
        }
        let alone = !marked && self.is_one_image();
        let tags = pair_tags(&self.pieces);
        let mut layout = Layout::default();
        for (nth, piece) in self.pieces.into_iter().enumerate() {
            match piece {
                Piece::Text(text) => layout.text(&text),
                Piece::Code(code) => layout.marked(SpanKind::Code, |layout| layout.text(&code)),
                Piece::Open(mark) => layout.open(mark),
                Piece::Close => layout.close(),
                Piece::Html(html) => match tags.get(&nth) {
                    Some(Tag::Open) => layout.starts.push(layout.length),
                    Some(Tag::Close(kind, opening)) => layout.close_tag(kind, *opening),
                    Some(Tag::Break) => layout.text("\n"),
                    None => layout.text(&html),
                },
            }
        }
        layout.end(alone)
    }

    fn is_one_image(&self) -> bool {
        let mut depth = 0_usize;
        let last = self.pieces.len().saturating_sub(1);
        matches!(self.pieces.first(), Some(Piece::Open(Mark::Image(_))))
            && self.pieces.iter().enumerate().all(|(nth, piece)| {
                match piece {
                    Piece::Open(_) => depth += 1,
                    Piece::Close => depth -= 1,
                    Piece::Text(_) | Piece::Code(_) | Piece::Html(_) => {}
                }
                depth > 0 || nth == last
            })
    }
}

/// What a tag means, by its place among the pieces. Tags without a partner are not here, nor those of other names.
enum Tag {
    Open,
    /// Closes the nth tag that was opened.
    Close(SpanKind, usize),
    Break,
}

fn pair_tags(pieces: &[Piece]) -> HashMap<usize, Tag> {
    let mut tags = HashMap::new();
    let mut open: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut pairs = Vec::new();
    for (nth, piece) in pieces.iter().enumerate() {
        let Piece::Html(html) = piece else { continue };
        let Some(tag) = html.strip_prefix('<').and_then(|tag| tag.strip_suffix('>')) else { continue };
        if matches!(tag, "br" | "br/" | "br />" | "br /") {
            tags.insert(nth, Tag::Break);
        } else if let Some(kind) = kind_of(tag.strip_prefix('/').unwrap_or(tag)) {
            match tag.strip_prefix('/') {
                None => open.entry(tag).or_default().push(nth),
                Some(name) => {
                    pairs.extend(open.get_mut(name).and_then(Vec::pop).map(|from| (from, nth, kind)));
                }
            }
        }
    }
    pairs.sort_by_key(|(from, ..)| *from);
    for (opening, (from, to, kind)) in pairs.into_iter().enumerate() {
        tags.insert(from, Tag::Open);
        tags.insert(to, Tag::Close(kind, opening));
    }
    tags
}

fn kind_of(name: &str) -> Option<SpanKind> {
    match name {
        "b" | "strong" => Some(SpanKind::Bold),
        "i" | "em" => Some(SpanKind::Italic),
        "u" | "ins" => Some(SpanKind::Underline),
        "s" | "del" | "strike" => Some(SpanKind::Strike),
        "code" => Some(SpanKind::Code),
        _ => None,
    }
}

/// A text on its way, with the marks that are open.
#[derive(Default)]
struct Layout<'a> {
    line: Line,
    /// In characters.
    length: u32,
    open: Vec<(Mark<'a>, u32, usize)>,
    images: usize,
    /// Where each paired HTML tag was opened.
    starts: Vec<u32>,
}

impl<'a> Layout<'a> {
    fn text(&mut self, text: &str) {
        for c in text.chars() {
            self.line.text.push(if unreadable(c) { '\u{FFFD}' } else { c });
            self.length += 1;
        }
    }

    fn marked(&mut self, kind: SpanKind, write: impl FnOnce(&mut Self)) {
        let start = self.length;
        write(self);
        self.span(start, kind);
    }

    fn span(&mut self, start: u32, kind: SpanKind) {
        if start < self.length {
            self.line.spans.push(Span { start, end: self.length, kind });
        }
    }

    fn close_tag(&mut self, kind: &SpanKind, opening: usize) {
        if let Some(start) = self.starts.get(opening) {
            self.span(*start, kind.clone());
        }
    }

    fn open(&mut self, mark: Mark<'a>) {
        let start = self.length;
        match &mark {
            Mark::Simple(_) => {}
            Mark::Image(_) => self.images += 1,
            Mark::Link(kind, href) => {
                if address(href, *kind).is_none() {
                    self.text("[");
                }
            }
        }
        self.open.push((mark, start, self.line.text.len()));
    }

    fn close(&mut self) {
        let Some((mark, start, from)) = self.open.pop() else { return };
        match mark {
            Mark::Simple(kind) => self.span(start, kind),
            Mark::Link(kind, href) => match address(&href, kind) {
                Some(_) if start == self.length => self.text(&format!("[]({href})")),
                Some(href) => self.span(start, SpanKind::Link { href }),
                None => self.text(&format!("]({href})")),
            },
            Mark::Image(src) => {
                self.images -= 1;
                if self.images == 0 {
                    self.image(start, from, &src);
                }
            }
        }
    }

    /// An image within an image's text is no more than its text, as for whoever hears the page.
    fn image(&mut self, start: u32, from: usize, src: &str) {
        let alt = Alt::try_from(self.line.text[from..].to_owned());
        let (Some(source), Ok(alt)) = (source(src), alt) else {
            return self.text(&format!(" ({src})"));
        };
        if alt.as_str().is_empty() {
            self.text(&OBJECT.to_string());
        }
        self.line.image = Some((source.clone(), alt.clone()));
        self.span(start, SpanKind::Image { src: source, alt });
    }

    fn end(mut self, alone: bool) -> Line {
        if !alone {
            self.line.image = None;
        }
        self.line
    }
}

fn address(href: &str, kind: LinkType) -> Option<Address> {
    let encoded = encoded(href);
    let whole = if matches!(kind, LinkType::Email) { format!("mailto:{encoded}") } else { encoded };
    Address::try_from(whole).ok()
}

fn source(src: &str) -> Option<Source> {
    match src.strip_prefix(BLOB).map(Uuid::parse_str) {
        Some(Ok(blob)) => Some(Source::Blob(blob)),
        Some(Err(_)) | None => Address::try_from(encoded(src)).ok().map(Source::Url),
    }
}

/// With the few characters encoded that no address has, but that are common in Markdown.
fn encoded(href: &str) -> String {
    let mut encoded = String::with_capacity(href.len());
    for c in href.chars() {
        match c {
            ' ' => encoded.push_str("%20"),
            '\\' => encoded.push_str("%5C"),
            '<' => encoded.push_str("%3C"),
            '>' => encoded.push_str("%3E"),
            '"' => encoded.push_str("%22"),
            c => encoded.push(c),
        }
    }
    encoded
}
