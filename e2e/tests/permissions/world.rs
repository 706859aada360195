//! Those who ask, and what they ask about.

use e2e::{Daybook, PASSWORD, Person};
use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::access::On;
use shared::domain::clock::Clock;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Without a token.
    Nobody,
    /// With the token of a session that has ended.
    LoggedOut,
    /// With an account, but without a role on anything of the owner.
    Stranger,
    /// The one whose things they are.
    Owner,
}

/// A Daybook with two people who are logged in, and one who was.
pub(crate) struct World {
    pub(crate) daybook: Daybook,
    owner: Person,
    stranger: Person,
    logged_out: Person,
    /// What each of both has besides.
    owners: Things,
    strangers: Things,
}

/// The ids of what is asked about.
#[derive(Clone, Debug)]
pub(crate) struct Things {
    pub(crate) person: String,
    pub(crate) notebook: String,
    pub(crate) note: String,
    pub(crate) block: String,
    pub(crate) removed_block: String,
    /// The note that the tasks belong to, if they belong to one.
    pub(crate) of_tasks: Option<String>,
    pub(crate) task: String,
    pub(crate) done_task: String,
    pub(crate) removed_task: String,
}

impl Caller {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Nobody, Self::LoggedOut, Self::Stranger, Self::Owner];

    pub(crate) fn is_signed_in(self) -> bool {
        match self {
            Self::Nobody | Self::LoggedOut => false,
            Self::Stranger | Self::Owner => true,
        }
    }
}

impl Things {
    /// Ids of nothing.
    pub(crate) fn absent(on: Option<On>) -> Self {
        let id = || Clock::System.new_id().to_string();
        Self {
            person: id(),
            notebook: id(),
            note: id(),
            block: id(),
            removed_block: id(),
            of_tasks: (on != Some(On::Person)).then(id),
            task: id(),
            done_task: id(),
            removed_task: id(),
        }
    }

    /// What somebody makes.
    async fn made(daybook: &Daybook, by: &Person, on: Option<On>) -> Self {
        let post = async |path: &str, body: &Value| {
            daybook.accepted(by, Method::POST, &format!("/api/v1{path}"), body).await.expect("made")
        };
        let remove = async |path: String| {
            daybook
                .accepted(by, Method::DELETE, &format!("/api/v1{path}"), &Value::Null)
                .await
                .expect("removed")
        };
        let notebook = post("/notebooks", &json!({"name": "Lab"})).await;
        let note = post("/notes", &json!({"notebook_id": notebook, "title": "Plans"})).await;
        let block = json!({"note_id": note, "type": "text", "content": {"text": "One"}});
        let mut task = json!({"title": "Call Bob"});
        let of_tasks = (on != Some(On::Person)).then(|| note.clone());
        if let Some(note) = &of_tasks {
            task["note_id"] = json!(note);
        }
        let things = Self {
            person: by.id.clone(),
            block: post("/blocks", &block).await,
            removed_block: post("/blocks", &block).await,
            task: post("/tasks", &task).await,
            done_task: post("/tasks", &task).await,
            removed_task: post("/tasks", &task).await,
            notebook,
            note,
            of_tasks,
        };
        remove(format!("/blocks/{}", things.removed_block)).await;
        remove(format!("/tasks/{}", things.removed_task)).await;
        post(&format!("/tasks/{}/complete", things.done_task), &Value::Null).await;
        things
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        let daybook = Daybook::start().await.expect("a Daybook");
        let person = async |name: &str| daybook.person(name).await.expect("an account");
        let (owner, stranger, logged_out) = (person("ada").await, person("bob").await, person("eve").await);
        daybook.accepted(&logged_out, Method::POST, "/api/v1/auth/logout", &Value::Null).await.expect("done");
        let owners = Things::made(&daybook, &owner, None).await;
        let strangers = Things::made(&daybook, &stranger, None).await;
        Self { daybook, owner, stranger, logged_out, owners, strangers }
    }

    /// New things of the owner.
    pub(crate) async fn things(&self, on: Option<On>) -> Things {
        Things::made(&self.daybook, &self.owner, on).await
    }

    /// What the caller has besides.
    pub(crate) fn own(&self, caller: Caller) -> Things {
        match caller {
            Caller::Nobody | Caller::LoggedOut => Things::absent(None),
            Caller::Stranger => self.strangers.clone(),
            Caller::Owner => self.owners.clone(),
        }
    }

    /// The access token of a caller.
    pub(crate) fn token(&self, caller: Caller) -> Option<String> {
        let person = match caller {
            Caller::Nobody => return None,
            Caller::LoggedOut => &self.logged_out,
            Caller::Stranger => &self.stranger,
            Caller::Owner => &self.owner,
        };
        Some(person.access_token.clone())
    }

    /// What another login of a caller gives.
    pub(crate) async fn log_in(&self, caller: Caller) -> Value {
        let person = match caller {
            Caller::Nobody | Caller::Stranger => &self.stranger,
            Caller::LoggedOut => &self.logged_out,
            Caller::Owner => &self.owner,
        };
        let login = json!({"login": person.email, "password": PASSWORD});
        let request = self.daybook.request(Method::POST, "/api/v1/auth/login").json(&login);
        request.send().await.expect("an answer").json().await.expect("tokens")
    }
}
