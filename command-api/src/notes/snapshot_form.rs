//! The form in which snapshots hold a note.

use proptest::prelude::*;
use serde_json::json;

use super::Note;
use crate::app::snapshot_forms::{Fact, ID, OTHER, WITHIN_A_LINE, keep_form, rest_anywhere};

#[test]
pub(super) fn changes_only_with_its_version() {
    let created = ("NoteCreated", json!({"notebook_id": ID, "title": "Dreams"}));
    let retitled = ("NoteRetitled", json!({"title": "Plans"}));
    let moved = ("NoteMoved", json!({"from": ID, "to": OTHER}));
    let histories: &[&[&Fact]] = &[&[], &[&created, &retitled, &moved]];
    keep_form::<Note>(histories, |forms| {
        insta::assert_snapshot!(forms, @r#"
        version 2
        [] "Missing"
        [NoteCreated, NoteRetitled, NoteMoved] {
          "Live": {
            "cleared": 3,
            "notebook_id": "0193a5f0-0000-7000-8000-000000000002",
            "title": "Plans"
          }
        }
        "#);
    });
}

fn any_note() -> impl Strategy<Value = Fact> {
    let place = || prop_oneof![Just(ID), Just(OTHER)];
    prop_oneof![
        (place(), WITHIN_A_LINE).prop_map(|(at, text)| {
            ("NoteCreated", json!({"notebook_id": at, "title": format!("x{text}x")}))
        }),
        WITHIN_A_LINE.prop_map(|text| ("NoteRetitled", json!({"title": format!("x{text}x")}))),
        (place(), place()).prop_map(|(from, to)| ("NoteMoved", json!({"from": from, "to": to}))),
    ]
}

#[test]
fn a_rest_on_the_way_changes_nothing() {
    rest_anywhere::<Note>(any_note());
}
