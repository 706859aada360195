//! Grants: who has which role on a container, from one position to another.

use super::Role;

/// The role of one principal on one container, now or in the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The role, or the last one before it ended.
    pub role: Role,
    /// The position of the event that granted it. Another role does not change it.
    pub since: i64,
    /// The position of the event that ended it.
    pub until: Option<i64>,
}

impl Grant {
    /// The grant after a role was granted at a position. One that had ended begins again there: what happened in between
    /// stays unseen.
    #[must_use]
    pub fn granted(earlier: Option<Self>, role: Role, position: i64) -> Self {
        let since = earlier.filter(Self::is_active).map_or(position, |grant| grant.since);
        Self { role, since, until: None }
    }

    /// The grant after it was revoked, or its container ended or was cleared. One that had ended stays as it was.
    #[must_use]
    pub fn ended(self, position: i64) -> Self {
        Self { until: self.until.or(Some(position)), ..self }
    }

    /// Whether it holds.
    pub fn is_active(&self) -> bool {
        self.until.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_role_keeps_since() {
        let grant = Grant::granted(None, Role::Viewer, 3);
        assert_eq!(grant, Grant { role: Role::Viewer, since: 3, until: None });
        let grant = Grant::granted(Some(grant), Role::Editor, 5);
        assert_eq!(grant, Grant { role: Role::Editor, since: 3, until: None });
    }

    #[test]
    fn a_grant_ends_once_and_begins_again_later() {
        let ended = Grant::granted(None, Role::Owner, 3).ended(7);
        assert_eq!(ended, Grant { role: Role::Owner, since: 3, until: Some(7) });
        assert_eq!(ended.ended(9), ended);
        assert!(!ended.is_active());
        let again = Grant::granted(Some(ended), Role::Viewer, 11);
        assert_eq!(again, Grant { role: Role::Viewer, since: 11, until: None });
    }
}
