//! Notes: titled pages in a notebook.

use serde::{Deserialize, Serialize};

use crate::domain::id::NotebookId;
use crate::domain::text::Title;

/// A fact about one note. Stored for ever: add variants and optional fields, never rename.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::AsRefStr, strum::VariantNames)]
#[serde(tag = "type")]
pub enum NoteEvent {
    /// Someone started a note in a notebook.
    NoteCreated {
        /// Where it stands.
        notebook_id: NotebookId,
        /// What it is called.
        title: Title,
    },
    /// It has a new title.
    NoteRetitled {
        /// What it is called now.
        title: Title,
    },
    /// It went from one notebook to another; both are named, so that no reader has to look the old one up.
    NoteMoved {
        /// Where it stood.
        from: NotebookId,
        /// Where it stands now.
        to: NotebookId,
    },
}

impl NoteEvent {
    /// The version of this event's form.
    pub fn version(&self) -> &'static str {
        match self {
            Self::NoteCreated { .. } | Self::NoteRetitled { .. } | Self::NoteMoved { .. } => "1.0",
        }
    }

    /// Whether it says that something ended, and so must outlive its key.
    pub fn says_an_end(&self) -> bool {
        match self {
            Self::NoteCreated { .. } | Self::NoteRetitled { .. } | Self::NoteMoved { .. } => false,
        }
    }
}

crate::aggregate_event!(NoteEvent, aggregate: "note");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tests::{ID, keep_stored_form, text};

    pub(super) fn samples() -> Vec<NoteEvent> {
        vec![
            NoteEvent::NoteCreated { notebook_id: NotebookId(ID), title: text("Dreams") },
            NoteEvent::NoteRetitled { title: text("Plans") },
            NoteEvent::NoteMoved { from: NotebookId(ID), to: NotebookId(ID) },
        ]
    }

    #[test]
    pub(super) fn every_event_keeps_its_stored_form() {
        keep_stored_form(&samples(), |stored| {
            insta::assert_snapshot!(stored, @r#"
            NoteCreated 1.0 {"notebook_id":"0193a5f0-0000-7000-8000-000000000001","title":"Dreams"}
            NoteRetitled 1.0 {"title":"Plans"}
            NoteMoved 1.0 {"from":"0193a5f0-0000-7000-8000-000000000001","to":"0193a5f0-0000-7000-8000-000000000001"}
            "#);
        });
    }
}
