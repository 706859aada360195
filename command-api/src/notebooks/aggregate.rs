//! The rules of a notebook, on one page.

use serde::{Deserialize, Serialize};
use shared::domain::notebooks::NotebookEvent;
use shared::domain::text::{Description, Title};
use shared::process::problem::Problem;

use super::commands::authorize;
use super::{NotebookCommand, NotebookError};
use crate::app::Decide;
use crate::app::{Authorized, UnitOfWork};

/// A notebook, as far as its rules need it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notebook {
    /// Not created.
    #[default]
    Missing,
    /// There.
    Live {
        /// What it is called.
        name: Title,
        /// What it is about; `None` until somebody says, and when it was cleared.
        description: Option<Description>,
    },
}

use NotebookCommand as C;
use NotebookEvent as E;

impl Notebook {
    /// Whether there is one.
    pub fn is_there(&self) -> bool {
        match self {
            Self::Missing => false,
            Self::Live { .. } => true,
        }
    }

    fn evolve(&mut self, event: E) {
        match (event, self) {
            (E::NotebookCreated { owner: _, name }, notebook) => {
                *notebook = Self::Live { name, description: None };
            }
            (E::NotebookRenamed { name: new }, Self::Live { name, .. }) => *name = new,
            (E::NotebookDescribed { description: new }, Self::Live { description, .. }) => {
                *description = new;
            }
            (E::NotebookRenamed { .. } | E::NotebookDescribed { .. }, Self::Missing) => (),
        }
    }
}

impl Decide for Notebook {
    const SNAPSHOT_VERSION: i32 = 3;
    const MISSING: Self::Error = NotebookError::Missing;

    fn creates(commands: &[C]) -> bool {
        matches!(commands.first(), Some(C::Create { .. }))
    }

    fn decide(&self, command: C, (): &()) -> Result<Vec<E>, NotebookError> {
        match (self, command) {
            (Self::Missing, C::Create { owner, name }) => Ok(vec![E::NotebookCreated { owner, name }]),
            (Self::Missing, C::Rename { .. } | C::Describe { .. }) => Err(NotebookError::Missing),
            (Self::Live { .. }, C::Create { .. }) => Err(NotebookError::AlreadyExists),

            (Self::Live { name: old, .. }, C::Rename { name }) if *old == name => Ok(vec![]),
            (Self::Live { .. }, C::Rename { name }) => Ok(vec![E::NotebookRenamed { name }]),

            (Self::Live { description: old, .. }, C::Describe { description }) => {
                let description = Some(description).filter(|new| !new.as_str().is_empty());
                Ok(if *old == description { vec![] } else { vec![E::NotebookDescribed { description }] })
            }
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

crate::aggregate!(Notebook, NotebookEvent, NotebookCommand, NotebookError, ());

#[cfg(test)]
mod tests {
    use super::*;
    use cqrs_es::test::TestFramework;
    use shared::domain::id::UserId;
    use uuid::Uuid;

    fn notebook() -> TestFramework<Notebook> {
        TestFramework::with(())
    }

    fn name(text: &str) -> Title {
        Title::try_from(text.to_owned()).expect("a good name")
    }

    fn owner() -> UserId {
        UserId(Uuid::from_u128(1))
    }

    fn created() -> E {
        E::NotebookCreated { owner: owner(), name: name("Lab") }
    }

    fn about(text: &str) -> Description {
        Description::try_from(text.to_owned()).expect("a good description")
    }

    #[test]
    fn a_notebook_is_created_once() {
        let create = C::Create { owner: owner(), name: name("Lab") };
        notebook().given_no_previous_events().when(create.clone()).then_expect_events(vec![created()]);
        notebook().given(vec![created()]).when(create).then_expect_error(NotebookError::AlreadyExists);
    }

    #[test]
    fn a_missing_notebook_cannot_be_changed() {
        notebook()
            .given_no_previous_events()
            .when(C::Rename { name: name("Den") })
            .then_expect_error(NotebookError::Missing);
        notebook()
            .given_no_previous_events()
            .when(C::Describe { description: about("x") })
            .then_expect_error(NotebookError::Missing);
    }

    #[test]
    fn asking_for_what_already_holds_changes_nothing() {
        notebook().given(vec![created()]).when(C::Rename { name: name("Lab") }).then_expect_events(vec![]);
        notebook()
            .given(vec![created()])
            .when(C::Describe { description: about("") })
            .then_expect_events(vec![]);
    }

    #[test]
    fn an_empty_text_clears_the_description() {
        let described = E::NotebookDescribed { description: Some(about("x")) };
        let cleared = E::NotebookDescribed { description: None };
        let clear = C::Describe { description: about("") };
        notebook()
            .given(vec![created(), described.clone()])
            .when(clear.clone())
            .then_expect_events(vec![cleared.clone()]);
        notebook().given(vec![created(), described, cleared]).when(clear).then_expect_events(vec![]);
    }
}
