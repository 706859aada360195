//! Effects: what an event does to containers and grants. They are stored in clear beside the event, under its MAC, so
//! that whoever decides who sees what needs neither keys nor the language of any module.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Container, Principal, Role};

/// The most effects of one event: as many as it may have scopes.
pub const MOST_EFFECTS: usize = 64;

/// One thing that an event does. Stored for ever: add variants, never rename.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Effect {
    /// The event's owner is in this container now.
    Inside(Container),
    /// What the event is about is no longer in this container.
    Left(Left),
    /// A principal has a role on a container now.
    Granted {
        /// On which.
        container: Container,
        /// Who.
        principal: Principal,
        /// Which role.
        role: Role,
    },
    /// A principal has no role on a container any more.
    Revoked {
        /// On which.
        container: Container,
        /// Who.
        principal: Principal,
    },
    /// All grants on this container itself have ended.
    Cleared(Container),
    /// This container is in the trash, and so is what is in it.
    Trashed(Container),
    /// This container is out of the trash.
    Restored(Container),
    /// This container has ended for ever, and all grants on it.
    Ended(Container),
}

/// Where something was before it moved: the scopes that it had there. As JSON an array of one or two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<Container>", into = "Vec<Container>")]
pub struct Left {
    /// The container that it left.
    pub container: Container,
    /// What that container was in at that time, if it is a child.
    pub parent: Option<Container>,
}

/// Why stored effects cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EffectError {
    /// A newer release wrote them, or they are no effects.
    #[error("the effects are none of this release: {0}")]
    Unknown(#[from] serde_json::Error),
    /// The same could be said in another way, which would be the one to store.
    #[error("the effects are not in the form in which they are stored")]
    Form,
    /// There are too many.
    #[error("an event has at most {} effects", MOST_EFFECTS)]
    TooMany,
}

/// Containers that something cannot have left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what left was in one container, and that one perhaps in another")]
pub struct LeftNowhere;

impl Effect {
    /// The form in which they are stored: canonical JSON (RFC 8785) when it is printed; none for no effects.
    pub fn to_json(effects: &[Self]) -> Option<Value> {
        let json = || serde_json::to_value(effects).expect("effects are plain data with string keys");
        (!effects.is_empty()).then(json)
    }

    /// Reads them back. Only the form that [`Effect::to_json`] writes is read: a MAC is over it.
    pub fn from_json(stored: Option<&Value>) -> Result<Vec<Self>, EffectError> {
        let Some(stored) = stored else { return Ok(Vec::new()) };
        if stored.as_array().is_some_and(|effects| effects.len() > MOST_EFFECTS) {
            return Err(EffectError::TooMany);
        }
        let effects = Vec::<Self>::deserialize(stored)?;
        if Self::to_json(&effects).as_ref() == Some(stored) { Ok(effects) } else { Err(EffectError::Form) }
    }
}

impl Left {
    /// The scopes that it had there.
    pub fn containers(self) -> impl Iterator<Item = Container> {
        std::iter::once(self.container).chain(self.parent)
    }
}

impl TryFrom<Vec<Container>> for Left {
    type Error = LeftNowhere;

    fn try_from(containers: Vec<Container>) -> Result<Self, LeftNowhere> {
        match containers[..] {
            [container] => Ok(Self { container, parent: None }),
            [container, parent] => Ok(Self { container, parent: Some(parent) }),
            _ => Err(LeftNowhere),
        }
    }
}

impl From<Left> for Vec<Container> {
    fn from(left: Left) -> Self {
        left.containers().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;
    use serde_json::json;
    use uuid::Uuid;

    use super::super::Kind;
    use super::super::scope::tests::{any_container, any_principal};
    use super::*;
    use crate::domain::id::UserId;

    fn any_effect() -> impl Strategy<Value = Effect> {
        let role = || select(&[Role::Viewer, Role::Editor, Role::Owner][..]);
        prop_oneof![
            any_container().prop_map(Effect::Inside),
            (any_container(), proptest::option::of(any_container()))
                .prop_map(|(container, parent)| Effect::Left(Left { container, parent })),
            (any_container(), any_principal(), role())
                .prop_map(|(container, principal, role)| Effect::Granted { container, principal, role }),
            (any_container(), any_principal())
                .prop_map(|(container, principal)| Effect::Revoked { container, principal }),
            any_container().prop_map(Effect::Cleared),
            any_container().prop_map(Effect::Trashed),
            any_container().prop_map(Effect::Restored),
            any_container().prop_map(Effect::Ended),
        ]
    }

    /// Stored JSON is a promise. One of each.
    #[test]
    fn the_stored_form_of_effects() {
        let [note, lab] = [(Kind::Note, 1), (Kind::Notebook, 2)]
            .map(|(kind, id)| Container { kind, id: Uuid::from_u128(id) });
        let ada = Principal::User(UserId(Uuid::from_u128(0xada)));
        let effects = [
            Effect::Inside(lab),
            Effect::Left(Left { container: lab, parent: None }),
            Effect::Left(Left { container: note, parent: Some(lab) }),
            Effect::Granted { container: lab, principal: ada, role: Role::Owner },
            Effect::Granted { container: lab, principal: Principal::Everyone, role: Role::Editor },
            Effect::Granted { container: lab, principal: Principal::Public, role: Role::Viewer },
            Effect::Revoked { container: lab, principal: ada },
            Effect::Cleared(note),
            Effect::Trashed(note),
            Effect::Restored(note),
            Effect::Ended(lab),
        ];
        let stored = Effect::to_json(&effects).expect("there are some");
        assert_eq!(Effect::from_json(Some(&stored)).expect("just stored"), effects);
        let lines: Vec<String> = stored.as_array().expect("a list").iter().map(Value::to_string).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        {"inside":"notebook:00000000-0000-0000-0000-000000000002"}
        {"left":["notebook:00000000-0000-0000-0000-000000000002"]}
        {"left":["note:00000000-0000-0000-0000-000000000001","notebook:00000000-0000-0000-0000-000000000002"]}
        {"granted":{"container":"notebook:00000000-0000-0000-0000-000000000002","principal":"user:00000000-0000-0000-0000-000000000ada","role":"owner"}}
        {"granted":{"container":"notebook:00000000-0000-0000-0000-000000000002","principal":"everyone","role":"editor"}}
        {"granted":{"container":"notebook:00000000-0000-0000-0000-000000000002","principal":"public","role":"viewer"}}
        {"revoked":{"container":"notebook:00000000-0000-0000-0000-000000000002","principal":"user:00000000-0000-0000-0000-000000000ada"}}
        {"cleared":"note:00000000-0000-0000-0000-000000000001"}
        {"trashed":"note:00000000-0000-0000-0000-000000000001"}
        {"restored":"note:00000000-0000-0000-0000-000000000001"}
        {"ended":"notebook:00000000-0000-0000-0000-000000000002"}
        "#);
    }

    #[test]
    fn no_effects_are_stored_as_nothing() {
        assert_eq!(Effect::to_json(&[]), None);
        assert_eq!(Effect::from_json(None).expect("none"), []);
    }

    #[test]
    fn what_is_not_in_the_stored_form_is_not_read() {
        let id = "0193a5f0-0000-7000-8000-00000000abcd";
        let lab = format!("notebook:{id}");
        let unknown = [
            json!({}),
            json!("inside"),
            Value::Null,
            json!([null]),
            json!([{}]),
            json!(["inside"]),
            json!([{"inside": null}]),
            json!([{"inside": id}]),
            json!([{"inside": "everyone"}]),
            json!([{"inside": format!("user:{id}")}]),
            json!([{"inside": format!("song:{id}")}]),
            json!([{"inside": lab, "ended": lab}]),
            json!([{"Inside": lab}]),
            json!([{"sung": lab}]),
            json!([{"left": []}]),
            json!([{"left": lab}]),
            json!([{"left": [lab, lab, lab]}]),
            json!([{"granted": [lab, "everyone", "viewer"]}]),
            json!([{"granted": {"container": lab, "principal": "everyone"}}]),
            json!([{"granted": {"container": lab, "principal": "everyone", "role": "reader"}}]),
            json!([{"granted": {"container": lab, "principal": lab, "role": "viewer"}}]),
            json!([{"granted": {"container": lab, "principal": "everyone", "role": "viewer", "more": 1}}]),
        ];
        for stored in unknown {
            let read = Effect::from_json(Some(&stored));
            assert!(matches!(read, Err(EffectError::Unknown(_))), "{stored}: {read:?}");
        }
        let other_forms = [json!([]), json!([{"inside": format!("notebook:{}", id.to_uppercase())}])];
        for stored in other_forms {
            let read = Effect::from_json(Some(&stored));
            assert!(matches!(read, Err(EffectError::Form)), "{stored}: {read:?}");
        }
        let many = |count| json!(vec![json!({"inside": lab}); count]);
        assert!(Effect::from_json(Some(&many(MOST_EFFECTS))).is_ok());
        assert!(matches!(Effect::from_json(Some(&many(MOST_EFFECTS + 1))), Err(EffectError::TooMany)));
    }

    proptest! {
        #[test]
        fn effects_read_what_they_write(effects in vec(any_effect(), 0..=MOST_EFFECTS)) {
            let stored = Effect::to_json(&effects);
            prop_assert_eq!(stored.is_none(), effects.is_empty());
            // As a column of the database has it, and back.
            let text = stored.as_ref().map(Value::to_string);
            let stored: Option<Value> = text.map(|text| serde_json::from_str(&text).expect("JSON"));
            prop_assert_eq!(Effect::from_json(stored.as_ref()).expect("just stored"), effects);
        }

        #[test]
        fn what_is_stored_is_small_and_in_ascii(effects in vec(any_effect(), 0..=MOST_EFFECTS)) {
            let text = Effect::to_json(&effects).map_or_else(String::new, |stored| stored.to_string());
            prop_assert!(text.len() <= 160 * MOST_EFFECTS, "{} bytes", text.len());
            prop_assert!(text.is_ascii());
        }
    }

    #[cfg(feature = "log")]
    proptest! {
        /// Names are ordered and texts are plain, so that what is printed is canonical.
        #[test]
        fn what_is_printed_is_canonical(effects in vec(any_effect(), 1..9)) {
            let stored = Effect::to_json(&effects).expect("there are some");
            let canonical = serde_json_canonicalizer::to_vec(&stored).expect("canonical JSON");
            prop_assert_eq!(serde_json::to_vec(&effects).expect("JSON"), canonical);
        }
    }
}
