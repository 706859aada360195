//! Members: who was granted which role on a container. One aggregate for each container and principal, so that those who
//! join do not disturb those who write.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use crate::domain::access::{Container, Effect, NoScope, Principal, Role, Scopes};

/// A fact about the grant of one principal on one container. Its scopes name both. Stored for ever: add variants and optional
/// fields, never rename.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::AsRefStr, strum::VariantNames)]
#[serde(tag = "type")]
pub enum MemberEvent {
    /// Somebody was granted a role, who had none here.
    MemberAdded {
        /// Which role.
        role: Role,
    },
    /// They have another role now.
    MemberRoleChanged {
        /// Which role.
        role: Role,
    },
    /// They have none any more.
    MemberRemoved,
}

/// The id of a grant's aggregate, as text `<container>/<id of the principal>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MemberId {
    /// On what.
    pub container: Container,
    /// Who.
    pub principal: Principal,
}

impl MemberEvent {
    /// The version of this event's form.
    pub fn version(&self) -> &'static str {
        match self {
            Self::MemberAdded { .. } | Self::MemberRoleChanged { .. } | Self::MemberRemoved => "1.0",
        }
    }

    /// All of them: a grant has no key.
    pub fn is_in_clear(&self) -> bool {
        match self {
            Self::MemberAdded { .. } | Self::MemberRoleChanged { .. } | Self::MemberRemoved => true,
        }
    }

    /// What it does to containers and grants.
    pub fn effects(&self, scopes: &Scopes) -> Vec<Effect> {
        let Some((container, principal)) = scopes.container().zip(scopes.principal()) else {
            return Vec::new();
        };
        match *self {
            Self::MemberAdded { role } | Self::MemberRoleChanged { role } => {
                vec![Effect::Granted { container, principal, role }]
            }
            Self::MemberRemoved => vec![Effect::Revoked { container, principal }],
        }
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.container, self.principal.id())
    }
}

impl FromStr for MemberId {
    type Err = NoScope;

    fn from_str(text: &str) -> Result<Self, NoScope> {
        let (container, principal) = text.split_once('/').ok_or(NoScope)?;
        let principal: Hyphenated = principal.parse().map_err(|_| NoScope)?;
        Ok(Self { container: container.parse()?, principal: Uuid::from(principal).into() })
    }
}

crate::aggregate_event!(MemberEvent, aggregate: "member");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::access::Kind;
    use crate::domain::id::UserId;
    use crate::domain::tests::{ID, keep_effects, keep_stored_form};

    pub(super) fn samples() -> Vec<MemberEvent> {
        vec![
            MemberEvent::MemberAdded { role: Role::Owner },
            MemberEvent::MemberRoleChanged { role: Role::Viewer },
            MemberEvent::MemberRemoved,
        ]
    }

    #[test]
    pub(super) fn every_event_keeps_its_stored_form() {
        keep_stored_form(&samples(), |stored| {
            insta::assert_snapshot!(stored, @r#"
            MemberAdded 1.0 {"role":"owner"}
            MemberRoleChanged 1.0 {"role":"viewer"}
            MemberRemoved 1.0 {}
            "#);
        });
    }

    #[test]
    pub(super) fn every_event_keeps_its_effects() {
        let note = "note:0193a5f0-0000-7000-8000-000000000003";
        let scopes = [note, "notebook:0193a5f0-0000-7000-8000-000000000002", "everyone"];
        keep_effects(&samples(), &scopes, |stored| {
            insta::assert_snapshot!(stored, @r#"
            MemberAdded [{"granted":{"container":"note:0193a5f0-0000-7000-8000-000000000003","principal":"everyone","role":"owner"}}]
            MemberRoleChanged [{"granted":{"container":"note:0193a5f0-0000-7000-8000-000000000003","principal":"everyone","role":"viewer"}}]
            MemberRemoved [{"revoked":{"container":"note:0193a5f0-0000-7000-8000-000000000003","principal":"everyone"}}]
            "#);
        });
    }

    #[test]
    fn the_ids_of_grants() {
        let container = Container { kind: Kind::Note, id: ID };
        let of = |principal| MemberId { container, principal };
        let ids = [Principal::User(UserId(ID)), Principal::Everyone, Principal::Public].map(of);
        let texts = ids.map(|id| id.to_string());
        for (id, text) in ids.iter().zip(&texts) {
            assert_eq!(text.parse(), Ok(*id));
        }
        insta::assert_snapshot!(texts.join("\n"), @r"
        note:0193a5f0-0000-7000-8000-000000000001/0193a5f0-0000-7000-8000-000000000001
        note:0193a5f0-0000-7000-8000-000000000001/00000000-0000-0000-0000-000000000000
        note:0193a5f0-0000-7000-8000-000000000001/ffffffff-ffff-ffff-ffff-ffffffffffff
        ");
        for wrong in ["", "note:7/8", &ID.to_string(), &format!("note:{ID}"), &format!("note:{ID}/everyone")]
        {
            assert_eq!(wrong.parse::<MemberId>(), Err(NoScope), "{wrong}");
        }
    }
}
