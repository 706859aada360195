//! What a block holds: one form for each type, none of which can hold something wrong.

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use super::address::Source;
use super::fields::{ContentError, Fields};
use super::rich_text::RichText;
use super::table::Table;
use super::values::{Alt, BlockText, Depth, Format, HeaderLevel, Language, QuoteDepth};

/// The type of a block and what it holds. As JSON at most 180 KiB, so that the event that carries it stays below
/// 256 KiB when it is encrypted. On the wire `"type": "header", "content": {"level": 1, "text": "…", "spans": []}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "type", content = "content", rename_all = "snake_case")]
pub enum Content {
    /// A paragraph.
    Text {
        /// Its text.
        #[serde(flatten)]
        rich: RichText,
    },
    /// The heading of what follows.
    Header {
        /// Its rank.
        level: HeaderLevel,
        /// Its text.
        #[serde(flatten)]
        rich: RichText,
    },
    /// Something to do.
    Task {
        /// Whether it is done.
        checked: bool,
        /// How far it is indented.
        depth: Depth,
        /// Its text.
        #[serde(flatten)]
        rich: RichText,
    },
    /// An item of a list.
    ListItem {
        /// Whether it is numbered.
        ordered: bool,
        /// How far it is indented.
        depth: Depth,
        /// Its text.
        #[serde(flatten)]
        rich: RichText,
    },
    /// A paragraph of somebody else.
    Quote {
        /// How many quotes it is in.
        depth: QuoteDepth,
        /// Its text.
        #[serde(flatten)]
        rich: RichText,
    },
    /// A line between two parts.
    Rule {},
    /// Lines of a program.
    Code {
        /// In which language, if that is known.
        language: Option<Language>,
        /// The lines, without a line feed at the end.
        text: BlockText,
    },
    /// An image on its own.
    Image {
        /// Where it comes from.
        src: Source,
        /// What it shows.
        alt: Alt,
    },
    /// Rows and columns.
    Table(Table),
    /// Something in another format: kept, never rendered.
    Raw {
        /// Which one.
        format: Format,
        /// As it was found.
        text: BlockText,
    },
}

/// The type of a block.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::AsRefStr,
    strum::VariantArray,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum BlockType {
    /// A paragraph.
    Text,
    /// The heading of what follows.
    Header,
    /// Something to do.
    Task,
    /// An item of a list.
    ListItem,
    /// A paragraph of somebody else.
    Quote,
    /// A line between two parts.
    Rule,
    /// Lines of a program.
    Code,
    /// An image on its own.
    Image,
    /// Rows and columns.
    Table,
    /// Something in another format.
    Raw,
}

impl Content {
    /// Reads the content of a block of this type. The refusal's pointer is relative to the content. `spans` may be
    /// absent; every other field is needed, and no further one is taken.
    pub fn parse(block_type: BlockType, content: Value) -> Result<Self, ContentError> {
        let mut fields = Fields::of(content, "")?;
        let content = match block_type {
            BlockType::Text => Self::Text { rich: RichText::read(&mut fields)? },
            BlockType::Header => {
                Self::Header { level: fields.number("level")?, rich: RichText::read(&mut fields)? }
            }
            BlockType::Task => Self::Task {
                checked: fields.boolean("checked")?,
                depth: fields.number("depth")?,
                rich: RichText::read(&mut fields)?,
            },
            BlockType::ListItem => Self::ListItem {
                ordered: fields.boolean("ordered")?,
                depth: fields.number("depth")?,
                rich: RichText::read(&mut fields)?,
            },
            BlockType::Quote => {
                Self::Quote { depth: fields.number("depth")?, rich: RichText::read(&mut fields)? }
            }
            BlockType::Rule => Self::Rule {},
            BlockType::Code => {
                Self::Code { language: fields.nullable_text("language")?, text: fields.text("text")? }
            }
            BlockType::Image => {
                Self::Image { src: Source::read(fields.need("src")?, "/src")?, alt: fields.text("alt")? }
            }
            BlockType::Table => Self::Table(Table::read(&mut fields)?),
            BlockType::Raw => Self::Raw { format: fields.text("format")?, text: fields.text("text")? },
        };
        fields.end().map(|()| content)
    }

    /// Which type of block holds this.
    pub fn block_type(&self) -> BlockType {
        match self {
            Self::Text { .. } => BlockType::Text,
            Self::Header { .. } => BlockType::Header,
            Self::Task { .. } => BlockType::Task,
            Self::ListItem { .. } => BlockType::ListItem,
            Self::Quote { .. } => BlockType::Quote,
            Self::Rule {} => BlockType::Rule,
            Self::Code { .. } => BlockType::Code,
            Self::Image { .. } => BlockType::Image,
            Self::Table(_) => BlockType::Table,
            Self::Raw { .. } => BlockType::Raw,
        }
    }

    /// The content without its type: what [`Content::parse`] reads.
    pub fn data(&self) -> Value {
        let whole = serde_json::to_value(self).expect("a content is plain data");
        whole.get("content").cloned().unwrap_or_default()
    }

    /// Its text, where it has one: a rule, an image and a table have none.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Code { text, .. } | Self::Raw { text, .. } => Some(text.as_str()),
            Self::Text { .. }
            | Self::Header { .. }
            | Self::Task { .. }
            | Self::ListItem { .. }
            | Self::Quote { .. }
            | Self::Rule {}
            | Self::Image { .. }
            | Self::Table(_) => self.rich().map(RichText::text),
        }
    }

    /// Whether it is done, where it is something to do.
    pub fn checked(&self) -> Option<bool> {
        match self {
            Self::Task { checked, .. } => Some(*checked),
            Self::Text { .. }
            | Self::Header { .. }
            | Self::ListItem { .. }
            | Self::Quote { .. }
            | Self::Rule {}
            | Self::Code { .. }
            | Self::Image { .. }
            | Self::Table(_)
            | Self::Raw { .. } => None,
        }
    }

    /// Its text with spans, where it has such.
    pub fn rich(&self) -> Option<&RichText> {
        match self {
            Self::Text { rich }
            | Self::Header { rich, .. }
            | Self::Task { rich, .. }
            | Self::ListItem { rich, .. }
            | Self::Quote { rich, .. } => Some(rich),
            Self::Rule {} | Self::Code { .. } | Self::Image { .. } | Self::Table(_) | Self::Raw { .. } => {
                None
            }
        }
    }

    /// The same with another text; spans are kept as [`RichText::with_text`] says. What has no text stays as it is.
    #[must_use]
    pub fn with_text(self, text: BlockText) -> Self {
        match self {
            Self::Text { rich } => Self::Text { rich: rich.with_text(text) },
            Self::Header { level, rich } => Self::Header { level, rich: rich.with_text(text) },
            Self::Task { checked, depth, rich } => Self::Task { checked, depth, rich: rich.with_text(text) },
            Self::ListItem { ordered, depth, rich } => {
                Self::ListItem { ordered, depth, rich: rich.with_text(text) }
            }
            Self::Quote { depth, rich } => Self::Quote { depth, rich: rich.with_text(text) },
            Self::Code { language, .. } => Self::Code { language, text },
            Self::Raw { format, .. } => Self::Raw { format, text },
            Self::Rule {} | Self::Image { .. } | Self::Table(_) => self,
        }
    }

    /// A paragraph with the same text and spans. What has no text stays as it is.
    #[must_use]
    pub fn as_text_block(&self) -> Self {
        self.texts().map_or_else(|| self.clone(), |rich| Self::Text { rich })
    }

    /// A task with the same text and spans, as far indented as this is. What has no text stays as it is.
    #[must_use]
    pub fn as_task_block(&self, checked: bool) -> Self {
        let depth = match self {
            Self::Task { depth, .. } | Self::ListItem { depth, .. } => *depth,
            Self::Text { .. }
            | Self::Header { .. }
            | Self::Quote { .. }
            | Self::Rule {}
            | Self::Code { .. }
            | Self::Image { .. }
            | Self::Table(_)
            | Self::Raw { .. } => Depth::LEAST,
        };
        self.texts().map_or_else(|| self.clone(), |rich| Self::Task { checked, depth, rich })
    }

    fn texts(&self) -> Option<RichText> {
        match self {
            Self::Code { text, .. } | Self::Raw { text, .. } => Some(text.clone().into()),
            Self::Text { .. }
            | Self::Header { .. }
            | Self::Task { .. }
            | Self::ListItem { .. }
            | Self::Quote { .. }
            | Self::Rule {}
            | Self::Image { .. }
            | Self::Table(_) => self.rich().cloned(),
        }
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Whole {
            r#type: BlockType,
            content: Value,
        }
        let Whole { r#type, content } = Whole::deserialize(deserializer)?;
        Self::parse(r#type, content).map_err(|error| de::Error::custom(error.under("/content")))
    }
}
