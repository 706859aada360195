//! The rules of a block, on one page.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use shared::domain::blocks::{BlockEvent, BlockText, BlockType, Content, WholeBlock};
use shared::id::NoteId;
use shared::problem::Problem;
use shared::rank::Rank;

use super::commands::{Anchor, Spot, admit};
use super::{BlockCommand, BlockError};
use crate::aggregate::Decide;
use crate::app::{Admitted, Work};

/// A block, as far as its rules need it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Block {
    /// Not added.
    #[default]
    Missing,
    /// A part of its note.
    Live(Part),
    /// Taken out of its note; it can be restored.
    Removed(Part),
}

/// A block in a note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The note.
    pub note_id: NoteId,
    /// Its type and content.
    pub block: Content,
    /// Its place among the note's blocks.
    pub rank: Rank,
}

use BlockCommand as C;
use BlockEvent as E;

impl Block {
    /// The block, whether it is removed or not.
    pub fn part(&self) -> Option<&Part> {
        match self {
            Self::Missing => None,
            Self::Live(part) | Self::Removed(part) => Some(part),
        }
    }

    /// The block, if it is a part of its note now.
    pub fn live(&self) -> Option<&Part> {
        match self {
            Self::Missing | Self::Removed(_) => None,
            Self::Live(part) => Some(part),
        }
    }

    fn evolve(&mut self, event: E) {
        match (event, self) {
            (E::BlockAdded { note_id, block, rank }, this) => {
                *this = Self::Live(Part { note_id, block, rank })
            }
            (E::BlockMoved { to, rank, whole: Some(WholeBlock { block, .. }), .. }, this) => {
                *this = Self::Live(Part { note_id: to, block, rank });
            }
            (
                E::BlockEdited { block: new, .. } | E::BlockTypeChanged { block: new, .. },
                Self::Live(Part { block, .. }),
            ) => *block = new,
            (E::BlockMoved { rank: new, whole: None, .. }, Self::Live(Part { rank, .. })) => *rank = new,
            (E::BlockRemoved { .. }, this @ Self::Live(_)) => {
                if let Self::Live(part) = std::mem::take(this) {
                    *this = Self::Removed(part);
                }
            }
            (E::BlockRestored { rank, .. }, this @ Self::Removed(_)) => {
                if let Self::Removed(part) = std::mem::take(this) {
                    *this = Self::Live(Part { rank, ..part });
                }
            }
            // What an erased event left unmade stays so.
            (
                E::BlockEdited { .. }
                | E::BlockTypeChanged { .. }
                | E::BlockMoved { .. }
                | E::BlockRemoved { .. },
                Self::Missing | Self::Removed(_),
            )
            | (E::BlockRestored { .. }, Self::Missing | Self::Live(_)) => (),
        }
    }
}

impl Decide for Block {
    const SHAPE: i32 = 1;

    fn decide(&self, command: C) -> Result<Vec<E>, BlockError> {
        match (self, command) {
            (Self::Missing, C::Add { note_id, block, spot }) => {
                Ok(vec![E::BlockAdded { note_id, block, rank: found(spot)? }])
            }
            (Self::Live(_) | Self::Removed(_), C::Add { .. }) => Err(BlockError::AlreadyExists),
            (
                Self::Missing,
                C::Edit { .. } | C::Become { .. } | C::Move { .. } | C::Remove | C::Restore { .. },
            ) => Err(BlockError::Missing),
            (Self::Removed(_), C::Edit { .. } | C::Become { .. } | C::Move { .. }) => {
                Err(BlockError::Removed)
            }

            (Self::Live(part), C::Edit { block_type, content }) => {
                let block = edited(&part.block, block_type, content)?;
                Ok(part.becomes(block))
            }
            (Self::Live(part), C::Become { block }) => Ok(part.becomes(block)),
            (Self::Live(part), C::Move { note_id, spot, origin }) => {
                let rank = found(spot)?;
                let (from, to) = (part.note_id, note_id);
                if from == to && rank == part.rank {
                    return Ok(vec![]);
                }
                let whole = (from != to).then_some(()).and(origin).map(|origin| WholeBlock {
                    block: part.block.clone(),
                    added_by: origin.by,
                    added_at: origin.at,
                });
                Ok(vec![E::BlockMoved { from, to, rank, whole }])
            }

            (Self::Live(part), C::Remove) => Ok(vec![E::BlockRemoved { note_id: part.note_id }]),
            (Self::Removed(_), C::Remove) | (Self::Live(_), C::Restore { .. }) => Ok(vec![]),
            (Self::Removed(part), C::Restore { spot }) => {
                Ok(vec![E::BlockRestored { note_id: part.note_id, rank: found(spot)? }])
            }
        }
    }

    async fn admit(&self, work: &mut Work<'_>, id: &str, commands: &mut [C]) -> Result<Admitted, Problem> {
        admit(self, work, id, commands).await
    }
}

impl Part {
    /// The event that gives it another content; none if it has that.
    fn becomes(&self, block: Content) -> Vec<E> {
        let note_id = self.note_id;
        if block == self.block {
            vec![]
        } else if block.block_type() == self.block.block_type() {
            vec![E::BlockEdited { note_id, block }]
        } else {
            vec![E::BlockTypeChanged { note_id, block }]
        }
    }
}

/// What a content becomes when some of its fields are given anew. A block of another type takes over what both have.
fn edited(
    old: &Content,
    block_type: Option<BlockType>,
    new: Option<Map<String, Value>>,
) -> Result<Content, BlockError> {
    let new = new.unwrap_or_default();
    // Spans that are not given anew stay where the text does.
    let text = new.get("text").filter(|_| !new.contains_key("spans")).and_then(Value::as_str);
    let old = match text.map(|text| BlockText::try_from(text.to_owned())) {
        Some(Ok(text)) => old.clone().with_text(text),
        Some(Err(_)) | None => old.clone(),
    };
    let mut fields = match old.data() {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    };
    let block_type = block_type.unwrap_or_else(|| old.block_type());
    if block_type != old.block_type() {
        fields = taken_over(&fields, block_type);
    }
    fields.extend(new);
    Content::parse(block_type, Value::Object(fields)).map_err(BlockError::Content)
}

/// The fields with which a block of another type begins.
fn taken_over(old: &Map<String, Value>, block_type: BlockType) -> Map<String, Value> {
    let (names, usual): (&[&str], _) = match block_type {
        BlockType::Text | BlockType::Header => (&["text", "spans"], json!({})),
        BlockType::Task => (&["text", "spans", "depth"], json!({"checked": false, "depth": 0})),
        BlockType::ListItem => (&["text", "spans", "depth"], json!({"ordered": false, "depth": 0})),
        // A quote's depth counts quotes.
        BlockType::Quote => (&["text", "spans"], json!({"depth": 1})),
        BlockType::Code => (&["text"], json!({"language": null})),
        BlockType::Raw => (&["text"], json!({})),
        BlockType::Rule | BlockType::Image | BlockType::Table => (&[], json!({})),
    };
    let usual = usual.as_object().cloned().unwrap_or_default();
    let kept = names.iter().filter_map(|name| Some(((*name).to_owned(), old.get(*name)?.clone())));
    usual.into_iter().chain(kept).collect()
}

/// The rank that the door has found.
fn found(spot: Spot) -> Result<Rank, BlockError> {
    match spot {
        Spot::Found(rank) => Ok(rank),
        Spot::Wanted(Anchor::End | Anchor::Before(_) | Anchor::After(_) | Anchor::Former) => {
            Err(BlockError::Unplaced)
        }
    }
}

crate::aggregate!(Block, BlockEvent, BlockCommand, BlockError);
