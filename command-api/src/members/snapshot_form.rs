//! The form in which a snapshot would hold a grant. None is written, as it is in clear.

use proptest::prelude::*;
use serde_json::json;

use super::Member;
use crate::app::snapshot_forms::{Fact, keep_form, rest_anywhere};

#[test]
pub(super) fn changes_only_with_its_version() {
    let added = ("MemberAdded", json!({"role": "viewer"}));
    let changed = ("MemberRoleChanged", json!({"role": "owner"}));
    let removed = ("MemberRemoved", json!({}));
    let histories: &[&[&Fact]] = &[&[], &[&added, &changed], &[&added, &removed]];
    keep_form::<Member>(histories, |forms| {
        insta::assert_snapshot!(forms, @r#"
        version 1
        [] "Without"
        [MemberAdded, MemberRoleChanged] {
          "Holds": {
            "role": "owner",
            "since": 1
          }
        }
        [MemberAdded, MemberRemoved] "Without"
        "#);
    });
}

fn any_member() -> impl Strategy<Value = Fact> {
    let role = || prop_oneof![Just("viewer"), Just("editor"), Just("owner")];
    prop_oneof![
        role().prop_map(|role| ("MemberAdded", json!({"role": role}))),
        role().prop_map(|role| ("MemberRoleChanged", json!({"role": role}))),
        Just(("MemberRemoved", json!({}))),
    ]
}

#[test]
fn a_rest_on_the_way_changes_nothing() {
    rest_anywhere::<Member>(any_member());
}
