//! The form in which snapshots hold a task.

use proptest::prelude::*;
use serde_json::json;

use super::Task;
use crate::app::snapshot_forms::{AT, Fact, ID, OTHER, keep_form, rest_anywhere};

#[test]
pub(super) fn changes_only_with_its_version() {
    let added = ("TaskAdded", json!({"note_id": null, "owner": ID, "title": "Call", "completed": false}));
    let details = json!({"description": "More", "due_at": AT, "priority": 4, "assignee_id": OTHER});
    let whole = json!({"owner": ID, "title": "", "completed_at": AT, "details": details, "added_by": "ada", "added_at": AT});
    let moved = ("TaskMoved", json!({"from": ID, "to": OTHER, "whole": whole}));
    let removed = ("TaskRemoved", json!({"note_id": OTHER}));
    let on = ("TaskScheduled", json!({"due_on": "2026-01-31"}));
    let histories: &[&[&Fact]] = &[&[], &[&added], &[&added, &moved, &removed], &[&added, &on]];
    keep_form::<Task>(histories, |forms| {
        insta::assert_snapshot!(forms, @r#"
        version 3
        [] "Missing"
        [TaskAdded] {
          "Live": {
            "completed": false,
            "details": {},
            "last_edits": {
              "alive": 0,
              "done": 0,
              "text": 0
            },
            "note_id": null,
            "owner": "0193a5f0-0000-7000-8000-000000000001",
            "title": "Call"
          }
        }
        [TaskAdded, TaskMoved, TaskRemoved] {
          "Removed": {
            "completed": true,
            "details": {
              "assignee_id": "0193a5f0-0000-7000-8000-000000000002",
              "description": "More",
              "due_at": "2026-01-31T12:00:00Z",
              "priority": 4
            },
            "last_edits": {
              "alive": 2,
              "done": 2,
              "text": 2
            },
            "note_id": "0193a5f0-0000-7000-8000-000000000002",
            "owner": "0193a5f0-0000-7000-8000-000000000001",
            "title": ""
          }
        }
        [TaskAdded, TaskScheduled] {
          "Live": {
            "completed": false,
            "details": {
              "due_on": "2026-01-31"
            },
            "last_edits": {
              "alive": 0,
              "done": 0,
              "text": 0
            },
            "note_id": null,
            "owner": "0193a5f0-0000-7000-8000-000000000001",
            "title": "Call"
          }
        }
        "#);
    });
}

fn any_task() -> impl Strategy<Value = Fact> {
    let note = proptest::option::of(prop_oneof![Just(ID), Just(OTHER)]);
    (note, "\\PC{0,9}", any::<bool>(), 0usize..9).prop_map(|(note, text, yes, kind)| match kind {
        0 => ("TaskAdded", json!({"note_id": note, "owner": ID, "title": text, "completed": yes})),
        1 => ("TaskRetitled", json!({"title": text})),
        2 => ("TaskDescribed", json!({"description": yes.then_some(text)})),
        3 if yes => ("TaskScheduled", json!({"due_at": AT})),
        3 => ("TaskScheduled", json!({"due_on": "2026-01-31"})),
        4 => ("TaskAssigned", json!({"assignee_id": OTHER})),
        5 if yes => ("TaskCompleted", json!({})),
        5 => ("TaskReopened", json!({})),
        6 => {
            let whole = json!({"owner": ID, "title": text, "completed_at": yes.then_some(AT), "removed": !yes,
                               "added_by": "ada", "added_at": AT});
            ("TaskMoved", json!({"from": ID, "to": OTHER, "whole": whole}))
        }
        7 => ("TaskRemoved", json!({"note_id": note})),
        _ => ("TaskRestored", json!({"note_id": note})),
    })
}

#[test]
fn a_rest_on_the_way_changes_nothing() {
    rest_anywhere::<Task>(any_task());
}
