//! The form in which snapshots hold an account.

use proptest::prelude::*;
use serde_json::json;

use super::User;
use crate::app::snapshot_forms::{Fact, WITHIN_A_LINE, keep_form, rest_anywhere};

#[test]
pub(super) fn changes_only_with_its_version() {
    let registered = json!({"email": "ada@example.org", "username": "ada", "display_name": "Ada"});
    let registered = ("UserRegistered", registered);
    let profile = json!({"display_name": "Ada L.", "first_name": "Ada", "last_name": "L.", "avatar_url": "https://a.example/"});
    let preferences = json!({"theme": "dark", "sizes": [1, {"deep": null}]});
    let edited = ("ProfileEdited", profile);
    let set = ("PreferencesSet", json!({"preferences": preferences}));
    let histories: &[&[&Fact]] = &[&[], &[&registered], &[&registered, &edited, &set]];
    keep_form::<User>(histories, |forms| {
        insta::assert_snapshot!(forms, @r#"
        version 1
        [] "Missing"
        [UserRegistered] {
          "Active": {
            "preferences": {},
            "profile": {
              "avatar_url": null,
              "display_name": "Ada",
              "first_name": null,
              "last_name": null
            }
          }
        }
        [UserRegistered, ProfileEdited, PreferencesSet] {
          "Active": {
            "preferences": {
              "sizes": [
                1,
                {
                  "deep": null
                }
              ],
              "theme": "dark"
            },
            "profile": {
              "avatar_url": "https://a.example/",
              "display_name": "Ada L.",
              "first_name": "Ada",
              "last_name": "L."
            }
          }
        }
        "#);
    });
}

fn any_user() -> impl Strategy<Value = Fact> {
    let registered = json!({"email": "ada@example.org", "username": "ada", "display_name": "Ada"});
    prop_oneof![
        Just(("UserRegistered", registered)),
        proptest::option::of(WITHIN_A_LINE).prop_map(|text| {
            let first = text.map(|text| format!("x{text}x"));
            let name =
                json!({"display_name": "A", "first_name": first, "last_name": null, "avatar_url": null});
            ("ProfileEdited", name)
        }),
        ("[a-c]", any::<i64>(), any::<f64>(), "\\PC{0,9}").prop_map(|(name, number, double, text)| {
            let numbers = [json!(number), json!(double), json!(1.0)];
            ("PreferencesSet", json!({"preferences": {name: {"n": numbers, "t": [text, null, true]}}}))
        }),
    ]
}

#[test]
fn a_rest_on_the_way_changes_nothing() {
    rest_anywhere::<User>(any_user());
}
