//! Tasks: things to do, on their own or as a block of a note.

use chrono::{DateTime, Datelike, SubsecRound, Utc};
use serde::{Deserialize, Serialize};

use super::blocks::BlockText;
use crate::id::{NoteId, UserId};
use crate::text::Description;

/// A fact about one task. Stored for ever: add variants and optional fields, never rename.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::AsRefStr, strum::VariantNames)]
#[serde(tag = "type")]
pub enum TaskEvent {
    /// Someone wants it done.
    TaskAdded {
        /// The note it belongs to; without one it is its owner's own.
        note_id: Option<NoteId>,
        /// Who wants it done.
        owner: UserId,
        /// What is to be done; of a task with a note the text of its block, and perhaps empty.
        title: BlockText,
        /// Whether it was done already.
        completed: bool,
        /// More about it.
        #[serde(default, skip_serializing_if = "Details::is_empty")]
        details: Details,
    },
    /// It is called otherwise.
    TaskRetitled {
        /// What is to be done.
        title: BlockText,
    },
    /// It has another description.
    TaskDescribed {
        /// More about it; null when it was cleared.
        description: Option<Description>,
    },
    /// It is to be done by a certain time.
    TaskScheduled {
        /// By when.
        due_at: Due,
    },
    /// It has no time any more.
    TaskUnscheduled {},
    /// It is more or less urgent.
    TaskPrioritized {
        /// How urgent.
        priority: Priority,
    },
    /// Somebody is to do it.
    TaskAssigned {
        /// Who.
        assignee_id: UserId,
    },
    /// Nobody in particular is to do it any more.
    TaskUnassigned {
        /// Who was.
        assignee_id: UserId,
    },
    /// It is done.
    TaskCompleted {},
    /// It is not done after all.
    TaskReopened {},
    /// Its block went to another note, and it with it.
    TaskMoved {
        /// The note it belonged to.
        from: NoteId,
        /// The note it belongs to now.
        to: NoteId,
        /// All of it, as the key of the note before may be destroyed.
        whole: WholeTask,
    },
    /// It is no longer wanted.
    TaskRemoved {
        /// The note it belonged to.
        note_id: Option<NoteId>,
    },
    /// It is wanted again.
    TaskRestored {
        /// The note it belongs to.
        note_id: Option<NoteId>,
    },
}

/// What a task has that its block does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// More about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// By when it is to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Due>,
    /// How urgent it is.
    #[serde(default, skip_serializing_if = "Priority::is_none")]
    pub priority: Priority,
    /// Who is to do it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee_id: Option<UserId>,
}

impl Details {
    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A task, without what the event says that carries it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WholeTask {
    /// Who wants it done.
    pub owner: UserId,
    /// What is to be done.
    pub title: BlockText,
    /// Since when it is done; null when it is not.
    pub completed_at: Option<DateTime<Utc>>,
    /// More about it.
    #[serde(default, skip_serializing_if = "Details::is_empty")]
    pub details: Details,
    /// Whether it is removed at present.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    /// Who added it: a person's id, or the name of a policy.
    pub added_by: String,
    /// When.
    pub added_at: DateTime<Utc>,
}

/// By when something is to be done: a time of the years 1 to 9999, which every reader and Postgres can tell, in whole
/// microseconds, as Postgres keeps it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(try_from = "String", into = "DateTime<Utc>")]
pub struct Due(DateTime<Utc>);

/// Why a text is no time to be due at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a time of the years 1 to 9999 in the form of RFC 3339, such as 2026-03-01T09:00:00Z")]
pub struct NoDue;

impl Due {
    /// The time itself.
    pub fn at(self) -> DateTime<Utc> {
        self.0
    }
}

impl TryFrom<String> for Due {
    type Error = NoDue;

    fn try_from(text: String) -> Result<Self, NoDue> {
        let at = DateTime::parse_from_rfc3339(&text).map_err(|_| NoDue)?.to_utc();
        if (1..=9999).contains(&at.year()) { Ok(Self(at.trunc_subsecs(6))) } else { Err(NoDue) }
    }
}

impl From<Due> for DateTime<Utc> {
    fn from(due: Due) -> Self {
        due.0
    }
}

/// How urgent: 0 (not said) to 4 (most urgent).
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(try_from = "u8", into = "u8")]
#[schema(minimum = 0, maximum = 4)]
pub struct Priority(u8);

/// Why a number is no priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be from 0 to 4")]
pub struct NoPriority;

impl Priority {
    /// Whether nobody said how urgent it is.
    pub fn is_none(&self) -> bool {
        self.0 == 0
    }

    /// The number itself.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Priority {
    type Error = NoPriority;

    fn try_from(number: u8) -> Result<Self, NoPriority> {
        if number <= 4 { Ok(Self(number)) } else { Err(NoPriority) }
    }
}

impl From<Priority> for u8 {
    fn from(priority: Priority) -> Self {
        priority.0
    }
}

impl TaskEvent {
    /// The version of this event's form.
    pub fn version(&self) -> &'static str {
        match self {
            Self::TaskAdded { .. }
            | Self::TaskRetitled { .. }
            | Self::TaskDescribed { .. }
            | Self::TaskScheduled { .. }
            | Self::TaskUnscheduled {}
            | Self::TaskPrioritized { .. }
            | Self::TaskAssigned { .. }
            | Self::TaskUnassigned { .. }
            | Self::TaskCompleted {}
            | Self::TaskReopened {}
            | Self::TaskMoved { .. }
            | Self::TaskRemoved { .. }
            | Self::TaskRestored { .. } => "1.0",
        }
    }

    /// Whether it says that something ended, and so must outlive its key.
    pub fn says_an_end(&self) -> bool {
        match self {
            Self::TaskRemoved { .. } => true,
            Self::TaskAdded { .. }
            | Self::TaskRetitled { .. }
            | Self::TaskDescribed { .. }
            | Self::TaskScheduled { .. }
            | Self::TaskUnscheduled {}
            | Self::TaskPrioritized { .. }
            | Self::TaskAssigned { .. }
            | Self::TaskUnassigned { .. }
            | Self::TaskCompleted {}
            | Self::TaskReopened {}
            | Self::TaskMoved { .. }
            | Self::TaskRestored { .. } => false,
        }
    }

    /// Whether it tells all there is, so that what came before is not needed.
    pub fn tells_all(&self) -> bool {
        match self {
            Self::TaskAdded { .. } | Self::TaskMoved { .. } => true,
            Self::TaskRetitled { .. }
            | Self::TaskDescribed { .. }
            | Self::TaskScheduled { .. }
            | Self::TaskUnscheduled {}
            | Self::TaskPrioritized { .. }
            | Self::TaskAssigned { .. }
            | Self::TaskUnassigned { .. }
            | Self::TaskCompleted {}
            | Self::TaskReopened {}
            | Self::TaskRemoved { .. }
            | Self::TaskRestored { .. } => false,
        }
    }
}

crate::aggregate_event!(TaskEvent, variant: Task, aggregate: "task", tells_all: tells_all);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_postgres_could_not_keep_is_none_to_be_due_at() {
        let read = |text: &str| serde_json::from_value::<Due>(text.into());
        for (given, kept) in [
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999Z"),
            ("2026-03-01T01:00:00+01:00", "2026-03-01T00:00:00Z"),
            ("1969-12-31T23:59:59.0000019Z", "1969-12-31T23:59:59.000001Z"),
        ] {
            let due = read(given).expect("a time");
            assert_eq!(serde_json::to_value(due).expect("plain"), kept, "{given}");
        }
        for wrong in [
            "0000-12-31T23:59:59Z",
            "-9999-01-01T00:00:00Z",
            "+10000-01-01T00:00:00Z",
            "9999-12-31T23:59:59-01:00",
            "tomorrow",
            "2026-03-01",
            "2026-03-01T09:00:00",
        ] {
            let error = read(wrong).expect_err(wrong).to_string();
            assert!(error.contains("such as 2026-03-01T09:00:00Z"), "{wrong}: {error}");
        }
    }
}
