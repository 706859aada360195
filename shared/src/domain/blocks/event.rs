//! What happens to a block.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Content;
use crate::domain::access::{Effect, Left, Scopes};
use crate::domain::id::NoteId;
use crate::domain::rank::Rank;

/// A fact about one block. Stored for ever: add variants and optional fields, never rename.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::AsRefStr, strum::VariantNames)]
#[serde(tag = "type")]
pub enum BlockEvent {
    /// Someone added it to a note.
    BlockAdded {
        /// The note it is a part of.
        note_id: NoteId,
        /// Its type and content.
        block: Content,
        /// Its place among the note's blocks.
        rank: Rank,
    },
    /// It has another content, of the type it had.
    BlockEdited {
        /// The note it is a part of.
        note_id: NoteId,
        /// Its type and content now.
        block: Content,
    },
    /// It has become a block of another type.
    BlockTypeChanged {
        /// The note it is a part of.
        note_id: NoteId,
        /// Its type and content now.
        block: Content,
    },
    /// It stands elsewhere, in its note or in another one.
    BlockMoved {
        /// The note it was a part of.
        from: NoteId,
        /// The note it is a part of now.
        to: NoteId,
        /// Its place among that note's blocks.
        rank: Rank,
        /// When the note is another one: all of it, as the key of the note before may be destroyed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        whole: Option<WholeBlock>,
    },
    /// It was taken out of its note.
    BlockRemoved {
        /// The note it was a part of.
        note_id: NoteId,
    },
    /// It is back in its note.
    BlockRestored {
        /// The note it is a part of.
        note_id: NoteId,
        /// Its place among the note's blocks.
        rank: Rank,
    },
}

/// A block, without what the event says that carries it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WholeBlock {
    /// Its type and content.
    pub block: Content,
    /// Who added it: a person's id, or the name of a policy.
    pub added_by: String,
    /// When.
    pub added_at: DateTime<Utc>,
}

impl BlockEvent {
    /// The version of this event's form.
    pub fn version(&self) -> &'static str {
        match self {
            Self::BlockAdded { .. }
            | Self::BlockEdited { .. }
            | Self::BlockTypeChanged { .. }
            | Self::BlockMoved { .. }
            | Self::BlockRemoved { .. }
            | Self::BlockRestored { .. } => "1.0",
        }
    }

    /// Whether it is stored in clear, as it says that something ended and so must outlive its key.
    pub fn is_in_clear(&self) -> bool {
        match self {
            Self::BlockRemoved { .. } => true,
            Self::BlockAdded { .. }
            | Self::BlockEdited { .. }
            | Self::BlockTypeChanged { .. }
            | Self::BlockMoved { .. }
            | Self::BlockRestored { .. } => false,
        }
    }

    /// Whether it tells all there is, so that what came before is not needed.
    pub fn tells_all(&self) -> bool {
        match self {
            Self::BlockAdded { .. } | Self::BlockMoved { whole: Some(_), .. } => true,
            Self::BlockEdited { .. }
            | Self::BlockTypeChanged { .. }
            | Self::BlockMoved { whole: None, .. }
            | Self::BlockRemoved { .. }
            | Self::BlockRestored { .. } => false,
        }
    }

    /// What it does to containers and grants. A block is no container; but who sees the note that it left must hear of it.
    pub fn effects(&self, scopes: &Scopes) -> Vec<Effect> {
        match self {
            Self::BlockMoved { from, whole: Some(_), .. } => {
                let container = (*from).into();
                vec![Effect::Left(Left { container, parent: scopes.parent_of(container) })]
            }
            Self::BlockAdded { .. }
            | Self::BlockEdited { .. }
            | Self::BlockTypeChanged { .. }
            | Self::BlockMoved { whole: None, .. }
            | Self::BlockRemoved { .. }
            | Self::BlockRestored { .. } => Vec::new(),
        }
    }
}

crate::aggregate_event!(BlockEvent, aggregate: "block", tells_all: tells_all);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::blocks::{BlockText, Depth};
    use crate::domain::tests::{ID, keep_effects, keep_stored_form, text};

    pub(super) fn samples() -> Vec<BlockEvent> {
        let note_id = NoteId(ID);
        let block =
            Content::Task { checked: true, depth: Depth::LEAST, rich: text::<BlockText>("Call").into() };
        let added_at = "2026-01-31T12:00:00Z".parse().expect("a time");
        let whole = WholeBlock { block: block.clone(), added_by: "policy:sync".to_owned(), added_at };
        vec![
            BlockEvent::BlockAdded { note_id, block: block.clone(), rank: text("a0") },
            BlockEvent::BlockEdited { note_id, block: block.clone() },
            BlockEvent::BlockTypeChanged { note_id, block: block.clone() },
            BlockEvent::BlockMoved { from: note_id, to: note_id, rank: text("a0V"), whole: None },
            BlockEvent::BlockMoved { from: note_id, to: note_id, rank: text("a0V"), whole: Some(whole) },
            BlockEvent::BlockRemoved { note_id },
            BlockEvent::BlockRestored { note_id, rank: text("Zz") },
        ]
    }

    #[test]
    pub(super) fn every_event_keeps_its_stored_form() {
        keep_stored_form(&samples(), |stored| {
            insta::assert_snapshot!(stored, @r#"
            BlockAdded 1.0 {
              "block": {
                "content": {
                  "checked": true,
                  "depth": 0,
                  "spans": [],
                  "text": "Call"
                },
                "type": "task"
              },
              "note_id": "0193a5f0-0000-7000-8000-000000000001",
              "rank": "a0"
            }
            BlockEdited 1.0 {
              "block": {
                "content": {
                  "checked": true,
                  "depth": 0,
                  "spans": [],
                  "text": "Call"
                },
                "type": "task"
              },
              "note_id": "0193a5f0-0000-7000-8000-000000000001"
            }
            BlockTypeChanged 1.0 {
              "block": {
                "content": {
                  "checked": true,
                  "depth": 0,
                  "spans": [],
                  "text": "Call"
                },
                "type": "task"
              },
              "note_id": "0193a5f0-0000-7000-8000-000000000001"
            }
            BlockMoved 1.0 {"from":"0193a5f0-0000-7000-8000-000000000001","rank":"a0V","to":"0193a5f0-0000-7000-8000-000000000001"}
            BlockMoved 1.0 {
              "from": "0193a5f0-0000-7000-8000-000000000001",
              "rank": "a0V",
              "to": "0193a5f0-0000-7000-8000-000000000001",
              "whole": {
                "added_at": "2026-01-31T12:00:00Z",
                "added_by": "policy:sync",
                "block": {
                  "content": {
                    "checked": true,
                    "depth": 0,
                    "spans": [],
                    "text": "Call"
                  },
                  "type": "task"
                }
              }
            }
            BlockRemoved 1.0 {"note_id":"0193a5f0-0000-7000-8000-000000000001"}
            BlockRestored 1.0 {"note_id":"0193a5f0-0000-7000-8000-000000000001","rank":"Zz"}
            "#);
        });
    }

    #[test]
    pub(super) fn every_event_keeps_its_effects() {
        // The note it is in now, the note it was in, and what each of them is in.
        let scopes = [
            "note:0193a5f0-0000-7000-8000-000000000002",
            "notebook:0193a5f0-0000-7000-8000-000000000003",
            "note:0193a5f0-0000-7000-8000-000000000001",
            "notebook:0193a5f0-0000-7000-8000-000000000004",
        ];
        keep_effects(&samples(), &scopes, |stored| {
            insta::assert_snapshot!(stored, @r#"
            BlockAdded null
            BlockEdited null
            BlockTypeChanged null
            BlockMoved null
            BlockMoved [{"left":["note:0193a5f0-0000-7000-8000-000000000001","notebook:0193a5f0-0000-7000-8000-000000000004"]}]
            BlockRemoved null
            BlockRestored null
            "#);
        });
    }
}
