//! The parts of notes: given these events, expect these blocks and tasks.

use chrono::NaiveDate;
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::domain::Event;
use uuid::Uuid;

use super::{at, erase, id, log, rows, table};
use crate::projections::{Blocks, Tasks};

/// An event of a block or a task, as it is stored.
fn told(about: u128, event_type: &str, data: Value) -> (u128, Event) {
    let event = Event::parse(event_type, data);
    (about, event.unwrap_or_else(|error| panic!("{event_type}: {error}")))
}

fn text(text: &str) -> Value {
    json!({"type": "text", "content": {"text": text, "spans": []}})
}

fn header(text: &str) -> Value {
    json!({"type": "header", "content": {"level": 2, "text": text, "spans": []}})
}

fn added_block(note: u128, rank: &str, block: &Value) -> (u128, Event) {
    told(1, "BlockAdded", json!({"note_id": id(note), "block": block, "rank": rank}))
}

fn edited(note: u128, block: &Value) -> (u128, Event) {
    told(1, "BlockEdited", json!({"note_id": id(note), "block": block}))
}

fn removed_block(note: u128) -> (u128, Event) {
    told(1, "BlockRemoved", json!({"note_id": id(note)}))
}

fn restored_block(note: u128, rank: &str) -> (u128, Event) {
    told(1, "BlockRestored", json!({"note_id": id(note), "rank": rank}))
}

/// To another note, with all of it: Bob added it at the 50th second.
fn carried(from: u128, to: u128, rank: &str, block: &Value) -> (u128, Event) {
    let whole = json!({"block": block, "added_by": "bob", "added_at": at(50)});
    told(1, "BlockMoved", json!({"from": id(from), "to": id(to), "rank": rank, "whole": whole}))
}

fn shifted(note: u128, rank: &str) -> (u128, Event) {
    told(1, "BlockMoved", json!({"from": id(note), "to": id(note), "rank": rank}))
}

#[test]
fn a_block_is_as_it_was_added() {
    let rows = rows::<Blocks>(vec![added_block(10, "a0", &header("Plans"))]);
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!((row.id, row.note_id, row.removed, row.version), (id(1), id(10), false, 1));
    assert_eq!((row.r#type.as_str(), row.rank.as_str()), ("header", "a0"));
    assert_eq!(row.content, json!({"level": 2, "text": "Plans", "spans": []}));
    assert_eq!((row.created_by.as_str(), row.created_at), ("ada", at(1)));
    assert_eq!((row.updated_by.as_str(), row.updated_at), ("ada", at(1)));
}

#[test]
fn a_block_has_its_last_content_type_and_place() {
    let become_header = told(1, "BlockTypeChanged", json!({"note_id": id(10), "block": header("Third")}));
    let events = [
        added_block(10, "a0", &text("First")),
        edited(10, &text("Second")),
        become_header,
        shifted(10, "a5"),
    ];
    let contents: Vec<_> = (1..=events.len())
        .map(|count| {
            let row = rows::<Blocks>(events[..count].to_vec()).remove(0);
            (row.r#type, row.content["text"].clone(), row.rank, row.version, row.updated_at, row.created_at)
        })
        .collect();
    let expected = |r#type: &str, text: &str, rank: &str, version: i64| {
        (r#type.to_owned(), json!(text), rank.to_owned(), version, at(version), at(1))
    };
    assert_eq!(contents[0], expected("text", "First", "a0", 1));
    assert_eq!(contents[1], expected("text", "Second", "a0", 2));
    assert_eq!(contents[2], expected("header", "Third", "a0", 3));
    assert_eq!(contents[3], expected("header", "Third", "a5", 4));
}

#[test]
fn a_removed_block_keeps_all_and_is_restored_to_its_new_place() {
    let added = added_block(10, "a0", &header("Plans"));
    let removed = rows::<Blocks>(vec![added.clone(), removed_block(10)]).remove(0);
    assert!(removed.removed);
    assert_eq!((removed.rank.as_str(), &removed.content["text"]), ("a0", &json!("Plans")));
    let restored = rows::<Blocks>(vec![added, removed_block(10), restored_block(10, "a3")]).remove(0);
    assert!(!restored.removed);
    assert_eq!((restored.rank.as_str(), restored.r#type.as_str()), ("a3", "header"));
    assert_eq!((&restored.content, restored.note_id), (&removed.content, id(10)));
    assert_eq!((restored.version, restored.updated_at), (3, at(3)));
}

#[test]
fn a_block_that_went_to_another_note_needs_nothing_from_before() {
    let mut whole = log(vec![
        added_block(10, "a0", &text("First")),
        carried(10, 11, "a7", &header("Second")),
        edited(11, &header("Third")),
    ]);
    let known = table::<Blocks>(&[&whole]);
    erase(&mut whole[0]);
    let erased = table::<Blocks>(&[&whole]);
    assert_eq!(known, erased);
    let row = &erased[&id(1)];
    assert_eq!((row.note_id, row.rank.as_str(), row.version), (id(11), "a7", 3));
    assert_eq!((row.r#type.as_str(), &row.content["text"]), ("header", &json!("Third")));
    assert_eq!((row.created_by.as_str(), row.created_at, row.updated_at), ("bob", at(50), at(3)));
}

#[test]
fn a_block_whose_beginning_is_erased_has_no_row() {
    let become_header = told(1, "BlockTypeChanged", json!({"note_id": id(10), "block": header("x")}));
    for event in [
        edited(10, &text("x")),
        become_header,
        shifted(10, "a1"),
        removed_block(10),
        restored_block(10, "a1"),
    ] {
        assert!(rows::<Blocks>(vec![event]).is_empty());
    }
}

fn added_task(note: Option<u128>, title: &str, completed: bool, details: &Value) -> (u128, Event) {
    let added = json!({"note_id": note.map(id), "owner": id(7), "title": title, "completed": completed,
                       "details": details});
    told(1, "TaskAdded", added)
}

fn day(text: &str) -> NaiveDate {
    text.parse().expect("a day")
}

fn task(event_type: &str, data: Value) -> (u128, Event) {
    told(1, event_type, data)
}

/// To another note, with all of it: Bob added it at the 50th second.
fn carried_task(from: u128, to: u128, completed_at: Option<i64>, removed: bool) -> (u128, Event) {
    let whole = json!({"owner": id(7), "title": "Carried", "completed_at": completed_at.map(at),
                       "details": {"description": "More", "due_at": at(90), "priority": 3, "assignee_id": id(8)},
                       "removed": removed, "added_by": "bob", "added_at": at(50)});
    task("TaskMoved", json!({"from": id(from), "to": id(to), "whole": whole}))
}

#[test]
fn a_task_is_as_it_was_added() {
    let own = rows::<Tasks>(vec![added_task(None, "Call", false, &json!({}))]).remove(0);
    assert_eq!((own.id, own.note_id, own.owner_id), (id(1), None, id(7)));
    assert_eq!((own.title.as_str(), own.description, own.completed_at), ("Call", None, None));
    assert_eq!((own.due_at, own.due_on, own.priority), (None, None, 0));
    assert_eq!((own.assignee_id, own.removed), (None, false));
    assert_eq!((own.created_by.as_str(), own.created_at, own.version), ("ada", at(1), 1));

    let details = json!({"description": "More", "due_at": at(90), "priority": 4, "assignee_id": id(8)});
    let row = rows::<Tasks>(vec![added_task(Some(10), "", true, &details)]).remove(0);
    assert_eq!((row.note_id, row.title.as_str(), row.completed_at), (Some(id(10)), "", Some(at(1))));
    assert_eq!((row.description.as_deref(), row.due_at, row.priority), (Some("More"), Some(at(90)), 4));
    assert_eq!(row.assignee_id, Some(id(8)));

    let row =
        rows::<Tasks>(vec![added_task(None, "Call", false, &json!({"due_on": "2026-03-01"}))]).remove(0);
    assert_eq!((row.due_at, row.due_on), (None, Some(day("2026-03-01"))));
}

#[test]
fn each_event_of_a_task_changes_its_column_and_no_other() {
    let details = json!({"description": "More", "due_at": at(90), "priority": 4, "assignee_id": id(8)});
    let added = added_task(Some(10), "Call", false, &details);
    let before = rows::<Tasks>(vec![added.clone()]).remove(0);
    let note = json!({"note_id": id(10)});
    for (event_type, data) in [
        ("TaskRetitled", json!({"title": "Write"})),
        ("TaskDescribed", json!({"description": "Less"})),
        ("TaskDescribed", json!({"description": null})),
        ("TaskScheduled", json!({"due_at": at(91)})),
        ("TaskScheduled", json!({"due_on": "2026-03-01"})),
        ("TaskUnscheduled", json!({})),
        ("TaskPrioritized", json!({"priority": 1})),
        ("TaskAssigned", json!({"assignee_id": id(9)})),
        ("TaskUnassigned", json!({"assignee_id": id(8)})),
        ("TaskCompleted", json!({})),
        ("TaskReopened", json!({})),
        ("TaskRemoved", note.clone()),
        ("TaskRestored", note),
    ] {
        let after = rows::<Tasks>(vec![added.clone(), task(event_type, data.clone())]).remove(0);
        let mut expected = before.clone();
        (expected.version, expected.updated_at) = (2, at(2));
        match event_type {
            "TaskRetitled" => {
                (expected.title, expected.title_folded) = ("Write".to_owned(), "write".to_owned());
            }
            "TaskDescribed" => {
                expected.description = data["description"].as_str().map(str::to_owned);
                expected.description_folded = data["description"].as_str().map(str::to_lowercase);
            }
            "TaskScheduled" => {
                let due = if data["due_on"].is_null() {
                    (Some(at(91)), None)
                } else {
                    (None, Some(day("2026-03-01")))
                };
                (expected.due_at, expected.due_on) = due;
            }
            "TaskUnscheduled" => expected.due_at = None,
            "TaskPrioritized" => expected.priority = 1,
            "TaskAssigned" => expected.assignee_id = Some(id(9)),
            "TaskUnassigned" => expected.assignee_id = None,
            "TaskCompleted" => expected.completed_at = Some(at(2)),
            "TaskRemoved" => expected.removed = true,
            _ => (),
        }
        assert_eq!(after, expected, "{event_type} {data}");
        assert!(rows::<Tasks>(vec![task(event_type, data)]).is_empty(), "{event_type} begins nothing");
    }
}

#[test]
fn a_task_is_due_at_what_was_said_last() {
    let (at, on) = (json!({"due_at": at(91)}), json!({"due_on": "2026-03-01"}));
    let added = added_task(None, "Call", false, &on);
    let due = |events: Vec<(u128, Event)>| {
        let row = rows::<Tasks>([vec![added.clone()], events].concat()).remove(0);
        (row.due_at, row.due_on)
    };
    let scheduled = |due: &Value| task("TaskScheduled", due.clone());
    assert_eq!(due(vec![scheduled(&at)]), (Some(self::at(91)), None));
    assert_eq!(due(vec![scheduled(&at), scheduled(&on)]), (None, Some(day("2026-03-01"))));
    assert_eq!(due(vec![task("TaskUnscheduled", json!({}))]), (None, None));
    let whole = json!({"owner": id(7), "title": "Carried", "completed_at": null, "details": on, "added_by": "bob",
                       "added_at": self::at(50)});
    let carried = task("TaskMoved", json!({"from": id(10), "to": id(11), "whole": whole}));
    assert_eq!(due(vec![scheduled(&at), carried]), (None, Some(day("2026-03-01"))));
}

#[test]
fn a_task_is_completed_reopened_removed_and_restored() {
    let note = json!({"note_id": id(10)});
    let events = [
        added_task(Some(10), "Call", false, &json!({})),
        task("TaskCompleted", json!({})),
        task("TaskRemoved", note.clone()),
        task("TaskRestored", note),
        task("TaskReopened", json!({})),
    ];
    let states: Vec<_> = (1..=events.len())
        .map(|count| {
            let row = rows::<Tasks>(events[..count].to_vec()).remove(0);
            (row.completed_at, row.removed)
        })
        .collect();
    let done = Some(at(2));
    assert_eq!(states, [(None, false), (done, false), (done, true), (done, false), (None, false)]);
}

#[test]
fn a_task_that_went_to_another_note_needs_nothing_from_before() {
    for (completed_at, removed) in [(None, false), (Some(60), false), (Some(60), true), (None, true)] {
        let mut whole = log(vec![
            added_task(Some(10), "Call", true, &json!({"priority": 1})),
            carried_task(10, 11, completed_at, removed),
        ]);
        let known = table::<Tasks>(&[&whole]);
        erase(&mut whole[0]);
        let erased = table::<Tasks>(&[&whole]);
        assert_eq!(known, erased);
        let row = &erased[&id(1)];
        assert_eq!((row.note_id, row.owner_id, row.title.as_str()), (Some(id(11)), id(7), "Carried"));
        assert_eq!((row.completed_at, row.removed), (completed_at.map(at), removed));
        assert_eq!((row.description.as_deref(), row.due_at, row.priority), (Some("More"), Some(at(90)), 3));
        assert_eq!((row.created_by.as_str(), row.created_at, row.updated_at), ("bob", at(50), at(2)));
        assert_eq!((row.assignee_id, row.version), (Some(id(8)), 2));
    }
}

/// A task is added to this note.
pub(super) fn task_of(note: u128) -> Event {
    added_task(Some(note), "Milk", false, &json!({})).1
}

/// An event of one of a few blocks, tasks and notes, whatever came before.
pub(super) fn any_event() -> impl Strategy<Value = (u128, Event)> {
    let (about, note, word, rank) = (1u128..4, 10u128..12, "[a-c]", "a[0-9]");
    prop_oneof![
        (about.clone(), note.clone(), word, rank, 0usize..5).prop_map(|(about, note, word, rank, kind)| {
            (about, block_event(kind, id(note), &text(&word), &rank))
        }),
        (about.clone(), note.clone(), 10u128..12, word, rank).prop_map(|(about, from, to, word, rank)| {
            (about, carried(from, to, &rank, &header(&word)).1)
        }),
        (about.clone(), proptest::option::of(note.clone()), word, any::<bool>()).prop_map(
            |(about, note, word, completed)| (about, added_task(note, &word, completed, &json!({})).1)
        ),
        (about.clone(), note.clone(), word, 0usize..10)
            .prop_map(|(about, note, word, kind)| { (about, task_event(kind, id(note), &word)) }),
        (about, note, 10u128..12, proptest::option::of(0i64..50), any::<bool>()).prop_map(
            |(about, from, to, completed_at, removed)| {
                (about, carried_task(from, to, completed_at, removed).1)
            }
        ),
    ]
}

fn block_event(kind: usize, note: Uuid, block: &Value, rank: &str) -> Event {
    let (event_type, data) = match kind {
        0 => ("BlockAdded", json!({"note_id": note, "block": block, "rank": rank})),
        1 => ("BlockEdited", json!({"note_id": note, "block": block})),
        2 => ("BlockMoved", json!({"from": note, "to": note, "rank": rank})),
        3 => ("BlockRemoved", json!({"note_id": note})),
        _ => ("BlockRestored", json!({"note_id": note, "rank": rank})),
    };
    told(1, event_type, data).1
}

fn task_event(kind: usize, note: Uuid, word: &str) -> Event {
    let (event_type, data) = match kind {
        0 => ("TaskRetitled", json!({"title": word})),
        1 => ("TaskDescribed", json!({"description": word})),
        2 => ("TaskPrioritized", json!({"priority": 2})),
        3 => ("TaskCompleted", json!({})),
        4 => ("TaskReopened", json!({})),
        5 => ("TaskUnscheduled", json!({})),
        6 => ("TaskScheduled", json!({"due_at": at(90)})),
        7 => ("TaskScheduled", json!({"due_on": "2026-03-01"})),
        8 => ("TaskRemoved", json!({"note_id": note})),
        _ => ("TaskRestored", json!({"note_id": note})),
    };
    told(1, event_type, data).1
}
