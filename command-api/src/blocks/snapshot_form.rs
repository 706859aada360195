//! The form in which snapshots hold a block.

use proptest::prelude::*;
use serde_json::json;

use super::Block;
use crate::app::snapshot_forms::{AT, Fact, ID, OTHER, keep_form, rest_anywhere};

#[test]
pub(super) fn changes_only_with_its_version() {
    let text = json!({"type": "text", "content": {"text": "Call", "spans": []}});
    let task = json!({"type": "task", "content": {"checked": true, "depth": 0, "text": "Call", "spans": []}});
    let added = ("BlockAdded", json!({"note_id": ID, "block": text, "rank": "a0"}));
    let changed = ("BlockTypeChanged", json!({"note_id": ID, "block": task}));
    let whole = json!({"block": task, "added_by": "ada", "added_at": AT});
    let moved = ("BlockMoved", json!({"from": ID, "to": OTHER, "rank": "a1", "whole": whole}));
    let removed = ("BlockRemoved", json!({"note_id": OTHER}));
    let histories: &[&[&Fact]] = &[&[], &[&added], &[&added, &changed, &moved, &removed]];
    keep_form::<Block>(histories, |forms| {
        insta::assert_snapshot!(forms, @r#"
        version 2
        [] "Missing"
        [BlockAdded] {
          "Live": {
            "block": {
              "content": {
                "spans": [],
                "text": "Call"
              },
              "type": "text"
            },
            "last_edits": {
              "alive": 0,
              "done": 0,
              "text": 1
            },
            "note_id": "0193a5f0-0000-7000-8000-000000000001",
            "rank": "a0"
          }
        }
        [BlockAdded, BlockTypeChanged, BlockMoved, BlockRemoved] {
          "Removed": {
            "block": {
              "content": {
                "checked": true,
                "depth": 0,
                "spans": [],
                "text": "Call"
              },
              "type": "task"
            },
            "last_edits": {
              "alive": 4,
              "done": 2,
              "text": 1
            },
            "note_id": "0193a5f0-0000-7000-8000-000000000002",
            "rank": "a1"
          }
        }
        "#);
    });
}

fn any_block() -> impl Strategy<Value = Fact> {
    let text = "\\PC{0,9}".prop_map(|text| json!({"type": "text", "content": {"text": text, "spans": []}}));
    let code =
        "[a-z\\n]{0,9}".prop_map(|text| json!({"type": "code", "content": {"text": text, "language": null}}));
    let block = prop_oneof![text, code];
    (block, prop_oneof![Just(ID), Just(OTHER)], "a[0-9]", 0usize..6).prop_map(|(block, note, rank, kind)| {
        match kind {
            0 => ("BlockAdded", json!({"note_id": note, "block": block, "rank": rank})),
            1 => ("BlockEdited", json!({"note_id": note, "block": block})),
            2 => ("BlockMoved", json!({"from": note, "to": note, "rank": rank})),
            3 => {
                let whole = json!({"block": block, "added_by": "ada", "added_at": AT});
                ("BlockMoved", json!({"from": ID, "to": OTHER, "rank": rank, "whole": whole}))
            }
            4 => ("BlockRemoved", json!({"note_id": note})),
            _ => ("BlockRestored", json!({"note_id": note, "rank": rank})),
        }
    })
}

#[test]
fn a_rest_on_the_way_changes_nothing() {
    rest_anywhere::<Block>(any_block());
}
