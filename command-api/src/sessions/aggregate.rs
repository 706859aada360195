//! The rules of a session, on one page.

use serde::{Deserialize, Serialize};
use shared::domain::id::UserId;
use shared::domain::sessions::SessionEvent;
use shared::process::problem::Problem;

use super::commands::authorize;
use super::{SessionCommand, SessionError};
use crate::app::Decide;
use crate::app::{Authorized, UnitOfWork};

/// One login.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Session {
    /// Never opened.
    #[default]
    Missing,
    /// Its tokens are good.
    Open {
        /// Whose it is.
        user_id: UserId,
    },
    /// Its tokens are good for nothing any more.
    Ended {
        /// Whose it was.
        user_id: UserId,
    },
}

use SessionCommand as C;
use SessionEvent as E;

impl Session {
    /// Whose it is or was.
    pub fn user(self) -> Option<UserId> {
        match self {
            Self::Missing => None,
            Self::Open { user_id } | Self::Ended { user_id } => Some(user_id),
        }
    }

    /// Whether this person may act by it.
    pub fn is_open_for(self, user: UserId) -> bool {
        self == Self::Open { user_id: user }
    }

    #[expect(clippy::needless_pass_by_value, reason = "all aggregates evolve alike")]
    fn evolve(&mut self, event: E) {
        *self = match event {
            E::SessionOpened { user_id, .. } => Self::Open { user_id },
            E::SessionEnded { user_id } => Self::Ended { user_id },
        }
    }
}

impl Decide for Session {
    const SNAPSHOT_VERSION: i32 = 1;
    const MISSING: Self::Error = SessionError::Missing;

    fn creates(commands: &[C]) -> bool {
        matches!(commands.first(), Some(C::Open { .. }))
    }

    fn decide(&self, command: C, (): &()) -> Result<Vec<E>, SessionError> {
        match (self, command) {
            (Self::Missing, C::Open { user_id, device, address, .. }) => {
                Ok(vec![E::SessionOpened { user_id, device, address }])
            }
            (Self::Missing, C::End) => Err(SessionError::Missing),
            (Self::Open { .. } | Self::Ended { .. }, C::Open { .. }) => Err(SessionError::AlreadyExists),
            (Self::Open { user_id }, C::End) => Ok(vec![E::SessionEnded { user_id: *user_id }]),
            (Self::Ended { .. }, C::End) => Ok(vec![]),
        }
    }

    async fn authorize(
        &self,
        work: &mut UnitOfWork<'_>,
        id: &str,
        commands: &[C],
    ) -> Result<Authorized, Problem> {
        authorize(self, work, id, commands).await
    }
}

crate::aggregate!(Session, SessionEvent, SessionCommand, SessionError, ());

#[cfg(test)]
mod tests {
    use super::*;
    use cqrs_es::test::TestFramework;
    use uuid::Uuid;

    fn user() -> UserId {
        UserId(Uuid::from_u128(1))
    }

    fn opened() -> E {
        E::SessionOpened { user_id: user(), device: None, address: None }
    }

    fn session() -> TestFramework<Session> {
        TestFramework::with(())
    }

    #[test]
    fn a_session_ends_once() {
        let ended = E::SessionEnded { user_id: user() };
        session().given(vec![opened()]).when(C::End).then_expect_events(vec![ended.clone()]);
        session().given(vec![opened(), ended]).when(C::End).then_expect_events(vec![]);
    }

    #[test]
    fn a_session_that_never_was_cannot_end() {
        session().given_no_previous_events().when(C::End).then_expect_error(SessionError::Missing);
    }

    #[test]
    fn an_ended_session_is_open_for_nobody() {
        let mut session = Session::default();
        session.evolve(opened());
        assert!(session.is_open_for(user()));
        assert!(!session.is_open_for(UserId(Uuid::from_u128(2))));
        session.evolve(E::SessionEnded { user_id: user() });
        assert!(!session.is_open_for(user()));
    }
}
