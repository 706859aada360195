//! The form in which snapshots hold a session.

use serde_json::json;

use super::Session;
use crate::app::snapshot_forms::{Fact, ID, keep_form};

#[test]
pub(super) fn changes_only_with_its_version() {
    let opened = ("SessionOpened", json!({"user_id": ID, "device": "laptop", "address": null}));
    let ended = ("SessionEnded", json!({"user_id": ID}));
    let histories: &[&[&Fact]] = &[&[], &[&opened], &[&opened, &ended]];
    keep_form::<Session>(histories, |forms| {
        insta::assert_snapshot!(forms, @r#"
        version 1
        [] "Missing"
        [SessionOpened] {
          "Open": {
            "user_id": "0193a5f0-0000-7000-8000-000000000001"
          }
        }
        [SessionOpened, SessionEnded] {
          "Ended": {
            "user_id": "0193a5f0-0000-7000-8000-000000000001"
          }
        }
        "#);
    });
}
