//! Notebooks: containers of notes, and what is shared.

use serde::{Deserialize, Serialize};

use crate::domain::access::{Container, Effect, Kind, Scopes};
use crate::domain::id::{NotebookId, UserId};
use crate::domain::text::{Description, Title};

/// A fact about one notebook. Stored for ever: add variants and optional fields, never rename.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::AsRefStr, strum::VariantNames)]
#[serde(tag = "type")]
pub enum NotebookEvent {
    /// Someone started a notebook. That they own it is an event of its own, right before.
    NotebookCreated {
        /// Its first owner.
        owner: UserId,
        /// What it is called.
        name: Title,
    },
    /// It has a new name.
    NotebookRenamed {
        /// What it is called now.
        name: Title,
    },
    /// It has a new description, or none any more.
    NotebookDescribed {
        /// What it is about; `None` when it was cleared. Version 1.0 had an empty text for that.
        description: Option<Description>,
    },
}

impl NotebookEvent {
    /// The version of this event's form.
    pub fn version(&self) -> &'static str {
        match self {
            Self::NotebookCreated { .. } | Self::NotebookRenamed { .. } => "1.0",
            Self::NotebookDescribed { .. } => "2.0",
        }
    }

    /// Whether it is stored in clear, as it says that something ended and so must outlive its key.
    pub fn is_in_clear(&self) -> bool {
        match self {
            Self::NotebookCreated { .. } | Self::NotebookRenamed { .. } | Self::NotebookDescribed { .. } => {
                false
            }
        }
    }

    /// What it does to containers and grants: nothing, as the grant of its first owner is an event of its own.
    pub fn effects(&self, _: &Scopes) -> Vec<Effect> {
        match self {
            Self::NotebookCreated { .. } | Self::NotebookRenamed { .. } | Self::NotebookDescribed { .. } => {
                Vec::new()
            }
        }
    }
}

impl From<NotebookId> for Container {
    fn from(notebook: NotebookId) -> Self {
        Self { kind: Kind::Notebook, id: notebook.0 }
    }
}

crate::aggregate_event!(NotebookEvent, aggregate: "notebook");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tests::{ID, keep_effects, keep_stored_form, text};

    pub(super) fn samples() -> Vec<NotebookEvent> {
        vec![
            NotebookEvent::NotebookCreated { owner: UserId(ID), name: text("Lab") },
            NotebookEvent::NotebookRenamed { name: text("Laboratory") },
            NotebookEvent::NotebookDescribed { description: Some(text("What we tried")) },
            NotebookEvent::NotebookDescribed { description: None },
        ]
    }

    #[test]
    pub(super) fn every_event_keeps_its_stored_form() {
        keep_stored_form(&samples(), |stored| {
            insta::assert_snapshot!(stored, @r#"
            NotebookCreated 1.0 {"name":"Lab","owner":"0193a5f0-0000-7000-8000-000000000001"}
            NotebookRenamed 1.0 {"name":"Laboratory"}
            NotebookDescribed 2.0 {"description":"What we tried"}
            NotebookDescribed 2.0 {"description":null}
            "#);
        });
    }

    #[test]
    pub(super) fn every_event_keeps_its_effects() {
        keep_effects(&samples(), &["notebook:0193a5f0-0000-7000-8000-000000000002"], |stored| {
            insta::assert_snapshot!(stored, @r"
            NotebookCreated null
            NotebookRenamed null
            NotebookDescribed null
            NotebookDescribed null
            ");
        });
    }
}
