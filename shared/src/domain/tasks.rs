//! Tasks: things to do, on their own or as a block of a note.

use chrono::{DateTime, Datelike, NaiveDate, SubsecRound, Timelike, Utc};
use serde::{Deserialize, Serialize};

use super::blocks::BlockText;
use crate::domain::access::{Effect, Left, Scopes};
use crate::domain::id::{NoteId, UserId};
use crate::domain::text::Description;

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
    /// It is to be done by a certain time, or on a certain day; it is due at nothing else any more.
    TaskScheduled {
        /// By when: `due_at` or `due_on`.
        #[serde(flatten)]
        due: Due,
    },
    /// It is due at no time and on no day any more.
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
    /// By when it is to be done: `due_at` or `due_on`, or neither.
    #[serde(flatten, with = "optional_due")]
    pub due: Option<Due>,
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

/// By when something is to be done: by a time or on a day, never both. As JSON a field `due_at` or a field `due_on`
/// beside those of what is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "DueFields", into = "DueFields")]
pub enum Due {
    /// By a time.
    At(DueTime),
    /// Until the end of a day, wherever one is.
    On(DueDate),
}

/// Why there is nothing that something is due at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DueError {
    /// No time and no day.
    #[error("due_at or due_on is missing")]
    Neither,
    /// A time and a day.
    #[error("must not be given beside due_at: a task is due at a time or on a day")]
    Both,
}

/// Both fields, as they stand beside others.
#[derive(Default, Serialize, Deserialize)]
struct DueFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_at: Option<DueTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_on: Option<DueDate>,
}

impl Due {
    /// The one of both that is given, if any is.
    pub fn of(at: Option<DueTime>, on: Option<DueDate>) -> Result<Option<Self>, DueError> {
        match (at, on) {
            (None, None) => Ok(None),
            (Some(at), None) => Ok(Some(Self::At(at))),
            (None, Some(on)) => Ok(Some(Self::On(on))),
            (Some(_), Some(_)) => Err(DueError::Both),
        }
    }

    /// The time, if it is one.
    pub fn at(self) -> Option<DateTime<Utc>> {
        match self {
            Self::At(time) => Some(time.0),
            Self::On(_) => None,
        }
    }

    /// The day, if it is one.
    pub fn on(self) -> Option<NaiveDate> {
        match self {
            Self::At(_) => None,
            Self::On(date) => Some(date.0),
        }
    }
}

impl TryFrom<DueFields> for Due {
    type Error = DueError;

    fn try_from(fields: DueFields) -> Result<Self, DueError> {
        Self::of(fields.due_at, fields.due_on)?.ok_or(DueError::Neither)
    }
}

impl From<Due> for DueFields {
    fn from(due: Due) -> Self {
        match due {
            Due::At(time) => Self { due_at: Some(time), due_on: None },
            Due::On(date) => Self { due_at: None, due_on: Some(date) },
        }
    }
}

/// [`Due`] among other fields, where both may be absent: a flattened `Option` would take a wrong one for an absent one.
mod optional_due {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use super::{Due, DueFields};

    #[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
    pub(super) fn serialize<S: Serializer>(due: &Option<Due>, serializer: S) -> Result<S::Ok, S::Error> {
        due.map_or_else(DueFields::default, DueFields::from).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Due>, D::Error> {
        let fields = DueFields::deserialize(deserializer)?;
        Due::of(fields.due_at, fields.due_on).map_err(de::Error::custom)
    }
}

/// A time of the years 1 to 9999, which every reader and Postgres can tell, in whole microseconds, as Postgres keeps it.
/// None within a leap second, which Postgres does not tell from the second after.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(try_from = "String", into = "DateTime<Utc>")]
#[schema(value_type = String, format = DateTime, pattern = "^([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-")]
pub struct DueTime(DateTime<Utc>);

/// Why a text is no time to be due at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DueTimeError {
    /// Not a time that there is.
    #[error("must be a time of the years 1 to 9999 in the form of RFC 3339, such as 2026-03-01T09:00:00Z")]
    Form,
    /// The 61st second of a minute.
    #[error("must not be within a leap second; take the second after, such as 2017-01-01T00:00:00Z")]
    LeapSecond,
}

impl DueTime {
    /// The time itself.
    pub fn get(self) -> DateTime<Utc> {
        self.0
    }
}

impl TryFrom<String> for DueTime {
    type Error = DueTimeError;

    fn try_from(text: String) -> Result<Self, DueTimeError> {
        let at = DateTime::parse_from_rfc3339(&text).map_err(|_| DueTimeError::Form)?.to_utc();
        if !(1..=9999).contains(&at.year()) {
            return Err(DueTimeError::Form);
        }
        // chrono counts a leap second on within the second before.
        if at.nanosecond() >= 1_000_000_000 {
            return Err(DueTimeError::LeapSecond);
        }
        Ok(Self(at.trunc_subsecs(6)))
    }
}

impl From<DueTime> for DateTime<Utc> {
    fn from(time: DueTime) -> Self {
        time.0
    }
}

/// A day of the years 1 to 9999 in the calendar, without a time zone: `2026-03-01`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(try_from = "String", into = "NaiveDate")]
#[schema(value_type = String, format = Date, pattern = "^([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-")]
pub struct DueDate(NaiveDate);

/// Why a text is no day to be due on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a day that there is, of the years 1 to 9999, in the form YYYY-MM-DD, such as 2026-03-01")]
pub struct DueDateError;

impl TryFrom<String> for DueDate {
    type Error = DueDateError;

    fn try_from(text: String) -> Result<Self, DueDateError> {
        let date: NaiveDate = text.parse().map_err(|_| DueDateError)?;
        // chrono also reads 2026-3-1 and white space.
        let is_plain = (1..=9999).contains(&date.year()) && date.to_string() == text;
        if is_plain { Ok(Self(date)) } else { Err(DueDateError) }
    }
}

impl From<DueDate> for NaiveDate {
    fn from(date: DueDate) -> Self {
        date.0
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

    /// Whether it is stored in clear, as it says that something ended and so must outlive its key.
    pub fn is_in_clear(&self) -> bool {
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

    /// What it does to containers and grants. A task is no container; but who sees the note that it left must hear of it.
    pub fn effects(&self, scopes: &Scopes) -> Vec<Effect> {
        match self {
            Self::TaskMoved { from, .. } => {
                let container = (*from).into();
                vec![Effect::Left(Left { container, parent: scopes.parent_of(container) })]
            }
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
            | Self::TaskRemoved { .. }
            | Self::TaskRestored { .. } => Vec::new(),
        }
    }
}

crate::aggregate_event!(TaskEvent, aggregate: "task", tells_all: tells_all);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::AggregateEvent;
    use crate::domain::tests::{ID, keep_effects, keep_stored_form, text};
    use serde_json::json;

    pub(super) fn samples() -> Vec<TaskEvent> {
        let (note_id, user) = (NoteId(ID), UserId(ID));
        let at = Due::At(text("2026-01-31T12:00:00Z"));
        let details = Details {
            description: Some(text("More")),
            due: Some(at),
            priority: Priority(1),
            assignee_id: Some(user),
        };
        let whole = WholeTask {
            owner: user,
            title: text("Call"),
            completed_at: Some("2026-01-31T12:00:00Z".parse().expect("a time")),
            details: details.clone(),
            removed: true,
            added_by: "policy:sync".to_owned(),
            added_at: "2026-01-31T12:00:00Z".parse().expect("a time"),
        };
        let bare =
            WholeTask { completed_at: None, details: Details::default(), removed: false, ..whole.clone() };
        let added = |note_id, details| TaskEvent::TaskAdded {
            note_id,
            owner: user,
            title: text("Call"),
            completed: false,
            details,
        };
        vec![
            added(Some(note_id), Details::default()),
            added(None, details),
            TaskEvent::TaskRetitled { title: text("") },
            TaskEvent::TaskDescribed { description: Some(text("More")) },
            TaskEvent::TaskDescribed { description: None },
            TaskEvent::TaskScheduled { due: at },
            TaskEvent::TaskScheduled { due: Due::On(text("2026-01-31")) },
            TaskEvent::TaskUnscheduled {},
            TaskEvent::TaskPrioritized { priority: Priority(4) },
            TaskEvent::TaskAssigned { assignee_id: user },
            TaskEvent::TaskUnassigned { assignee_id: user },
            TaskEvent::TaskCompleted {},
            TaskEvent::TaskReopened {},
            TaskEvent::TaskMoved { from: note_id, to: note_id, whole },
            TaskEvent::TaskMoved { from: note_id, to: note_id, whole: bare },
            TaskEvent::TaskRemoved { note_id: Some(note_id) },
            TaskEvent::TaskRestored { note_id: None },
        ]
    }

    #[test]
    pub(super) fn every_event_keeps_its_stored_form() {
        keep_stored_form(&samples(), |stored| {
            insta::assert_snapshot!(stored, @r#"
            TaskAdded 1.0 {
              "completed": false,
              "note_id": "0193a5f0-0000-7000-8000-000000000001",
              "owner": "0193a5f0-0000-7000-8000-000000000001",
              "title": "Call"
            }
            TaskAdded 1.0 {
              "completed": false,
              "details": {
                "assignee_id": "0193a5f0-0000-7000-8000-000000000001",
                "description": "More",
                "due_at": "2026-01-31T12:00:00Z",
                "priority": 1
              },
              "note_id": null,
              "owner": "0193a5f0-0000-7000-8000-000000000001",
              "title": "Call"
            }
            TaskRetitled 1.0 {"title":""}
            TaskDescribed 1.0 {"description":"More"}
            TaskDescribed 1.0 {"description":null}
            TaskScheduled 1.0 {"due_at":"2026-01-31T12:00:00Z"}
            TaskScheduled 1.0 {"due_on":"2026-01-31"}
            TaskUnscheduled 1.0 {}
            TaskPrioritized 1.0 {"priority":4}
            TaskAssigned 1.0 {"assignee_id":"0193a5f0-0000-7000-8000-000000000001"}
            TaskUnassigned 1.0 {"assignee_id":"0193a5f0-0000-7000-8000-000000000001"}
            TaskCompleted 1.0 {}
            TaskReopened 1.0 {}
            TaskMoved 1.0 {
              "from": "0193a5f0-0000-7000-8000-000000000001",
              "to": "0193a5f0-0000-7000-8000-000000000001",
              "whole": {
                "added_at": "2026-01-31T12:00:00Z",
                "added_by": "policy:sync",
                "completed_at": "2026-01-31T12:00:00Z",
                "details": {
                  "assignee_id": "0193a5f0-0000-7000-8000-000000000001",
                  "description": "More",
                  "due_at": "2026-01-31T12:00:00Z",
                  "priority": 1
                },
                "owner": "0193a5f0-0000-7000-8000-000000000001",
                "removed": true,
                "title": "Call"
              }
            }
            TaskMoved 1.0 {
              "from": "0193a5f0-0000-7000-8000-000000000001",
              "to": "0193a5f0-0000-7000-8000-000000000001",
              "whole": {
                "added_at": "2026-01-31T12:00:00Z",
                "added_by": "policy:sync",
                "completed_at": null,
                "owner": "0193a5f0-0000-7000-8000-000000000001",
                "title": "Call"
              }
            }
            TaskRemoved 1.0 {"note_id":"0193a5f0-0000-7000-8000-000000000001"}
            TaskRestored 1.0 {"note_id":null}
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
            TaskAdded null
            TaskAdded null
            TaskRetitled null
            TaskDescribed null
            TaskDescribed null
            TaskScheduled null
            TaskScheduled null
            TaskUnscheduled null
            TaskPrioritized null
            TaskAssigned null
            TaskUnassigned null
            TaskCompleted null
            TaskReopened null
            TaskMoved [{"left":["note:0193a5f0-0000-7000-8000-000000000001","notebook:0193a5f0-0000-7000-8000-000000000004"]}]
            TaskMoved [{"left":["note:0193a5f0-0000-7000-8000-000000000001","notebook:0193a5f0-0000-7000-8000-000000000004"]}]
            TaskRemoved null
            TaskRestored null
            "#);
        });
    }

    #[test]
    fn a_time_that_postgres_could_not_keep_is_none_to_be_due_at() {
        let read = |text: &str| serde_json::from_value::<DueTime>(text.into());
        for (given, kept) in [
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999Z"),
            ("2026-03-01T01:00:00+01:00", "2026-03-01T00:00:00Z"),
            ("1969-12-31T23:59:59.0000019Z", "1969-12-31T23:59:59.000001Z"),
        ] {
            let due = read(given).expect("a time");
            assert_eq!(serde_json::to_value(due).expect("plain"), kept, "{given}");
        }
        for leap in ["2016-12-31T23:59:60Z", "2016-12-31T23:59:60.5Z", "2026-03-01T09:00:60Z"] {
            let error = read(leap).expect_err(leap).to_string();
            assert!(error.contains("leap second"), "{leap}: {error}");
        }
        for wrong in [
            "0000-12-31T23:59:59Z",
            "-9999-01-01T00:00:00Z",
            "+10000-01-01T00:00:00Z",
            "9999-12-31T23:59:59-01:00",
            "2026-02-30T00:00:00Z",
            "2026-03-01T24:00:00Z",
            "2026-03-01T09:00:61Z",
            "tomorrow",
            "2026-03-01",
            "2026-03-01T09:00:00",
        ] {
            let error = read(wrong).expect_err(wrong).to_string();
            assert!(error.contains("such as 2026-03-01T09:00:00Z"), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_day_to_be_due_on_is_one_of_the_calendar_in_its_one_form() {
        let read = |text: &str| serde_json::from_value::<DueDate>(text.into());
        for day in ["0001-01-01", "2024-02-29", "2026-03-01", "9999-12-31"] {
            let due = read(day).expect("a day");
            assert_eq!(serde_json::to_value(due).expect("plain"), day);
        }
        for wrong in [
            "2026-02-30",
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "0000-12-31",
            "10000-01-01",
            "+10000-01-01",
            "-0001-01-01",
            "2026-3-1",
            "26-03-01",
            " 2026-03-01",
            "2026-03-01 ",
            "+2026-03-01",
            "2026-03-01T00:00:00Z",
            "20260301",
            "2026-W09-7",
            "",
        ] {
            let error = read(wrong).expect_err(wrong).to_string();
            assert!(error.contains("such as 2026-03-01"), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_task_is_due_at_a_time_or_on_a_day_and_never_both() {
        let at = json!({"due_at": "2026-03-01T09:00:00Z"});
        let on = json!({"due_on": "2026-03-01"});
        let both = json!({"due_at": "2026-03-01T09:00:00Z", "due_on": "2026-03-01"});
        for due in [&at, &on] {
            let event = TaskEvent::parse("TaskScheduled", due.clone()).expect("an event");
            assert_eq!(&event.data(), due);
            let details: Details = serde_json::from_value(due.clone()).expect("details");
            assert_eq!(&serde_json::to_value(&details).expect("plain"), due);
            assert!(!details.is_empty());
        }
        for wrong in
            [both.clone(), json!({}), json!({"due_on": "2026-02-30"}), json!({"due_at": "2026-03-01"})]
        {
            assert!(TaskEvent::parse("TaskScheduled", wrong.clone()).is_err(), "{wrong}");
        }
        // What is wrong is not taken for nothing.
        for wrong in
            [both, json!({"due_on": "2026-02-30"}), json!({"due_at": "2026-03-01"}), json!({"due_on": 1})]
        {
            assert!(serde_json::from_value::<Details>(wrong.clone()).is_err(), "{wrong}");
        }
        assert_eq!(serde_json::from_value::<Details>(json!({})).expect("nothing"), Details::default());
        assert_eq!(serde_json::to_value(Details::default()).expect("plain"), json!({}));
    }
}
