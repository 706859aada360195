//! Commands that race over two instances: what stands in the log is what would have been decided so at its own position.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use serde_json::{Value, json};
use shared::domain::access::Role;
use shared::domain::clock::random;
use tokio::task::JoinSet;

use crate::members::user;
use crate::pair::{Pair, TestRequest, Tokens, id, new_id};

/// How many people ask at once, each on either instance in turn.
const PEOPLE: usize = 4;
/// How many commands they send, if `DAYBOOK_COMMANDS` does not say.
const COMMANDS: u64 = 1_600;
/// How often each of them asks for the same things: in the long run nobody is left who may move the note.
const EACH: usize = 50;

/// What they race for: two notebooks, and a note with a block that goes to and fro.
#[derive(Clone)]
struct Stage {
    pair: Pair,
    people: Vec<Tokens>,
    notebooks: [String; 2],
    note: String,
    block: String,
}

/// Grants and places, replayed from the log.
#[derive(Default)]
struct Replay {
    /// The role of a user on a container.
    roles: HashMap<(String, String), Role>,
    /// The notebook that each note is in.
    places: HashMap<String, String>,
}

/// An event, as far as it is in clear.
type Fact = (i64, String, String, Vec<String>, Option<Value>);

impl Stage {
    async fn new(pair: &Pair, people: &[Tokens]) -> Self {
        let ada = &people[0];
        let notebooks = [pair.notebook(ada, "Lab").await, pair.notebook(ada, "Den").await];
        let note = pair.note(ada, &notebooks[0]).await;
        let body = json!({"note_id": note, "type": "text", "content": {"text": "One"}});
        let block = id(&pair.send(0, TestRequest::post("/blocks", &body).by(ada)).await.body);
        for notebook in &notebooks {
            pair.grant(ada, &format!("notebook:{notebook}"), &user(&people[1]), Role::Owner).await;
        }
        Self { pair: pair.clone(), people: people.to_vec(), notebooks, note, block }
    }

    /// Something that chance says, by somebody who perhaps may not.
    async fn acts(&self, who: usize, turn: usize, chance: &mut TestRng) {
        let [what, whom, at, role] = chance.next_u32().to_le_bytes().map(usize::from);
        let (me, instance) = (&self.people[who], (who + turn) % 2);
        let notebook = &self.notebooks[at % 2];
        let other = self.people.get(whom % (PEOPLE + 1)).map_or("everyone".to_owned(), user);
        let note = format!("/notes/{}", self.note);
        let request = match what % 8 {
            0 => TestRequest::patch(&note, &json!({"title": new_id()})),
            1 => {
                let body = json!({"content": {"text": new_id()}});
                TestRequest::patch(&format!("/blocks/{}", self.block), &body)
            }
            2 | 7 => TestRequest::patch(&note, &json!({"notebook_id": notebook})),
            3 => TestRequest::patch(&format!("/notebooks/{notebook}"), &json!({"name": new_id()})),
            _ => {
                let on = if what % 8 == 4 {
                    format!("note:{}", self.note)
                } else {
                    format!("notebook:{notebook}")
                };
                let role = [Some(Role::Viewer), Some(Role::Editor), Some(Role::Owner), None][role % 4];
                // Refused or not: the log is looked at afterwards.
                _ = self.pair.set_role(instance, me, (&on, &other), role).await;
                return;
            }
        };
        let answer = self.pair.send(instance, request.by(me)).await;
        assert!([200, 403, 404, 422, 503].contains(&answer.status), "{answer:?}");
    }
}

impl Replay {
    /// The role that somebody has on a container itself, also as one of everyone.
    fn role(&self, container: &str, user: &str) -> Option<Role> {
        let of = |principal: &str| self.roles.get(&(container.to_owned(), principal.to_owned())).copied();
        of(user).max(of("everyone"))
    }

    /// The role that somebody has on a container, by the notebook that it is in as well.
    fn held(&self, container: &str, user: &str) -> Option<Role> {
        let inherited = self.places.get(container).and_then(|notebook| self.role(notebook, user));
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
            "NoteCreated" => _ = self.places.insert(container, scopes[1].clone()),
            "NoteRetitled" | "BlockAdded" | "BlockEdited" => {
                assert_eq!(scopes[1..], [self.places[&container].clone()], "{what}");
                assert!(self.held(&container, &actor) >= Some(Role::Editor), "{what}");
            }
            "NoteMoved" => {
                assert_eq!(scopes[1], self.places[&container], "{what}");
                assert_eq!(self.held(&container, &actor), Some(Role::Owner), "{what}");
                assert!(self.held(&scopes[2], &actor) >= Some(Role::Editor), "{what}");
                self.roles.retain(|(on, _), _| *on != container);
                self.places.insert(container, scopes[2].clone());
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

/// A number that the environment gives, to repeat a run or to make a longer one.
fn given(name: &str) -> Option<u64> {
    let given = std::env::var_os(name)?;
    Some(
        given
            .to_str()
            .and_then(|number| number.parse().ok())
            .unwrap_or_else(|| panic!("{name} is no number")),
    )
}

/// What one person's choices are drawn from.
fn chance(seed: u64, stage: u64, who: usize) -> TestRng {
    let parts = [seed, stage, who as u64, 0].map(u64::to_le_bytes);
    TestRng::from_seed(RngAlgorithm::ChaCha, parts.as_flattened())
}

/// The same seed makes the same choices; which of those who race wins differs each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_was_allowed_at_its_own_position() {
    let seed = given("DAYBOOK_SEED").unwrap_or_else(|| u64::from(u32::from_le_bytes(random::<4>())));
    let stages = given("DAYBOOK_COMMANDS").unwrap_or(COMMANDS).div_ceil((PEOPLE * EACH) as u64);
    println!("DAYBOOK_SEED={seed} DAYBOOK_COMMANDS={}", stages * (PEOPLE * EACH) as u64);
    let pair = Pair::start().await;
    let names: [String; PEOPLE] = std::array::from_fn(|person| format!("person{person}"));
    let mut people = Vec::new();
    for name in &names {
        people.push(pair.person(name).await);
    }
    let mut logged_in = Instant::now();
    for nth in 0..stages {
        // Before their tokens expire, and not so often that logins are throttled.
        if logged_in.elapsed() > Duration::from_mins(10) {
            people.clear();
            for name in &names {
                people.push(pair.login(1, name).await);
            }
            logged_in = Instant::now();
        }
        let stage = Stage::new(&pair, &people).await;
        let mut tasks = JoinSet::new();
        for who in 0..PEOPLE {
            let (stage, mut chance) = (stage.clone(), chance(seed, nth, who));
            tasks.spawn(async move {
                for turn in 0..EACH {
                    stage.acts(who, turn, &mut chance).await;
                }
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.expect("nobody fails");
        }
    }
    let facts: Vec<Fact> = sqlx::query_as(
        "select position, event_type, metadata->>'actor', scopes,
                case when aggregate_type = 'member' then convert_from(payload, 'UTF8')::jsonb end
           from es.event order by position",
    )
    .fetch_all(&pair.owner)
    .await
    .expect("events");
    let mut counts: HashMap<String, usize> = HashMap::new();
    let mut replay = Replay::default();
    for fact in facts {
        *counts.entry(fact.1.clone()).or_default() += 1;
        replay.takes(fact);
    }
    for happened in ["NoteRetitled", "NoteMoved", "BlockEdited", "MemberRoleChanged", "MemberRemoved"] {
        assert!(counts.get(happened) > Some(&10), "{counts:?}");
    }
    println!("{counts:?}");
    pair.stop().await;
}
