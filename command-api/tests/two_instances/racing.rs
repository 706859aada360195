//! Commands that race over two instances: what stands in the log is what would have been decided so at its own position.

use std::collections::HashMap;

use serde_json::{Value, json};
use shared::domain::access::Role;
use shared::domain::clock::random;
use tokio::task::JoinSet;

use crate::members::user;
use crate::pair::{Pair, TestRequest, Tokens, new_id};

/// How many people ask at once, each on either instance in turn.
const PEOPLE: usize = 4;
/// How often each of them asks.
const COMMANDS: usize = 400;

/// What they race for: two notebooks, and a note that goes to and fro.
#[derive(Clone)]
struct Stage {
    pair: Pair,
    people: Vec<Tokens>,
    notebooks: [String; 2],
    note: String,
}

/// Grants and places, replayed from the log.
#[derive(Default)]
struct Replay {
    /// The role of a user on a container.
    roles: HashMap<(String, String), Role>,
    /// The notebook that the note is in.
    place: String,
}

/// An event, as far as it is in clear.
type Fact = (i64, String, String, Vec<String>, Option<Value>);

impl Stage {
    /// Something random, by somebody who perhaps may not.
    async fn acts(&self, who: usize, turn: usize) {
        let [what, whom, at, role] = random::<4>().map(usize::from);
        let (me, instance) = (&self.people[who], (who + turn) % 2);
        let (notebook, other) = (&self.notebooks[at % 2], &self.people[whom % PEOPLE]);
        let note = format!("/notes/{}", self.note);
        let request = match what % 8 {
            0 | 1 => TestRequest::patch(&note, &json!({"title": new_id()})),
            2 => TestRequest::patch(&note, &json!({"notebook_id": notebook})),
            3 => TestRequest::patch(&format!("/notebooks/{notebook}"), &json!({"name": new_id()})),
            _ => {
                let on = if what % 8 == 4 {
                    format!("note:{}", self.note)
                } else {
                    format!("notebook:{notebook}")
                };
                let role = [Some(Role::Viewer), Some(Role::Editor), Some(Role::Owner), None][role % 4];
                // Refused or not: the log is looked at afterwards.
                _ = self.pair.set_role(instance, me, (&on, &user(other)), role).await;
                return;
            }
        };
        let answer = self.pair.send(instance, request.by(me)).await;
        assert!([200, 403, 404, 422, 503].contains(&answer.status), "{answer:?}");
    }
}

impl Replay {
    fn role(&self, container: &str, user: &str) -> Option<Role> {
        self.roles.get(&(container.to_owned(), user.to_owned())).copied()
    }

    /// The role that somebody has on a container, by the notebook that it is in as well.
    fn held(&self, container: &str, user: &str) -> Option<Role> {
        let inherited = container.starts_with("note:").then(|| self.role(&self.place, user)).flatten();
        self.role(container, user).max(inherited)
    }

    fn owners(&self, notebook: &str) -> usize {
        let owned = |((on, _), role): (&(String, String), &Role)| on == notebook && *role == Role::Owner;
        self.roles.iter().filter(|entry| owned(*entry)).count()
    }

    /// Whether whoever caused an event was allowed to, right before it; then takes it in.
    fn takes(&mut self, (position, event_type, actor, scopes, data): Fact) {
        let actor = format!("user:{actor}");
        let container = scopes[0].clone();
        let what = format!("{event_type} at {position} by {actor}");
        match event_type.as_str() {
            "NotebookCreated" | "NotebookRenamed" => {
                assert_eq!(self.held(&container, &actor), Some(Role::Owner), "{what}");
            }
            "NoteCreated" => self.place.clone_from(&scopes[1]),
            "NoteRetitled" => assert!(self.held(&container, &actor) >= Some(Role::Editor), "{what}"),
            "NoteMoved" => {
                assert_eq!(scopes[1], self.place, "{what}");
                assert_eq!(self.held(&container, &actor), Some(Role::Owner), "{what}");
                assert!(self.held(&scopes[2], &actor) >= Some(Role::Editor), "{what}");
                self.place.clone_from(&scopes[2]);
                self.roles.retain(|(on, _), _| *on != container);
            }
            "MemberAdded" | "MemberRoleChanged" | "MemberRemoved" => {
                let whom = scopes.last().expect("it names a principal").clone();
                let leaves = event_type == "MemberRemoved" && whom == actor;
                // The first grant of a notebook comes before all else.
                let is_first = container.starts_with("notebook:") && self.owners(&container) == 0;
                let may = leaves || is_first || self.held(&container, &actor) == Some(Role::Owner);
                assert!(may, "{what} about {whom}");
                let key = (container.clone(), whom);
                let had = match data.and_then(|data| serde_json::from_value(data["role"].clone()).ok()) {
                    Some(role) => self.roles.insert(key, role),
                    None => self.roles.remove(&key),
                };
                assert_eq!(had.is_none(), event_type == "MemberAdded", "{what}");
                assert!(
                    container.starts_with("note:") || self.owners(&container) > 0,
                    "{what} left no owner"
                );
            }
            _ => (),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_was_allowed_at_its_own_position() {
    let pair = Pair::start().await;
    let mut people = Vec::new();
    for person in 0..PEOPLE {
        people.push(pair.person(&format!("person{person}")).await);
    }
    let ada = &people[0];
    let notebooks = [pair.notebook(ada, "Lab").await, pair.notebook(ada, "Den").await];
    let note = pair.note(ada, &notebooks[0]).await;
    for notebook in &notebooks {
        pair.grant(ada, &format!("notebook:{notebook}"), &user(&people[1]), Role::Owner).await;
    }
    let stage = Stage { pair, people, notebooks, note };
    let mut tasks = JoinSet::new();
    for who in 0..PEOPLE {
        let stage = stage.clone();
        tasks.spawn(async move {
            for turn in 0..COMMANDS {
                stage.acts(who, turn).await;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("nobody fails");
    }
    let facts: Vec<Fact> = sqlx::query_as(
        "select position, event_type, metadata->>'actor', scopes,
                case when aggregate_type = 'member' then convert_from(payload, 'UTF8')::jsonb end
           from es.event order by position",
    )
    .fetch_all(&stage.pair.owner)
    .await
    .expect("events");
    let mut counts: HashMap<String, usize> = HashMap::new();
    let mut replay = Replay::default();
    for fact in facts {
        *counts.entry(fact.1.clone()).or_default() += 1;
        replay.takes(fact);
    }
    for happened in ["NoteRetitled", "NoteMoved", "MemberRoleChanged", "MemberRemoved"] {
        assert!(counts.get(happened) > Some(&10), "{counts:?}");
    }
    stage.pair.stop().await;
}
