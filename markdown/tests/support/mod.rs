//! What a reader sees of Markdown, counted without the help of our own code, and what the blocks have of it.

use pulldown_cmark::{Event, Options, Parser};
use shared::domain::blocks::Content;

/// The first letters of the Markdown, as a reader sees it, that are not in the blocks in this order.
pub(crate) fn lost(markdown: &str, blocks: &[Content]) -> Option<String> {
    let text = blocks_text(blocks);
    let mut letters = text.chars().filter(|c| c.is_alphanumeric());
    let markdown = markdown.strip_prefix('\u{FEFF}').unwrap_or(markdown);
    let seen = seen(&markdown.replace("\r\n", "\n").replace('\r', "\n"));
    let missing = |(_, c): &(usize, char)| c.is_alphanumeric() && !letters.any(|letter| letter == *c);
    let (at, _) = seen.char_indices().find(missing)?;
    Some(seen[at..].chars().take(80).collect())
}

/// All text events, code and HTML, with breaks between blocks. Tags that blocks have as spans are not text.
fn seen(markdown: &str) -> String {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_FOOTNOTES;
    let mut seen = String::new();
    for event in Parser::new_ext(markdown, options) {
        match event {
            Event::Text(text) | Event::Code(text) | Event::Html(text) => seen.push_str(&text),
            Event::InlineHtml(html) if is_span(&html) => {
                seen.push_str(if html.starts_with("<br") { "\n" } else { "" });
            }
            Event::InlineHtml(html) => seen.push_str(&html),
            Event::FootnoteReference(label) => seen.push_str(&label),
            Event::SoftBreak | Event::HardBreak => seen.push('\n'),
            Event::Start(tag) if is_block(&tag) => seen.push('\n'),
            Event::End(_)
            | Event::Start(_)
            | Event::Rule
            | Event::TaskListMarker(_)
            | Event::InlineMath(_)
            | Event::DisplayMath(_) => {}
        }
    }
    seen
}

fn is_block(tag: &pulldown_cmark::Tag) -> bool {
    use pulldown_cmark::Tag::{Emphasis, Image, Link, Strikethrough, Strong};
    !matches!(tag, Emphasis | Image { .. } | Link { .. } | Strikethrough | Strong)
}

fn is_span(html: &str) -> bool {
    let name = html.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    matches!(name, "b" | "strong" | "i" | "em" | "u" | "ins" | "s" | "del" | "strike" | "code" | "br")
}

fn blocks_text(blocks: &[Content]) -> String {
    let mut text = String::new();
    for block in blocks {
        match block {
            Content::Image { alt, .. } => text.push_str(alt.as_str()),
            Content::Table(table) => {
                for cell in table.rows().iter().flatten() {
                    text.push_str(cell.text());
                    text.push('\n');
                }
            }
            Content::Rule {} => {}
            Content::Text { .. }
            | Content::Header { .. }
            | Content::Task { .. }
            | Content::ListItem { .. }
            | Content::Quote { .. }
            | Content::Code { .. }
            | Content::Raw { .. } => text.push_str(block.text().unwrap_or_default()),
        }
        text.push('\n');
    }
    text
}
