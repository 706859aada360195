//! Scopes: the containers and persons that an event names, in clear.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use strum::VariantArray;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use crate::domain::id::UserId;

/// The kinds of containers: the one list of them. A kind is named like its aggregate type.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::AsRefStr,
    strum::EnumString,
    strum::VariantArray,
)]
#[strum(serialize_all = "lowercase")]
#[cfg_attr(feature = "log", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "lowercase"))]
pub enum Kind {
    /// A root: it is in no other container.
    Notebook,
    /// A child: it is in a notebook, and may move to another one.
    Note,
}

impl Kind {
    /// Whether it is in another container.
    pub const fn is_child(self) -> bool {
        match self {
            Self::Notebook => false,
            Self::Note => true,
        }
    }

    /// The read table of the containers of this kind.
    pub fn table(self) -> &'static str {
        match self {
            Self::Notebook => "notebooks",
            Self::Note => "notes",
        }
    }

    /// The kind whose containers are in a read table.
    pub fn of_table(table: &str) -> Option<Self> {
        Self::VARIANTS.iter().copied().find(|kind| kind.table() == table)
    }
}

/// A thing with members: a root, or a child that is in a root. There is no third level. As text `notebook:<id>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Container {
    /// What kind of thing it is.
    pub kind: Kind,
    /// Its id, which is also the id of its aggregate.
    pub id: Uuid,
}

/// Who can be granted a role. As text `user:<id>`, `everyone` or `public`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Principal {
    /// A person.
    User(UserId),
    /// All who are signed in, guests excepted.
    Everyone,
    /// All, signed in or not.
    Public,
}

/// A container or a principal, as events record it and as clients subscribe to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// A container.
    Container(Container),
    /// A person, or many.
    Principal(Principal),
}

/// A text that is not a scope of this release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a scope is everyone, public, or user: or a kind of container with an id")]
pub struct NoScope;

/// The scopes of one event, in the order in which they are recorded: first the event's owner. A child is followed by the
/// container that it is in, one that moves by the one it left and then the one it went to. Of a part of a child, such as a
/// block, the scopes that it has now come before those that it left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes {
    owner: Option<Scope>,
    known: Vec<Scope>,
}

impl Principal {
    /// An id for each, where principals are told apart by ids: of a person their own, and two that are nobody's.
    pub fn id(self) -> Uuid {
        match self {
            Self::User(user) => user.0,
            Self::Everyone => Uuid::nil(),
            Self::Public => Uuid::max(),
        }
    }
}

impl From<Uuid> for Principal {
    fn from(id: Uuid) -> Self {
        match id {
            id if id.is_nil() => Self::Everyone,
            id if id.is_max() => Self::Public,
            id => Self::User(UserId(id)),
        }
    }
}

impl Scopes {
    /// Of recorded texts; those of a newer release are left out.
    pub fn parse<S: AsRef<str>>(texts: &[S]) -> Self {
        let scope = |text: &S| text.as_ref().parse().ok();
        // If the first one is unknown, so is the owner: the second is not taken for it.
        Self { owner: texts.first().and_then(scope), known: texts.iter().filter_map(scope).collect() }
    }

    /// Under whose key the event's data is encrypted; `None` if that is no scope of this release.
    pub fn owner(&self) -> Option<Scope> {
        self.owner
    }

    /// The owner, if it is a container.
    pub fn container(&self) -> Option<Container> {
        match self.owner? {
            Scope::Container(container) => Some(container),
            Scope::Principal(_) => None,
        }
    }

    /// All of them, in order.
    pub fn all(&self) -> &[Scope] {
        &self.known
    }

    /// The first principal that it names.
    pub fn principal(&self) -> Option<Principal> {
        self.known.iter().find_map(|scope| match *scope {
            Scope::Principal(principal) => Some(principal),
            Scope::Container(_) => None,
        })
    }

    /// What a child was in when the event was recorded: the container that follows it.
    pub fn parent_of(&self, child: Container) -> Option<Container> {
        let follows = |pair: &[Scope]| match *pair {
            [Scope::Container(first), Scope::Container(parent)] if first == child => Some(parent),
            _ => None,
        };
        self.known.windows(2).find_map(follows)
    }
}

impl FromStr for Container {
    type Err = NoScope;

    fn from_str(text: &str) -> Result<Self, NoScope> {
        let (kind, id) = text.split_once(':').ok_or(NoScope)?;
        let kind = kind.parse().map_err(|_| NoScope)?;
        let id: Hyphenated = id.parse().map_err(|_| NoScope)?;
        Ok(Self { kind, id: id.into_uuid() })
    }
}

impl FromStr for Principal {
    type Err = NoScope;

    fn from_str(text: &str) -> Result<Self, NoScope> {
        match text.split_once(':') {
            Some(("user", id)) => id.parse().map(Self::User).map_err(|_| NoScope),
            None if text == "everyone" => Ok(Self::Everyone),
            None if text == "public" => Ok(Self::Public),
            Some(_) | None => Err(NoScope),
        }
    }
}

impl FromStr for Scope {
    type Err = NoScope;

    fn from_str(text: &str) -> Result<Self, NoScope> {
        text.parse().map(Self::Principal).or_else(|NoScope| text.parse().map(Self::Container))
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.as_ref(), self.id)
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Everyone => f.write_str("everyone"),
            Self::Public => f.write_str("public"),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Container(container) => container.fmt(f),
            Self::Principal(principal) => principal.fmt(f),
        }
    }
}

impl TryFrom<String> for Container {
    type Error = NoScope;

    fn try_from(text: String) -> Result<Self, NoScope> {
        text.parse()
    }
}

impl From<Container> for String {
    fn from(container: Container) -> Self {
        container.to_string()
    }
}

impl TryFrom<String> for Principal {
    type Error = NoScope;

    fn try_from(text: String) -> Result<Self, NoScope> {
        text.parse()
    }
}

impl From<Principal> for String {
    fn from(principal: Principal) -> Self {
        principal.to_string()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;
    use strum::VariantArray;

    use super::*;

    pub(in crate::domain::access) fn any_container() -> impl Strategy<Value = Container> {
        (select(Kind::VARIANTS), any::<u128>())
            .prop_map(|(kind, id)| Container { kind, id: Uuid::from_u128(id) })
    }

    pub(in crate::domain::access) fn any_principal() -> impl Strategy<Value = Principal> {
        prop_oneof![
            any::<u128>().prop_map(|id| Principal::User(UserId(Uuid::from_u128(id)))),
            Just(Principal::Everyone),
            Just(Principal::Public),
        ]
    }

    fn any_scope() -> impl Strategy<Value = Scope> {
        prop_oneof![any_container().prop_map(Scope::Container), any_principal().prop_map(Scope::Principal)]
    }

    proptest! {
        #[test]
        fn scopes_read_what_they_write(scope in any_scope()) {
            prop_assert_eq!(scope.to_string().parse(), Ok(scope));
        }

        #[test]
        fn a_principal_is_told_by_its_id(principal in any_principal()) {
            prop_assert_eq!(Principal::from(principal.id()), principal);
        }

        #[test]
        fn no_two_scopes_have_one_text(one in any_scope(), other in any_scope()) {
            prop_assert_eq!(one == other, one.to_string() == other.to_string());
        }
    }

    const ONE: &str = "00000000-0000-7000-8000-000000000001";

    #[test]
    fn the_texts_of_scopes() {
        let id = Uuid::parse_str(ONE).expect("an id");
        let containers = Kind::VARIANTS.iter().map(|kind| Scope::Container(Container { kind: *kind, id }));
        let principals =
            [Principal::User(UserId(id)), Principal::Everyone, Principal::Public].map(Scope::Principal);
        let texts: Vec<String> = containers.chain(principals).map(|scope| scope.to_string()).collect();
        insta::assert_snapshot!(texts.join("\n"), @r"
        notebook:00000000-0000-7000-8000-000000000001
        note:00000000-0000-7000-8000-000000000001
        user:00000000-0000-7000-8000-000000000001
        everyone
        public
        ");
    }

    #[test]
    fn other_texts_are_no_scopes() {
        let others =
            ["", "*", "note", "note:", "note:7", "Note:", "everyone:", "Everyone", "public ", "user"];
        for wrong in others {
            assert_eq!(wrong.parse::<Scope>(), Err(NoScope), "{wrong}");
        }
        for wrong in [format!("song:{ONE}"), format!("public:{ONE}"), format!("note:{{{ONE}}}")] {
            assert_eq!(wrong.parse::<Scope>(), Err(NoScope), "{wrong}");
        }
    }

    #[test]
    fn the_owner_is_the_first_scope_and_no_other() {
        let texts = [format!("song:{ONE}"), format!("note:{ONE}")];
        let scopes = Scopes::parse(&texts);
        assert_eq!((scopes.owner(), scopes.container()), (None, None));
        assert_eq!(scopes.all().len(), 1);
        let scopes = Scopes::parse(&texts[1..]);
        assert_eq!(scopes.container(), texts[1].parse().ok());
        assert_eq!(Scopes::parse(&[format!("user:{ONE}")]).container(), None);
        assert_eq!(Scopes::parse::<&str>(&[]), Scopes::default());
    }

    #[test]
    fn a_child_was_in_the_container_that_follows_it() {
        let [here, there, lab, safe] = [("note", 1), ("note", 2), ("notebook", 3), ("notebook", 4)]
            .map(|(kind, id)| Container { kind: kind.parse().expect("a kind"), id: Uuid::from_u128(id) });
        let texts = [here, safe, there, lab].map(|container| container.to_string());
        let scopes = Scopes::parse(&texts);
        assert_eq!(scopes.parent_of(here), Some(safe));
        assert_eq!(scopes.parent_of(there), Some(lab));
        assert_eq!(scopes.parent_of(lab), None);
        let person = [there.to_string(), "everyone".to_owned(), lab.to_string()];
        assert_eq!(Scopes::parse(&person).parent_of(there), None);
    }
}
