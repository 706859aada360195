//! What one socket has subscribed to: scopes or everything, each perhaps for some event types only.

use std::collections::{HashMap, HashSet};

use shared::domain::access::{Action, Answer, Container, Role, Scope, Situation};
use shared::domain::id::UserId;
use shared::log::sight::{Access, is_one_of, sees, sight};

use super::frames::TOPICS;
use super::ring::Pushed;

/// A topic as clients name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Topic {
    /// `*`: all that I may see.
    All,
    /// One scope.
    Of(Scope),
}

/// Why topics were refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("a topic does not exist, or you may not see it")]
    Unseen,
    #[error("too many topics on one socket")]
    TooMany,
}

impl Refusal {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Unseen => "topic-unseen",
            Self::TooMany => "too-many-topics",
        }
    }
}

/// The event types wanted; `None`: all.
pub(super) type Types = Option<HashSet<String>>;

/// Everything one socket has subscribed to.
#[derive(Clone, Debug, Default)]
pub(super) struct Topics(HashMap<Topic, Types>);

/// Reads topics; a text that is no scope is a topic that is not there.
pub(super) fn parse(topics: &[String]) -> Result<Vec<Topic>, Refusal> {
    topics.iter().map(|topic| topic.parse()).collect()
}

/// Whether the person may subscribe to all of them.
pub(super) fn may_all(access: &impl Access, user: UserId, topics: &[Topic]) -> bool {
    topics.iter().all(|topic| {
        let situation = Situation::live(topic.role(access, user));
        topic.action().rule().answer(situation) == Answer::Yes
    })
}

/// The containers among the topics: where they are must be known to judge them.
pub(super) fn containers(topics: &[Topic]) -> Vec<Container> {
    let container = |topic: &Topic| match topic {
        Topic::Of(Scope::Container(container)) => Some(*container),
        Topic::All | Topic::Of(Scope::Principal(_)) => None,
    };
    topics.iter().filter_map(container).collect()
}

impl Topic {
    /// What subscribing to it is.
    fn action(self) -> Action {
        match self {
            Self::All => Action::TopicAll,
            Self::Of(scope) => Action::topic(scope),
        }
    }

    /// The person's role on what it is about.
    fn role(self, access: &impl Access, user: UserId) -> Option<Role> {
        match self {
            Self::All => None,
            Self::Of(Scope::Container(container)) => sight(access, user, container),
            Self::Of(Scope::Principal(principal)) => {
                is_one_of(access, user, principal).then_some(Role::Owner)
            }
        }
    }
}

impl Topics {
    /// Subscribes; a topic subscribed again takes its new event types.
    pub(super) fn add(&mut self, topics: &[Topic], types: &Types) -> Result<(), Refusal> {
        let new: HashSet<&Topic> = topics.iter().filter(|topic| !self.0.contains_key(topic)).collect();
        if self.0.len() + new.len() > TOPICS {
            return Err(Refusal::TooMany);
        }
        self.0.extend(topics.iter().map(|topic| (*topic, types.clone())));
        Ok(())
    }

    /// Unsubscribes; what was not subscribed is not missed.
    pub(super) fn remove(&mut self, topics: &[Topic]) {
        self.0.retain(|topic, _| !topics.contains(topic));
    }

    /// Whether everything is subscribed, beside the scopes of [`Topics::scopes`].
    pub(super) fn all(&self) -> bool {
        self.0.contains_key(&Topic::All)
    }

    /// The scopes subscribed one by one.
    pub(super) fn scopes(&self) -> impl Iterator<Item = Scope> {
        self.0.keys().filter_map(|topic| match topic {
            Topic::All => None,
            Topic::Of(scope) => Some(*scope),
        })
    }

    /// Whether this socket asked for an event; never for one that is shown to nobody.
    pub(super) fn want(&self, pushed: &Pushed) -> bool {
        if pushed.frame.is_none() {
            return false;
        }
        let type_fits = |types: &Types| types.as_ref().is_none_or(|types| types.contains(&pushed.event_type));
        self.0.iter().any(|(topic, types)| {
            type_fits(types)
                && match topic {
                    Topic::All => true,
                    Topic::Of(scope) => pushed.news.subject.scopes.contains(scope),
                }
        })
    }

    /// Whether an event of the past is to be sent: asked for by a topic, and visible now.
    pub(super) fn show(&self, access: &impl Access, user: UserId, pushed: &Pushed) -> bool {
        self.want(pushed) && sees(access, user, &pushed.news.subject)
    }
}

impl std::str::FromStr for Topic {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        if text == "*" {
            return Ok(Self::All);
        }
        text.parse().map(Self::Of).map_err(|_| Refusal::Unseen)
    }
}

#[cfg(test)]
mod tests {
    use shared::domain::access::Way;

    use super::*;

    #[test]
    fn every_kind_of_topic_has_an_action() {
        let id = "0193a5f0-0000-7000-8000-00000000abcd";
        let topics = ["*".to_owned(), format!("user:{id}"), format!("notebook:{id}"), format!("note:{id}")];
        let asked = parse(&topics).expect("topics").into_iter().map(Topic::action);
        let due = Action::ALL.iter().copied().filter(|action| action.way() == Way::Topic);
        assert_eq!(asked.collect::<Vec<_>>(), due.collect::<Vec<_>>());
    }
}
