//! The rules of a grant, on one page.

use serde::{Deserialize, Serialize};
use shared::domain::access::Role;
use shared::domain::members::MemberEvent;
use shared::process::problem::Problem;

use super::commands::authorize;
use super::{MemberCommand, MemberContext, MemberError};
use crate::app::{At, Decide};
use crate::app::{Authorized, UnitOfWork};

/// What one principal was granted on one container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Member {
    /// Nothing, or nothing any more.
    #[default]
    Without,
    /// A role.
    Holds {
        /// Which.
        role: Role,
        /// The position of the event that granted it. Another role does not change it.
        since: i64,
    },
}

use MemberCommand as C;
use MemberEvent as E;

impl Member {
    /// What was granted, if it was granted after all grants on the container ended the last time, at position `cleared`.
    pub fn role(self, cleared: i64) -> Option<Role> {
        match self {
            Self::Holds { role, since } if since > cleared => Some(role),
            Self::Holds { .. } | Self::Without => None,
        }
    }

    fn evolve(&mut self, event: E) {
        match (event, &mut *self) {
            // Where it stands is said by `apply_at`; until it is recorded, it is behind all that is.
            (E::MemberAdded { role }, _) => *self = Self::Holds { role, since: i64::MAX },
            (E::MemberRoleChanged { role: new }, Self::Holds { role, .. }) => *role = new,
            (E::MemberRoleChanged { .. }, Self::Without) => (),
            (E::MemberRemoved, _) => *self = Self::Without,
        }
    }
}

impl Decide for Member {
    const SNAPSHOT_VERSION: i32 = 1;
    const MISSING: Self::Error = MemberError::Missing;

    /// Most of those who are granted a role had none before. That one had is found out by the append.
    fn creates(commands: &[C]) -> bool {
        matches!(commands.first(), Some(C::Grant { .. }))
    }

    fn decide(&self, command: C, context: &MemberContext) -> Result<Vec<E>, MemberError> {
        match (self.role(context.cleared), command) {
            (None, C::Grant { role }) => Ok(vec![E::MemberAdded { role }]),
            (Some(old), C::Grant { role }) if old == role => Ok(vec![]),
            (Some(_), C::Grant { role }) => Ok(vec![E::MemberRoleChanged { role }]),

            (None, C::Remove) => Ok(vec![]),
            (Some(_), C::Remove) => Ok(vec![E::MemberRemoved]),
        }
    }

    fn apply_at(&mut self, event: E, at: At) {
        let is_added = matches!(event, E::MemberAdded { .. });
        self.evolve(event);
        if let Self::Holds { since, .. } = self
            && is_added
        {
            *since = at.position;
        }
    }

    async fn authorize(
        &self,
        work: &mut UnitOfWork<'_>,
        id: &str,
        commands: &[C],
    ) -> Result<Authorized<MemberContext>, Problem> {
        authorize(self, work, id, commands).await
    }
}

crate::aggregate!(Member, MemberEvent, MemberCommand, MemberError, MemberContext);

#[cfg(test)]
mod tests {
    use super::*;
    use cqrs_es::test::TestFramework;

    fn member() -> TestFramework<Member> {
        TestFramework::with(MemberContext { cleared: 0 })
    }

    fn added() -> E {
        E::MemberAdded { role: Role::Viewer }
    }

    #[test]
    fn somebody_is_added_then_changed_then_removed() {
        let grant = |role| C::Grant { role };
        let changed = E::MemberRoleChanged { role: Role::Editor };
        member().given_no_previous_events().when(grant(Role::Viewer)).then_expect_events(vec![added()]);
        member().given(vec![added()]).when(grant(Role::Editor)).then_expect_events(vec![changed.clone()]);
        member().given(vec![added(), changed]).when(C::Remove).then_expect_events(vec![E::MemberRemoved]);
    }

    #[test]
    fn asking_for_what_already_holds_changes_nothing() {
        let again = C::Grant { role: Role::Viewer };
        member().given(vec![added()]).when(again).then_expect_events(vec![]);
        member().given(vec![added(), E::MemberRemoved]).when(C::Remove).then_expect_events(vec![]);
        let changed = vec![E::MemberAdded { role: Role::Owner }, E::MemberRoleChanged { role: Role::Viewer }];
        member().given(changed).when(again).then_expect_events(vec![]);
    }

    #[test]
    fn one_who_was_removed_can_be_added_again() {
        member()
            .given(vec![added(), E::MemberRemoved])
            .when(C::Grant { role: Role::Viewer })
            .then_expect_events(vec![added()]);
    }

    #[test]
    fn commands_that_are_decided_together_build_on_each_other() {
        let decided = |commands: [C; 2]| {
            let mut member = Member::default();
            let decide = |command| {
                let events = member.decide(command, &MemberContext { cleared: 5 }).expect("it may be asked");
                events.iter().cloned().for_each(|event| member.evolve(event));
                events
            };
            commands.into_iter().flat_map(decide).collect::<Vec<_>>()
        };
        let [viewer, editor] = [Role::Viewer, Role::Editor].map(|role| C::Grant { role });
        assert_eq!(decided([viewer, C::Remove]), [added(), E::MemberRemoved]);
        assert_eq!(decided([viewer, editor]), [added(), E::MemberRoleChanged { role: Role::Editor }]);
        assert_eq!(decided([viewer, viewer]), [added()]);
    }

    /// A member who was added at position 5, and whose role was changed at 7.
    fn changed_at_7() -> Member {
        let mut member = Member::default();
        member.apply_at(added(), At::new(5, "ada"));
        member.apply_at(E::MemberRoleChanged { role: Role::Editor }, At::new(7, "ada"));
        member
    }

    #[test]
    fn another_role_is_no_other_grant() {
        assert_eq!(changed_at_7(), Member::Holds { role: Role::Editor, since: 5 });
    }

    #[test]
    fn a_grant_ends_when_all_on_its_container_do() {
        let member = changed_at_7();
        assert_eq!([4, 5, 6].map(|cleared| member.role(cleared)), [Some(Role::Editor), None, None]);
        let cleared = MemberContext { cleared: 6 };
        let again = member.decide(C::Grant { role: Role::Editor }, &cleared);
        assert_eq!(again, Ok(vec![E::MemberAdded { role: Role::Editor }]));
        assert_eq!(member.decide(C::Remove, &cleared), Ok(vec![]));
    }
}
