//! The form in which snapshots hold a notebook.

use proptest::prelude::*;
use serde_json::json;

use super::Notebook;
use crate::app::snapshot_forms::{Fact, ID, WITHIN_A_LINE, keep_form, rest_anywhere};

#[test]
pub(super) fn changes_only_with_its_version() {
    let created = ("NotebookCreated", json!({"owner": ID, "name": "Lab"}));
    let renamed = ("NotebookRenamed", json!({"name": "Den"}));
    let described = ("NotebookDescribed", json!({"description": "What we tried"}));
    let cleared = ("NotebookDescribed", json!({"description": null}));
    let histories: &[&[&Fact]] =
        &[&[], &[&created], &[&created, &described, &cleared], &[&created, &renamed, &described]];
    keep_form::<Notebook>(histories, |forms| {
        insta::assert_snapshot!(forms, @r#"
        version 3
        [] "Missing"
        [NotebookCreated] {
          "Live": {
            "description": null,
            "name": "Lab"
          }
        }
        [NotebookCreated, NotebookDescribed, NotebookDescribed] {
          "Live": {
            "description": null,
            "name": "Lab"
          }
        }
        [NotebookCreated, NotebookRenamed, NotebookDescribed] {
          "Live": {
            "description": "What we tried",
            "name": "Den"
          }
        }
        "#);
    });
}

fn any_notebook() -> impl Strategy<Value = Fact> {
    prop_oneof![
        WITHIN_A_LINE.prop_map(|text| ("NotebookCreated", json!({"owner": ID, "name": format!("x{text}x")}))),
        WITHIN_A_LINE.prop_map(|text| ("NotebookRenamed", json!({"name": format!("x{text}x")}))),
        proptest::option::of("\\PC{1,9}")
            .prop_map(|text| ("NotebookDescribed", json!({"description": text}))),
    ]
}

#[test]
fn a_rest_on_the_way_changes_nothing() {
    rest_anywhere::<Notebook>(any_notebook());
}
