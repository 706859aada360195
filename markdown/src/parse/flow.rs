//! From the events of the parser to blocks: which paragraph is an item, a quote or a text, and how deep it is.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Tag, TagEnd};
use shared::domain::blocks::{Content, Depth, Format, HeaderLevel, Language, QuoteDepth, RichText, SpanKind};

use super::fit::{fit, fit_plain};
use super::inline::{Inline, Line, Mark};
use super::table::Rows;
use super::unreadable;
use crate::NOTHING;

/// The blocks so far, and what is open.
pub(super) struct Flow<'a> {
    source: &'a str,
    blocks: Vec<Content>,
    containers: Vec<Container>,
    quotes: usize,
    /// Of each list around: whether it is numbered.
    lists: Vec<bool>,
    line: Option<Inline<'a>>,
    table: Option<Rows>,
    /// The lines of the code or HTML block that is open.
    verbatim: Option<String>,
    /// What a code block is.
    fence: Fence,
    /// How many footnotes are open: their source has been taken as it is.
    footnotes: usize,
}

enum Container {
    Quote,
    Item(Item),
}

/// An item that may still get its text: the first paragraph, if no other block came before.
struct Item {
    ordered: bool,
    checked: Option<bool>,
    blocks_before: usize,
}

#[derive(Default)]
enum Fence {
    #[default]
    Plain,
    Code(Language),
    Raw(Format),
}

impl<'a> Flow<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self {
            source,
            blocks: Vec::new(),
            containers: Vec::new(),
            quotes: 0,
            lists: Vec::new(),
            line: None,
            table: None,
            verbatim: None,
            fence: Fence::Plain,
            footnotes: 0,
        }
    }

    pub(super) fn end(mut self) -> Vec<Content> {
        self.end_paragraph();
        self.blocks
    }

    pub(super) fn event(&mut self, event: Event<'a>, range: Range<usize>) {
        if let Event::Start(Tag::FootnoteDefinition(_)) = event {
            self.end_paragraph();
            if self.footnotes == 0 {
                self.raw("markdown", self.source[range].trim());
            }
            self.footnotes += 1;
        } else if let Event::End(TagEnd::FootnoteDefinition) = event {
            self.footnotes -= 1;
        } else if self.footnotes == 0 {
            self.outside_footnotes(event, range);
        }
    }

    /// Keeps something in another format.
    pub(super) fn raw(&mut self, format: &str, text: &str) {
        if let Ok(format) = Format::try_from(format.to_owned()) {
            let raw = |text| Content::Raw { format: format.clone(), text };
            self.blocks.extend(fit_plain(text).into_iter().map(raw));
        }
    }

    fn outside_footnotes(&mut self, event: Event<'a>, range: Range<usize>) {
        match event {
            Event::Start(tag) => self.start(tag, range),
            Event::End(tag) => self.close(tag),
            Event::Text(text) | Event::Html(text) if self.verbatim.is_some() => {
                self.verbatim.get_or_insert_default().push_str(&text);
            }
            Event::Text(text) | Event::Html(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.line().text(text);
            }
            Event::Code(code) => self.line().code(code),
            Event::InlineHtml(html) => self.line().html(html),
            Event::FootnoteReference(label) => self.line().text(format!("[^{label}]").into()),
            Event::SoftBreak => self.line().text(" ".into()),
            Event::HardBreak => self.line().text("\n".into()),
            Event::TaskListMarker(checked) => {
                self.line();
                if let Some(Container::Item(item)) = self.containers.last_mut() {
                    item.checked = Some(checked);
                }
            }
            Event::Rule => {
                self.end_paragraph();
                self.blocks.push(Content::Rule {});
            }
        }
    }

    fn start(&mut self, tag: Tag<'a>, range: Range<usize>) {
        match tag {
            Tag::Emphasis => return self.line().open(Mark::Simple(SpanKind::Italic)),
            Tag::Strong => return self.line().open(Mark::Simple(SpanKind::Bold)),
            Tag::Strikethrough => return self.line().open(Mark::Simple(SpanKind::Strike)),
            Tag::Link { link_type, dest_url, .. } => {
                return self.line().open(Mark::Link(link_type, dest_url));
            }
            Tag::Image { dest_url, .. } => return self.line().open(Mark::Image(dest_url)),
            Tag::Paragraph
            | Tag::Heading { .. }
            | Tag::BlockQuote(_)
            | Tag::CodeBlock(_)
            | Tag::HtmlBlock
            | Tag::List(_)
            | Tag::Item
            | Tag::FootnoteDefinition(_)
            | Tag::DefinitionList
            | Tag::DefinitionListTitle
            | Tag::DefinitionListDefinition
            | Tag::Table(_)
            | Tag::TableHead
            | Tag::TableRow
            | Tag::TableCell
            | Tag::Superscript
            | Tag::Subscript
            | Tag::MetadataBlock(_) => self.end_paragraph(),
        }
        if let Tag::CodeBlock(kind) = &tag {
            self.verbatim = Some(String::new());
            self.fence = fence(kind, &self.source[range]);
        } else if let Tag::HtmlBlock = tag {
            self.verbatim = Some(String::new());
        } else if let Tag::BlockQuote(_) = tag {
            self.quotes += 1;
            self.containers.push(Container::Quote);
        } else if let Tag::List(first) = tag {
            self.lists.push(first.is_some());
        } else if let Tag::Item = tag {
            let ordered = self.lists.last().copied().unwrap_or_default();
            let item = Item { ordered, checked: None, blocks_before: self.blocks.len() };
            self.containers.push(Container::Item(item));
        } else if let Tag::Table(align) = &tag {
            self.table = Some(Rows::new(align));
        } else if let (Tag::TableHead | Tag::TableRow, Some(table)) = (&tag, &mut self.table) {
            table.row();
        } else if let Tag::Paragraph | Tag::Heading { .. } | Tag::TableCell = tag {
            self.line();
        }
    }

    fn close(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough | TagEnd::Link | TagEnd::Image => {
                self.line().close();
            }
            TagEnd::Heading(level) => self.heading(level),
            TagEnd::CodeBlock => self.code(),
            TagEnd::HtmlBlock => self.html(),
            TagEnd::Item => self.end_item(),
            TagEnd::List(_) => {
                self.end_paragraph();
                self.lists.pop();
            }
            TagEnd::BlockQuote(_) => {
                self.end_paragraph();
                self.quotes -= 1;
                self.containers.pop();
            }
            TagEnd::TableCell => {
                let line = self.line.take().unwrap_or_default().lay_out();
                if let Some(table) = &mut self.table {
                    table.cell(line);
                }
            }
            TagEnd::Table => self.blocks.extend(self.table.take().map(Rows::end).unwrap_or_default()),
            TagEnd::Paragraph
            | TagEnd::FootnoteDefinition
            | TagEnd::DefinitionList
            | TagEnd::DefinitionListTitle
            | TagEnd::DefinitionListDefinition
            | TagEnd::TableHead
            | TagEnd::TableRow
            | TagEnd::Superscript
            | TagEnd::Subscript
            | TagEnd::MetadataBlock(_) => self.end_paragraph(),
        }
    }

    /// The line that is open. In a tight list, lines begin without saying so.
    fn line(&mut self) -> &mut Inline<'a> {
        self.line.get_or_insert_default()
    }

    fn end_paragraph(&mut self) {
        let Some(line) = self.line.take() else { return };
        let line = line.lay_out();
        if !line.text.is_empty() || self.waiting_item().is_some() {
            self.paragraph(line);
        }
    }

    /// The item that this would be the text of.
    fn waiting_item(&self) -> Option<&Item> {
        match self.containers.last() {
            Some(Container::Item(item)) if item.blocks_before == self.blocks.len() => Some(item),
            Some(Container::Item(_) | Container::Quote) | None => None,
        }
    }

    fn paragraph(&mut self, mut line: Line) {
        let depth = self.containers.len();
        let image = line.image.take();
        let block: Box<dyn Fn(RichText) -> Content> = if let Some(item) = self.waiting_item() {
            let (depth, ordered) = (Depth::clamped(depth - 1), item.ordered);
            match item.checked {
                Some(checked) => Box::new(move |rich| Content::Task { checked, depth, rich }),
                None => Box::new(move |rich| Content::ListItem { ordered, depth, rich }),
            }
        } else if self.quotes > 0 {
            let depth = QuoteDepth::clamped(depth);
            Box::new(move |rich| Content::Quote { depth, rich })
        } else if let Some((src, alt)) = image {
            return self.blocks.push(Content::Image { src, alt });
        } else {
            Box::new(|rich| Content::Text { rich })
        };
        self.blocks.extend(fit(line).into_iter().map(block));
    }

    fn end_item(&mut self) {
        self.end_paragraph();
        if self.waiting_item().is_some() {
            self.paragraph(Line::default());
        }
        self.containers.pop();
    }

    fn heading(&mut self, level: HeadingLevel) {
        let line = self.line.take().unwrap_or_default().lay_out();
        let level = HeaderLevel::clamped(level as usize);
        self.blocks.extend(fit(line).into_iter().map(|rich| Content::Header { level, rich }));
    }

    fn html(&mut self) {
        let html = self.verbatim.take().unwrap_or_default();
        match html.trim() {
            NOTHING => self.paragraph(Line::default()),
            html => self.raw("html", html),
        }
    }

    fn code(&mut self) {
        let code = self.verbatim.take().unwrap_or_default();
        let code = code.strip_suffix('\n').unwrap_or(&code);
        let language = match std::mem::take(&mut self.fence) {
            Fence::Raw(format) => return self.raw(format.as_str(), code),
            Fence::Code(language) => Some(language),
            Fence::Plain => None,
        };
        let block = |text| Content::Code { language: language.clone(), text };
        self.blocks.extend(fit_plain(code).into_iter().map(block));
    }
}

/// What stands behind the fence: `{=format}`, when written just so, or a language, as a whole or its first word.
fn fence(kind: &CodeBlockKind, source: &str) -> Fence {
    let CodeBlockKind::Fenced(info) = kind else { return Fence::Plain };
    let info = info.replace(unreadable, "\u{FFFD}");
    let written = source.trim_start().trim_start_matches(['`', '~']).trim_start();
    let format = info.trim().strip_prefix("{=").and_then(|format| format.strip_suffix('}'));
    if let Some(Ok(format)) =
        format.filter(|_| written.starts_with("{=")).map(|name| Format::try_from(name.to_owned()))
    {
        return Fence::Raw(format);
    }
    let first_word = info.split_whitespace().next().unwrap_or_default();
    [info.trim(), first_word]
        .into_iter()
        .find_map(|language| Language::try_from(language.to_owned()).ok())
        .map_or(Fence::Plain, Fence::Code)
}
