//! Blocks: the pieces that a note is made of.

mod address;
mod content;
mod event;
mod fields;
#[cfg(test)]
mod laws;
mod rich_text;
pub mod schema;
mod span;
mod table;
#[cfg(test)]
mod tests;
mod values;

pub use address::{Address, Source, lower_blob_ids};
pub use content::{BlockType, Content};
pub use event::{BlockEvent, WholeBlock};
pub use fields::ContentError;
pub use rich_text::RichText;
pub use span::{OBJECT, Span, SpanKind};
pub use table::{Align, Table};
pub use values::{Alt, BlockText, Depth, Format, HeaderLevel, Language, QuoteDepth};

/// The most bytes that a block's content may have as JSON. Encrypted, an event grows by a third (base64), and it has to
/// stay below 256 KiB.
pub const LARGEST_CONTENT: usize = 180 * 1024;
/// The most characters of a block's text.
pub const LONGEST_TEXT: usize = 50_000;
/// The most spans of one text.
pub const MOST_SPANS: usize = 2_000;
