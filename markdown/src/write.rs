//! From blocks to Markdown.

mod escape;
mod inline;
mod lists;
mod marks;
mod nest;
mod table;

use shared::domain::blocks::{BlockText, Content, Format, HeaderLevel, Language, SpanKind};

use crate::parse::{front_matter, parse};
use crate::{FRONT_MATTER, NOTHING};
use escape::Flow;
use lists::Lists;

/// Writes blocks as Markdown. The title comes first, as a header, unless the blocks begin with a header that says it.
pub fn write(title: Option<&str>, blocks: &[Content]) -> String {
    let mut markdown = String::new();
    let (front, blocks) = match blocks {
        [Content::Raw { format, text }, rest @ ..] if is_front_matter(format, text) => (Some(text), rest),
        blocks => (None, blocks),
    };
    if let Some(front) = front {
        markdown.extend(["---\n", front.as_str(), "\n---\n"]);
    }
    let mut before = None;
    let header = title.and_then(|title| title_header(title, blocks.first()));
    let mut lists = Lists::default();
    for block in header.iter().chain(blocks) {
        markdown.push_str(&between(before, block, markdown.is_empty()));
        if !is_item(block) {
            lists = Lists::default();
        }
        push_block(&mut markdown, &mut lists, block);
        markdown.push('\n');
        before = Some(block);
    }
    markdown
}

fn title_header(title: &str, first: Option<&Content>) -> Option<Content> {
    let title = title.trim();
    if let Some(Content::Header { level: HeaderLevel::LEAST, rich }) = first
        && rich.text().trim() == title
    {
        return None;
    }
    let rich = BlockText::try_from(title.to_owned()).ok()?.into();
    (!title.is_empty()).then_some(Content::Header { level: HeaderLevel::LEAST, rich })
}

/// What keeps a block apart from the one before it.
fn between(before: Option<&Content>, block: &Content, first: bool) -> String {
    match (before, block) {
        (_, _) if first => String::new(),
        (Some(before), block) if is_item(before) && is_item(block) => String::new(),
        (Some(Content::Quote { depth: before, .. }), Content::Quote { depth, .. }) => {
            format!("{}\n", ">".repeat(usize::from(depth.get().min(before.get()))))
        }
        (_, _) => "\n".to_owned(),
    }
}

fn is_item(block: &Content) -> bool {
    matches!(block, Content::ListItem { .. } | Content::Task { .. })
}

fn push_block(out: &mut String, lists: &mut Lists, block: &Content) {
    match block {
        Content::Text { rich } => {
            let line = inline::write(rich, Flow::Lines);
            let like_a_block = line.starts_with("![")
                && rich.spans().iter().any(|span| is_whole_image(&span.kind, rich.text()));
            push_lines(out, "", &or_nothing(line));
            if like_a_block {
                out.push_str(NOTHING);
            }
        }
        Content::Header { level, rich } => {
            let marks = "#".repeat(usize::from(level.get()));
            out.push_str(format!("{marks} {}", inline::write(rich, Flow::OneLine)).trim_end());
        }
        Content::Task { checked, depth, rich } => {
            let margin = lists.item(out, depth.get(), false);
            out.push_str(if *checked { "[x] " } else { "[ ] " });
            push_lines(out, &margin, &inline::write(rich, Flow::Lines));
        }
        Content::ListItem { ordered, depth, rich } => {
            let margin = lists.item(out, depth.get(), *ordered);
            push_lines(out, &margin, &or_nothing(inline::write(rich, Flow::Lines)));
        }
        Content::Quote { depth, rich } => {
            let margin = "> ".repeat(usize::from(depth.get()));
            out.push_str(&margin);
            push_lines(out, &margin, &or_nothing(inline::write(rich, Flow::Lines)));
        }
        Content::Rule {} => out.push_str("***"),
        Content::Code { language, text } => {
            fenced(out, &language.as_ref().map_or_else(String::new, info), text.as_str());
        }
        Content::Image { src, alt } => out.push_str(&inline::image(src, alt)),
        Content::Table(table) => table::write(out, table),
        Content::Raw { format, text } if stands_alone(format, text) => out.push_str(text.as_str()),
        Content::Raw { format, text } => fenced(out, &format!("{{={}}}", format.as_str()), text.as_str()),
    }
}

/// The lines of a paragraph, of which all but the first have a margin.
fn push_lines(out: &mut String, margin: &str, lines: &str) {
    out.push_str(&lines.replace('\n', &format!("\n{margin}")));
}

fn or_nothing(line: String) -> String {
    if line.is_empty() { NOTHING.to_owned() } else { line }
}

/// Whether the image would be read as a block of its own.
fn is_whole_image(kind: &SpanKind, text: &str) -> bool {
    match kind {
        SpanKind::Image { alt, .. } => {
            text == alt.as_str() || (alt.as_str().is_empty() && text.chars().count() == 1)
        }
        SpanKind::Bold
        | SpanKind::Italic
        | SpanKind::Underline
        | SpanKind::Strike
        | SpanKind::Code
        | SpanKind::Link { .. } => false,
    }
}

fn fenced(out: &mut String, info: &str, text: &str) {
    let fence = "`".repeat(escape::longest_run(text, '`').max(2) + 1);
    let line_end = if text.is_empty() { "" } else { "\n" };
    out.extend([&fence, info, "\n", text, line_end, &fence]);
}

/// A language behind a fence, so that it is neither ended nor unescaped nor taken for a format.
fn info(language: &Language) -> String {
    let mut info = String::new();
    for c in language.as_str().chars() {
        match c {
            '`' | '~' | '\\' | '&' | '{' | '\u{FEFF}' => info.push_str(&escape::entity(c)),
            c => info.push(c),
        }
    }
    info
}

/// Whether this is read back as it is, whatever stands before and after it.
fn stands_alone(format: &Format, text: &BlockText) -> bool {
    let may = matches!(format.as_str(), "html" | "markdown") && text.as_str().starts_with(['<', '[']);
    let raw = Content::Raw { format: format.clone(), text: text.clone() };
    may && parse(&format!("{}\n\n***\n", text.as_str())).blocks == [raw, Content::Rule {}]
}

fn is_front_matter(format: &Format, text: &BlockText) -> bool {
    let written = format!("---\n{}\n---\n", text.as_str());
    format.as_str() == FRONT_MATTER && front_matter(&written) == Some((text.as_str(), ""))
}
