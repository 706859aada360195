//! The rules of an account, on one page.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shared::domain::text::{DisplayName, WebAddress};
use shared::domain::users::UserEvent;
use shared::process::problem::Problem;

use super::commands::authorize;
use super::{UserCommand, UserError};
use crate::app::Decide;
use crate::app::{Authorized, UnitOfWork};

/// How long preferences may be, in bytes of JSON.
const LONGEST_PREFERENCES: usize = 64 * 1024;

/// An account, as far as its rules need it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum User {
    /// Not registered.
    #[default]
    Missing,
    /// There.
    Active {
        /// What others see, and the names.
        profile: Profile,
        /// Whatever clients keep.
        preferences: Map<String, Value>,
    },
}

/// How a person presents themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    display_name: DisplayName,
    first_name: Option<DisplayName>,
    last_name: Option<DisplayName>,
    avatar_url: Option<WebAddress>,
}

use UserCommand as C;
use UserEvent as E;

impl User {
    /// Whether there is such an account.
    pub fn is_active(&self) -> bool {
        match self {
            Self::Missing => false,
            Self::Active { .. } => true,
        }
    }

    fn evolve(&mut self, event: E) {
        match (event, self) {
            (E::UserRegistered { display_name, .. }, user) => {
                let profile = Profile { display_name, first_name: None, last_name: None, avatar_url: None };
                *user = Self::Active { profile, preferences: Map::new() };
            }
            (
                E::ProfileEdited { display_name, first_name, last_name, avatar_url },
                Self::Active { profile, .. },
            ) => {
                *profile = Profile { display_name, first_name, last_name, avatar_url };
            }
            (E::PreferencesSet { preferences: new }, Self::Active { preferences, .. }) => *preferences = new,
            (E::ProfileEdited { .. } | E::PreferencesSet { .. }, Self::Missing) => (),
        }
    }
}

impl Decide for User {
    const SNAPSHOT_VERSION: i32 = 1;
    const MISSING: Self::Error = UserError::Missing;

    fn creates(commands: &[C]) -> bool {
        matches!(commands.first(), Some(C::Register { .. }))
    }

    fn decide(&self, command: C, (): &()) -> Result<Vec<E>, UserError> {
        match (self, command) {
            (Self::Missing, C::Register { email, username, display_name, .. }) => {
                Ok(vec![E::UserRegistered { email, username, display_name }])
            }
            (Self::Missing, C::Edit { .. } | C::Prefer { .. }) => Err(UserError::Missing),
            (Self::Active { .. }, C::Register { .. }) => Err(UserError::AlreadyExists),

            (Self::Active { profile, .. }, C::Edit { display_name, first_name, last_name, avatar_url }) => {
                let new = Profile {
                    display_name: display_name.unwrap_or_else(|| profile.display_name.clone()),
                    first_name: first_name.unwrap_or_else(|| profile.first_name.clone()),
                    last_name: last_name.unwrap_or_else(|| profile.last_name.clone()),
                    avatar_url: avatar_url.unwrap_or_else(|| profile.avatar_url.clone()),
                };
                Ok(if new == *profile { vec![] } else { vec![new.edited()] })
            }
            (Self::Active { preferences, .. }, C::Prefer { patch }) => prefer(preferences, patch),
        }
    }

    async fn authorize(
        &self,
        work: &mut UnitOfWork<'_>,
        id: &str,
        commands: &[C],
    ) -> Result<Authorized, Problem> {
        authorize(work, id, commands)
    }
}

crate::aggregate!(User, UserEvent, UserCommand, UserError, ());

impl Profile {
    fn edited(self) -> E {
        let Self { display_name, first_name, last_name, avatar_url } = self;
        E::ProfileEdited { display_name, first_name, last_name, avatar_url }
    }
}

fn prefer(old: &Map<String, Value>, patch: Map<String, Value>) -> Result<Vec<E>, UserError> {
    let mut preferences = old.clone();
    merge(&mut preferences, patch);
    if preferences == *old {
        return Ok(vec![]);
    }
    let size = serde_json::to_vec(&preferences).map_or(usize::MAX, |json| json.len());
    if size > LONGEST_PREFERENCES {
        Err(UserError::PreferencesTooLarge)
    } else {
        Ok(vec![E::PreferencesSet { preferences }])
    }
}

/// RFC 7396, section 2.
fn merge(target: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => _ = target.remove(&name),
            Value::Object(patch) => {
                let inner = target.entry(name).or_insert_with(|| Value::Object(Map::new()));
                if !inner.is_object() {
                    *inner = Value::Object(Map::new());
                }
                if let Value::Object(inner) = inner {
                    merge(inner, patch);
                }
            }
            plain @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                _ = target.insert(name, plain);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cqrs_es::test::TestFramework;
    use serde_json::json;

    fn user() -> TestFramework<User> {
        TestFramework::with(())
    }

    fn registered() -> E {
        let text = |text: &str| text.to_owned();
        E::UserRegistered {
            email: text("ada@example.org").try_into().expect("good"),
            username: text("ada").try_into().expect("good"),
            display_name: text("Ada").try_into().expect("good"),
        }
    }

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(fields) = value else { panic!("not an object: {value}") };
        fields
    }

    fn set(value: Value) -> E {
        E::PreferencesSet { preferences: object(value) }
    }

    fn prefer(patch: Value) -> C {
        C::Prefer { patch: object(patch) }
    }

    #[test]
    fn preferences_are_patched() {
        user()
            .given(vec![registered(), set(json!({"theme": "dark", "list": {"a": 1, "b": 2}}))])
            .when(prefer(json!({"theme": null, "list": {"a": null, "c": 3}})))
            .then_expect_events(vec![set(json!({"list": {"b": 2, "c": 3}}))]);
    }

    #[test]
    fn a_patch_without_effect_changes_nothing() {
        user().given(vec![registered()]).when(prefer(json!({"theme": null}))).then_expect_events(vec![]);
    }

    #[test]
    fn preferences_that_are_too_large_are_refused() {
        user()
            .given(vec![registered()])
            .when(prefer(json!({"x": "a".repeat(70_000)})))
            .then_expect_error(UserError::PreferencesTooLarge);
    }

    /// They are encrypted, and so need no canonical bytes.
    #[test]
    fn preferences_take_every_number_and_tell_a_float_from_an_integer() {
        let numbers =
            json!({"zoom": 1.25, "one": 1.0, "all": [1e300, 5e-324, u64::MAX, i64::MIN, {"deep": -0.5}]});
        user()
            .given(vec![registered()])
            .when(prefer(numbers.clone()))
            .then_expect_events(vec![set(numbers.clone())]);
        user()
            .given(vec![registered(), set(numbers.clone())])
            .when(prefer(numbers))
            .then_expect_events(vec![]);
        user()
            .given(vec![registered(), set(json!({"one": 1}))])
            .when(prefer(json!({"one": 1.0})))
            .then_expect_events(vec![set(json!({"one": 1.0}))]);
    }

    #[test]
    fn editing_nothing_changes_nothing() {
        let same = C::Edit { display_name: None, first_name: Some(None), last_name: None, avatar_url: None };
        user().given(vec![registered()]).when(same).then_expect_events(vec![]);
    }
}
