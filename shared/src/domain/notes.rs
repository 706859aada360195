//! Notes: titled pages in a notebook.

use serde::{Deserialize, Serialize};

use crate::domain::access::{Container, Effect, Kind, Left, Scopes};
use crate::domain::id::{NoteId, NotebookId};
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

    /// Whether it is stored in clear, as it says that something ended and so must outlive its key.
    pub fn is_in_clear(&self) -> bool {
        match self {
            Self::NoteCreated { .. } | Self::NoteRetitled { .. } | Self::NoteMoved { .. } => false,
        }
    }

    /// What it does to containers and grants. A note that moves takes no members of its own along: whoever may write in
    /// the one notebook must not let strangers into the other.
    pub fn effects(&self, scopes: &Scopes) -> Vec<Effect> {
        match self {
            Self::NoteCreated { notebook_id, .. } => vec![Effect::Inside((*notebook_id).into())],
            Self::NoteMoved { from, to } => {
                let left = Left { container: (*from).into(), parent: None };
                let cleared = scopes.container().map(Effect::Cleared);
                [Effect::Left(left), Effect::Inside((*to).into())].into_iter().chain(cleared).collect()
            }
            Self::NoteRetitled { .. } => Vec::new(),
        }
    }
}

impl From<NoteId> for Container {
    fn from(note: NoteId) -> Self {
        Self { kind: Kind::Note, id: note.0 }
    }
}

crate::aggregate_event!(NoteEvent, aggregate: "note");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tests::{ID, keep_effects, keep_stored_form, text};

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

    #[test]
    pub(super) fn every_event_keeps_its_effects() {
        keep_effects(&samples(), &["note:0193a5f0-0000-7000-8000-000000000002"], |stored| {
            insta::assert_snapshot!(stored, @r#"
            NoteCreated [{"inside":"notebook:0193a5f0-0000-7000-8000-000000000001"}]
            NoteRetitled null
            NoteMoved [
              {
                "left": [
                  "notebook:0193a5f0-0000-7000-8000-000000000001"
                ]
              },
              {
                "inside": "notebook:0193a5f0-0000-7000-8000-000000000001"
              },
              {
                "cleared": "note:0193a5f0-0000-7000-8000-000000000002"
              }
            ]
            "#);
        });
    }

    #[test]
    fn a_note_that_moves_left_where_it_was_and_is_where_it_went() {
        let [from, to] = [7, 8].map(|id| NotebookId(uuid::Uuid::from_u128(id)));
        let effects = NoteEvent::NoteMoved { from, to }.effects(&Scopes::default());
        let left = Left { container: from.into(), parent: None };
        assert_eq!(effects, [Effect::Left(left), Effect::Inside(to.into())]);
    }
}
