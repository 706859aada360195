//! From Markdown to blocks.

mod fit;
mod flow;
mod inline;
mod table;

use std::borrow::Cow;

use pulldown_cmark::{Options, Parser};
use shared::domain::blocks::{Content, HeaderLevel};
use shared::domain::text::line_feeds;

use crate::{Document, FRONT_MATTER};
use flow::Flow;

/// Reads Markdown (CommonMark with tables, strikethrough, task lists and footnotes). Every text can be read, in about
/// linear time.
pub fn parse(markdown: &str) -> Document {
    let text = readable(markdown);
    let (front_matter, text) =
        front_matter(&text).map_or((None, text.as_ref()), |(front, rest)| (Some(front), rest));
    let mut flow = Flow::new(text);
    if let Some(front_matter) = front_matter {
        flow.raw(FRONT_MATTER, front_matter);
    }
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_FOOTNOTES;
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        flow.event(event, range);
    }
    let blocks = flow.end();
    Document { title: title(&blocks), blocks }
}

/// Front matter and what follows it: lines between `---` at the very beginning and the next `---` or `...`, if they
/// look like more than a rule and a paragraph.
pub(crate) fn front_matter(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix("---\n")?;
    let mut length = 0;
    for line in inside.split_inclusive('\n') {
        if matches!(line.trim_end(), "---" | "...") {
            let front = inside[..length].strip_suffix('\n')?;
            let first = front.lines().next().unwrap_or_default();
            let rest = &inside[length + line.len()..];
            return (!first.trim().is_empty() && front.contains(':')).then_some((front, rest));
        }
        length += line.len();
    }
    None
}

/// The text without a byte order mark, and with line feeds only.
fn readable(markdown: &str) -> Cow<'_, str> {
    let markdown = markdown.strip_prefix('\u{FEFF}').unwrap_or(markdown);
    line_feeds(markdown.into())
}

/// What blocks do not take: shown as U+FFFD, but not before all is read, as it may keep Markdown from being a link.
fn unreadable(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
}

fn title(blocks: &[Content]) -> Option<String> {
    let is_front =
        |block: &&Content| matches!(block, Content::Raw { format, .. } if format.as_str() == FRONT_MATTER);
    match blocks.iter().find(|block| !is_front(block)) {
        Some(Content::Header { level: HeaderLevel::LEAST, rich }) => {
            let title = rich.text().replace(['\n', '\t'], " ").trim().to_owned();
            (!title.is_empty()).then_some(title)
        }
        Some(_) | None => None,
    }
}
