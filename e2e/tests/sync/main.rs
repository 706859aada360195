//! Blocks and tasks in step, over real servers: up to eight clients do what they like to an item, on either side, while
//! strangers try to and the policy is killed. Both sides always end equal, in a bounded number of events; then silence.

mod actions;
mod world;

use std::collections::BTreeMap;

use e2e::chance::{Chance, any_seed, given_seed, say};
use futures::future::{join, join_all};
use serde_json::{Value, json};
use world::{Workspace, World};

/// Rounds, and the runs that each has at once. A run is one item, with clients and a stranger of its own.
const ROUNDS: usize = 3;
const RUNS: usize = 12;
/// A run has so many acts; at the end of each the policy comes to rest, and what it finds in the next is settled.
const ACTS: usize = 4;
/// The most events that may follow from one of a person: a task that moves, comes back, and takes text and state.
const MOST: i64 = 4;

/// An item, and what a run knows of it.
struct Run {
    item: String,
    clients: usize,
    /// The last text that anybody gave it, on either side, with its position.
    last: (i64, String),
}

/// What a note shows of its items, by id: each as text, and whether it is done.
type Shown = BTreeMap<String, (Value, Value)>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_done_to_either_side_both_end_equal_and_silent() {
    let seed = given_seed().expect("DAYBOOK_SEED is a seed").unwrap_or_else(any_seed);
    let again = format!("to repeat it: DAYBOOK_SEED={seed} ./dev test -p e2e --test sync");
    say(&format!("seed {seed}; {again}")).expect("it can be printed");
    let mut chance = Chance::new(seed);
    let mut world = World::start().await;
    let mut runs = Vec::new();
    for act in 0..ROUNDS * ACTS {
        if act % ACTS == 0 {
            runs = begin(&world.workspace, &mut chance).await;
        }
        runs = play(&mut world, act, runs, &mut chance).await;
        let head = world.settled().await;
        let workspace = &world.workspace;
        let mut shown = Shown::new();
        for note in &workspace.notes {
            let [blocks, tasks] = sides(workspace, note, head).await;
            assert_eq!(blocks, tasks, "act {act}, seed {seed}");
            for item in blocks {
                assert_eq!(shown.insert(item.0.clone(), item.1), None, "{} is in two notes", item.0);
            }
        }
        assert!(!shown.is_empty(), "act {act}, seed {seed}: everything was taken away");
        for run in &runs {
            let wanted = json!(run.last.1);
            assert!(
                shown.get(&run.item).is_none_or(|(text, _)| *text == wanted),
                "{} should be {wanted}: {:?}, seed {seed}",
                run.item,
                shown.get(&run.item)
            );
            let (persons, policy) = world.events_of(&run.item).await;
            assert!(persons > 0 && policy <= MOST * persons, "{policy} events follow from {persons}");
        }
        // One more event, and the policy has passed it: had it anything left to say, that would be there too.
        world.workspace.retitle_a_note().await;
        assert_eq!(world.settled().await, head + 1, "and then there is silence");
        strangers_have_done_nothing(&world, &runs).await;
    }
    world.check().await;
}

/// The runs of a round, each with its item.
async fn begin(workspace: &Workspace, chance: &mut Chance) -> Vec<Run> {
    let mut runs = Vec::new();
    for nth in 0..RUNS {
        let note = &workspace.notes[chance.index(workspace.notes.len())];
        let (item, position) = workspace.add(note, chance.index(2) == 0, actions::FIRST).await;
        // Every number from one to eight.
        let clients = 1 + nth % workspace.devices.len();
        runs.push(Run { item, clients, last: (position, actions::FIRST.to_owned()) });
    }
    runs
}

/// An act of all runs at once, while the policy is killed and comes back at moments of chance.
async fn play(world: &mut World, act: usize, runs: Vec<Run>, chance: &mut Chance) -> Vec<Run> {
    let answers = actions::EACH * runs.iter().map(|run| run.clients).sum::<usize>();
    let mut moments = [chance.index(answers), chance.index(answers)];
    moments.sort_unstable();
    let World { workspace, policy, .. } = world;
    let begun = workspace.answered();
    let playing = join_all(runs.into_iter().map(|run| run_through(workspace, act, run, chance.fork())));
    let killing = async {
        workspace.until_answered(begun + moments[0]).await;
        policy.kill().await;
        workspace.until_answered(begun + moments[1]).await;
        policy.start().await;
    };
    join(playing, killing).await.0
}

/// A run's clients and its stranger, all at once.
async fn run_through(workspace: &Workspace, act: usize, run: Run, mut chance: Chance) -> Run {
    let Run { item, clients, last } = run;
    let stranger = &workspace.strangers[chance.index(workspace.strangers.len())];
    let intruding = actions::intrude(workspace, stranger, &item, chance.fork());
    let devices = workspace.devices.iter().take(clients).enumerate();
    let working = join_all(
        devices.map(|(nth, token)| actions::client(workspace, token, &item, (act, nth), chance.fork())),
    );
    let (said, ()) = join(working, intruding).await;
    let last = said.into_iter().flatten().fold(last, Ord::max);
    Run { item, clients, last }
}

/// What a note shows of its task blocks, and of its tasks.
async fn sides(workspace: &Workspace, note: &str, after: i64) -> [Shown; 2] {
    let read = workspace.get(&format!("/notes/{note}?after={after}"), &workspace.devices[0]).await;
    let tasks = workspace.get(&format!("/tasks?limit=200&note_id={note}"), &workspace.devices[0]).await;
    let list = |of: &Value| of.as_array().expect("a list").clone();
    let id = |thing: &Value| thing["id"].as_str().expect("an id").to_owned();
    let blocks = list(&read["blocks"]).into_iter().filter(|block| block["type"] == "task");
    let block =
        |block: Value| (id(&block), (block["content"]["text"].clone(), block["content"]["checked"].clone()));
    let task = |task: Value| {
        assert_eq!(task["block_id"], task["id"]);
        (id(&task), (task["title"].clone(), task["completed"].clone()))
    };
    [blocks.map(block).collect(), list(&tasks["items"]).into_iter().map(task).collect()]
}

async fn strangers_have_done_nothing(world: &World, runs: &[Run]) {
    let items: Vec<&str> = runs.iter().map(|run| run.item.as_str()).collect();
    assert_eq!(world.events_of_strangers(&items).await, 0);
    assert_eq!(world.refusals().await, 0, "the policy was refused nothing");
    for stranger in &world.workspace.strangers {
        let [note, tasks] = [format!("/notes/{}", stranger.note), "/tasks".to_owned()];
        assert_eq!(world.workspace.get(&note, &stranger.token).await["blocks"], json!([]));
        assert_eq!(world.workspace.get(&tasks, &stranger.token).await["items"], json!([]));
    }
}
