//! Markdown, read into blocks and written from blocks, so that nothing is lost on the way there and back.
//!
//! Two laws, held by property tests and by every README that lies about:
//!
//! 1. `parse(&write(None, &blocks)).blocks == blocks` for every list of blocks.
//! 2. So `parse(&write(None, &parse(md).blocks)).blocks == parse(md).blocks` for every text: what was read once stays.
//!
//! Every letter that a reader of the Markdown would see is in some block. How things map:
//!
//! | Markdown                              | blocks                                                                           |
//! | ------------------------------------- | -------------------------------------------------------------------------------- |
//! | paragraph                             | `text`; within a quote `quote`; the first one of an item `list_item` or `task`   |
//! | paragraph of one image                | `image`, if not in an item or quote; other images are spans over their text      |
//! | item in lists and quotes              | as deep as the lists and quotes around it, 8 at most; numbers start again at 1   |
//! | item without text, with blocks        | these blocks only: `- - a` is an item of depth 1                                 |
//! | any other block in an item or quote   | that block, after it; only items, tasks and quotes have depth                    |
//! | soft line break, hard line break      | a space, a line feed                                                             |
//! | `<b> <strong> <i> <em> <u> <ins> <s> <del> <strike> <code>` in pairs, `<br>` | spans, a line feed        |
//! | other HTML in a line                  | literal text                                                                     |
//! | HTML block; footnote; front matter    | `raw` with format `html`; `markdown`; `front-matter`                             |
//! | a fence of `{=format}`                | `raw` with this format, as Pandoc has it                                         |
//! | `<!-- -->` alone; at a text's end     | an empty paragraph; nothing                                                      |
//! | addresses that a block does not take  | literal text with the address; so are images with more than 2,000 letters        |
//! | `blob:` and an id as an image's place | an image that is kept here                                                       |
//! | what is too large for one block       | several blocks; of a table, the later ones with an empty head                    |
//!
//! Not kept, as no reader sees them: titles of links, unused link definitions, the address of an image within another
//! image's text, the first number of a list, and which characters were used to mark things. Control characters are shown
//! as U+FFFD.

mod parse;
mod write;

pub use parse::parse;
pub use write::write;

use shared::domain::blocks::Content;

/// What a Markdown text holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// The text of the first block (but for front matter), if that is a header of level 1: a hint what to call the
    /// note. The header stays among the blocks. One line, trimmed, of any length.
    pub title: Option<String>,
    /// Its blocks in order.
    pub blocks: Vec<Content>,
}

/// The format of raw blocks that hold front matter.
const FRONT_MATTER: &str = "front-matter";
/// Says nothing: alone, it stands for an empty paragraph; at the end of a text, it keeps an image from standing alone.
const NOTHING: &str = "<!-- -->";
/// How the address of an image begins that is kept here.
const BLOB: &str = "blob:";
