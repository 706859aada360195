//! Access as data: roles and the one rule by which they combine, containers, grants, what an event does to both, and who
//! may do what.

mod action;
mod effect;
mod grant;
mod rule;
mod scope;

use serde::{Deserialize, Serialize};

pub use action::{Action, Way};
pub use effect::{Effect, EffectError, Left, MOST_EFFECTS};
pub use grant::Grant;
pub use rule::{Account, Answer, On, Rule, Situation, State, Who};
pub use scope::{Container, Kind, NoScope, Principal, Scope, Scopes};

/// What somebody may do with a notebook or a note, from least to most.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "log", derive(sqlx::Type))]
#[repr(i16)]
pub enum Role {
    /// Reads.
    Viewer = 1,
    /// Changes content, trashes and restores.
    Editor,
    /// Shares, renames, deletes for ever.
    Owner,
}

/// The role that counts: the higher of the direct and the inherited one.
pub fn effective(direct: Option<Role>, inherited: Option<Role>) -> Option<Role> {
    direct.max(inherited)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_higher_role_counts() {
        assert_eq!(effective(Some(Role::Viewer), Some(Role::Owner)), Some(Role::Owner));
        assert_eq!(effective(Some(Role::Editor), None), Some(Role::Editor));
        assert_eq!(effective(None, None), None);
    }
}
