//! Who may do something, and what somebody who asks for it is answered: one pure function.

use strum::VariantArray;

use super::{Kind, Role};

/// Who may do something, with what, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Who.
    pub who: Who,
    /// What it may be done with; nothing if it concerns no thing in particular, or only the caller's own account.
    pub on: &'static [On],
    /// Whether guests may.
    pub guests: bool,
    /// Whether it can be done with what is in the trash.
    pub in_trash: bool,
}

/// Who may do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Also those who are not signed in.
    Anyone,
    /// All who are signed in.
    SignedIn,
    /// Those with this role or a higher one on the thing.
    Role(Role),
}

/// What decides who may do something with a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// The container that it is, or is a part of.
    Container(Kind),
    /// The person whose it is, who counts as its owner; nobody else has a role.
    Person,
}

/// What is known of the caller and the thing when somebody asks for an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Situation {
    /// Who asks; `None`: nobody who is signed in.
    pub account: Option<Account>,
    /// The caller's role on the thing, from whichever grant it comes. `None` as well if there is no such thing.
    pub role: Option<Role>,
    /// The thing's.
    pub state: State,
}

/// The types of accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// Is a viewer at most, whatever was granted.
    Guest,
    /// Everybody else.
    User,
}

/// What has become of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is there.
    Live,
    /// A container of this kind is in the trash: the thing itself, or what it is in.
    Trashed(Kind),
    /// It was deleted for ever.
    Ended,
}

/// What the caller is answered, before anything else of the request is looked at. The later ones tell more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// 401: who are you?
    LogIn,
    /// 404: the same as if there were no such thing.
    Unseen,
    /// 403: you may see it, but not do this.
    Forbidden,
    /// 409: you may do this, but not while it is in the trash.
    Trashed,
    /// You may.
    Yes,
}

impl Rule {
    pub(super) const fn anyone() -> Self {
        Self { who: Who::Anyone, on: &[], guests: true, in_trash: false }
    }

    pub(super) const fn signed_in() -> Self {
        Self { who: Who::SignedIn, ..Self::anyone() }
    }

    pub(super) const fn no_guests() -> Self {
        Self { guests: false, ..Self::signed_in() }
    }

    /// Viewers do it. What is in the trash is read by those who may restore it.
    pub(super) const fn reads(on: &'static [On]) -> Self {
        Self { who: Who::Role(Role::Viewer), on, guests: true, in_trash: true }
    }

    pub(super) const fn changes(on: &'static [On], least: Role) -> Self {
        Self { who: Who::Role(least), on, guests: false, in_trash: false }
    }

    /// What somebody who asks is answered.
    pub fn answer(&self, situation: Situation) -> Answer {
        if self.who == Who::Anyone {
            return Answer::Yes;
        }
        let Some(account) = situation.account else { return Answer::LogIn };
        let is_refused_guest = account == Account::Guest && !self.guests;
        let Who::Role(least) = self.who else {
            return if is_refused_guest { Answer::Forbidden } else { Answer::Yes };
        };
        let Some(role) = situation.sight() else { return Answer::Unseen };
        let is_trashed = matches!(situation.state, State::Trashed(_));
        if role < least || is_refused_guest {
            Answer::Forbidden
        } else if is_trashed && !self.in_trash {
            Answer::Trashed
        } else {
            Answer::Yes
        }
    }

    /// Whether there is a situation that is answered so.
    pub fn can(&self, answer: Answer) -> bool {
        Situation::all().into_iter().any(|situation| self.answer(situation) == answer)
    }
}

impl Kind {
    /// The least role that trashes and restores a container of this kind.
    const fn restored_by(self) -> Role {
        if self.is_child() { Role::Editor } else { Role::Owner }
    }
}

impl Situation {
    /// Of a user with a role on something that is there.
    pub fn live(role: Option<Role>) -> Self {
        Self { account: Some(Account::User), role, state: State::Live }
    }

    /// All there are.
    pub fn all() -> Vec<Self> {
        let mut states = vec![State::Live, State::Ended];
        states.extend(Kind::VARIANTS.iter().map(|kind| State::Trashed(*kind)));
        let mut all = Vec::new();
        for account in [None, Some(Account::Guest), Some(Account::User)] {
            for role in [None, Some(Role::Viewer), Some(Role::Editor), Some(Role::Owner)] {
                all.extend(states.iter().map(|state| Self { account, role, state: *state }));
            }
        }
        all
    }

    /// The role that counts, if the caller sees the thing: what is in the trash is seen by those who may restore it.
    fn sight(self) -> Option<Role> {
        let most = match self.account? {
            Account::Guest => Role::Viewer,
            Account::User => Role::Owner,
        };
        let role = self.role?.min(most);
        let sees = match self.state {
            State::Live => true,
            State::Trashed(kind) => role >= kind.restored_by(),
            State::Ended => false,
        };
        sees.then_some(role)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Action;
    use super::*;

    /// Every action in every situation, and its answer.
    fn answers() -> impl Iterator<Item = (Action, Rule, Situation, Answer)> {
        Action::ALL.iter().flat_map(|action| {
            let rule = action.rule();
            let each = move |situation| (*action, rule, situation, rule.answer(situation));
            Situation::all().into_iter().map(each)
        })
    }

    fn is_on_something(rule: &Rule) -> bool {
        matches!(rule.who, Who::Role(_))
    }

    #[test]
    fn only_roles_are_about_things() {
        for action in Action::ALL {
            let rule = action.rule();
            assert_eq!(is_on_something(&rule), !rule.on.is_empty(), "{action:?}");
            assert!(is_on_something(&rule) || !rule.in_trash, "{action:?}");
        }
    }

    #[test]
    fn whoever_is_not_signed_in_is_asked_to_log_in() {
        for (action, rule, situation, answer) in
            answers().filter(|(.., situation, _)| situation.account.is_none())
        {
            let due = if rule.who == Who::Anyone { Answer::Yes } else { Answer::LogIn };
            assert_eq!(answer, due, "{action:?} {situation:?}");
        }
    }

    #[test]
    fn without_a_role_nothing_is_there() {
        let strangers =
            answers().filter(|(_, rule, situation, _)| is_on_something(rule) && situation.role.is_none());
        for (action, _, situation, answer) in strangers {
            let due = if situation.account.is_some() { Answer::Unseen } else { Answer::LogIn };
            assert_eq!(answer, due, "{action:?} {situation:?}");
        }
    }

    #[test]
    fn what_has_ended_is_there_for_nobody() {
        let ended = answers().filter(|(_, rule, situation, _)| {
            is_on_something(rule) && situation.account.is_some() && situation.state == State::Ended
        });
        for (action, _, situation, answer) in ended {
            assert_eq!(answer, Answer::Unseen, "{action:?} {situation:?}");
        }
    }

    #[test]
    fn a_higher_role_never_has_less() {
        for (action, rule, situation, answer) in answers() {
            let higher = Situation::all().into_iter().filter(|other| {
                *other == Situation { role: other.role, ..situation } && other.role >= situation.role
            });
            for other in higher {
                assert!(rule.answer(other) >= answer, "{action:?} {situation:?} {other:?}");
            }
        }
    }

    #[test]
    fn a_guest_may_what_says_so_and_never_more_than_a_viewer() {
        for (action, rule, situation, answer) in
            answers().filter(|(.., situation, _)| situation.account == Some(Account::Guest))
        {
            assert!(answer != Answer::Yes || rule.guests, "{action:?} {situation:?}");
            let viewer = Situation {
                account: Some(Account::User),
                role: situation.role.map(|_| Role::Viewer),
                ..situation
            };
            assert!(answer <= rule.answer(viewer), "{action:?} {situation:?}");
        }
    }

    #[test]
    fn what_is_in_the_trash_is_seen_by_those_who_may_restore_it() {
        for (action, rule, situation, answer) in answers() {
            let State::Trashed(kind) = situation.state else { continue };
            let live = rule.answer(Situation { state: State::Live, ..situation });
            let restores =
                situation.role >= Some(kind.restored_by()) && situation.account == Some(Account::User);
            let due = if !is_on_something(&rule) {
                live
            } else if !restores {
                live.min(Answer::Unseen)
            } else if !rule.in_trash {
                live.min(Answer::Trashed)
            } else {
                live
            };
            assert_eq!(answer, due, "{action:?} {situation:?}");
        }
    }

    #[test]
    fn whatever_a_role_may_not_do_with_what_it_sees_is_forbidden() {
        let seen = answers().filter(|(.., situation, _)| {
            *situation == Situation::live(situation.role) && situation.role.is_some()
        });
        for (action, rule, situation, answer) in seen {
            let may = !matches!(rule.who, Who::Role(least) if situation.role < Some(least));
            assert_eq!(answer, if may { Answer::Yes } else { Answer::Forbidden }, "{action:?} {situation:?}");
        }
    }
}
