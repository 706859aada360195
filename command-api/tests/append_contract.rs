//! The contract of appending: whatever happens, everybody's outcome is that of one by one, in the order of commit.
//!
//! Two writers on one database; commands that collide, repeat, are stale or bad; connections that break.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use command_api::log::{
    Append, Claim, Expect, Freed, IdempotencyKey, Log, LogError, NewEvent, Outcome, Place, SideRow,
};
use serde_json::json;
use serde_json::value::to_raw_value;
use shared::postgres::{DatabaseRole, options};
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/es");

const SEEDS: u64 = 3;
const TASKS: u64 = 16;
const COMMANDS: usize = 40;

/// What was asked, what was answered, and between which positions it was decided.
struct Told {
    append: Append,
    bad: bool,
    outcome: Result<Outcome, LogError>,
    from: i64,
    to: i64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outcomes_are_those_of_one_by_one() -> anyhow::Result<()> {
    for seed in 1..=SEEDS {
        let template = format!("append_{}", shared::migrate::fingerprint());
        let database = servers::testing::database(&template, async |url| {
            let owner = PgPool::connect(&url).await?;
            MIGRATIONS.run(&owner).await?;
            owner.close().await;
            Ok(())
        })
        .await?;
        let owner = PgPool::connect(&database.url).await?;
        let told = run(&database.url, &owner, seed).await?;
        check(&told, &owner).await?;
        owner.close().await;
    }
    Ok(())
}

async fn run(url: &str, owner: &PgPool, seed: u64) -> anyhow::Result<Vec<Told>> {
    let stop = CancellationToken::new();
    let command = options(url, DatabaseRole::Command, None)?;
    let (one, first) = Log::start(&command, stop.clone());
    let (two, second) = Log::start(&command, stop.clone());
    let world = Arc::new(World::default());
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..TASKS {
        let log = if task % 2 == 0 { one.clone() } else { two.clone() };
        tasks.spawn(client(log, world.clone(), owner.clone(), Dice(seed * 1_000 + task)));
    }
    let told = tasks.join_all().await.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    stop.cancel();
    first.await?;
    second.await?;
    assert_eq!(one.append(key_only(&mut Dice(7))).await, Err(LogError::Unavailable), "it has stopped");
    Ok(told.into_iter().flatten().collect())
}

/// What the clients believe; often stale, as they do not wait for each other.
#[derive(Default)]
struct World {
    sequences: Mutex<HashMap<String, i64>>,
    sent: Mutex<Vec<Append>>,
    head: AtomicI64,
    answers: AtomicU64,
}

async fn client(log: Log, world: Arc<World>, owner: PgPool, mut dice: Dice) -> anyhow::Result<Vec<Told>> {
    let mut told = Vec::new();
    for _ in 0..COMMANDS {
        let (append, bad) = world.next(&mut dice);
        let from = world.head.load(Ordering::SeqCst);
        let outcome = log.append(append.clone()).await;
        world.learn(&append, &outcome);
        if world.answers.fetch_add(1, Ordering::SeqCst) % 23 == 22 {
            break_connections(&owner).await?;
        }
        let to =
            sqlx::query_scalar("select coalesce(max(position), 0) from es.event").fetch_one(&owner).await?;
        told.push(Told { append, bad, outcome, from, to });
    }
    Ok(told)
}

async fn break_connections(owner: &PgPool) -> sqlx::Result<()> {
    let all = "select pg_terminate_backend(pid) from pg_stat_activity
                where datname = current_database() and application_name = 'daybook_writer'";
    sqlx::query(all).execute(owner).await.map(drop)
}

impl World {
    fn learn(&self, append: &Append, outcome: &Result<Outcome, LogError>) {
        let mut sequences = self.sequences.lock().expect("no client panics with the lock");
        if let Ok(Outcome::Appended { last, .. }) = outcome {
            self.head.fetch_max(*last, Ordering::SeqCst);
            sequences.extend(append.events.iter().map(|e| (e.aggregate_id.clone(), e.sequence)));
        }
        if let Ok(Outcome::Conflict { id, sequence, .. }) = outcome {
            sequences.insert(id.clone(), *sequence);
        }
    }

    /// A command, and whether it is one that Postgres refuses.
    fn next(&self, dice: &mut Dice) -> (Append, bool) {
        let mut sent = self.sent.lock().expect("no client panics with the lock");
        if dice.one_in(6) && !sent.is_empty() {
            let mut again = sent[dice.below(sent.len())].clone();
            for event in &mut again.events {
                event.event_id = dice.id();
            }
            return (again, false);
        }
        let mut append = key_only(dice);
        if !dice.one_in(12) {
            self.add_stream(&mut append, dice);
            self.add_stream(&mut append, dice);
            add_rows(&mut append, dice);
            if dice.one_in(20) {
                append.events[0].payload = to_raw_value(&json!({"bad": "\u{0}"})).expect("JSON");
                return (append, true);
            }
        }
        sent.push(append.clone());
        (append, false)
    }

    fn add_stream(&self, append: &mut Append, dice: &mut Dice) {
        let (id, read) = (format!("note-{}", dice.below(12)), format!("note-{}", dice.below(12)));
        if append.events.iter().any(|event| event.aggregate_id == id) {
            return;
        }
        let sequences = self.sequences.lock().expect("no client panics with the lock");
        let known = |id: &String| sequences.get(id).copied().unwrap_or(0);
        for next in 1..=[1, 1, 3][dice.below(3)] {
            append.events.push(event(dice.id(), &id, known(&id) + next));
        }
        if dice.one_in(2) && !append.events.iter().any(|event| event.aggregate_id == read) {
            let sequence = known(&read);
            append.expects.push(Expect { aggregate_type: "note", aggregate_id: read, sequence });
        }
    }
}

fn add_rows(append: &mut Append, dice: &mut Dice) {
    if dice.one_in(3) {
        append.released.push(claim(dice));
    }
    if dice.one_in(3) {
        append.claims.push(claim(dice));
    }
    let (container, item) = (format!("in-{}", dice.below(2)), format!("block-{}", dice.below(6)));
    if dice.one_in(3) {
        append.freed.push(Freed { container: container.clone(), item: item.clone() });
    }
    if dice.one_in(3) {
        append.places.push(Place { container, rank: format!("a{}", dice.below(4)), item });
    }
    let holder = format!("holder-{}", dice.below(4));
    match dice.below(8) {
        0 => append.side.push(SideRow::KeyMade { holder, wrapped: vec![1] }),
        1 => append.side.push(SideRow::KeyDestroyed { holder }),
        2 => append.side.push(SideRow::Credential { user_id: holder, hash: append.key.key.clone() }),
        _ => {}
    }
}

fn claim(dice: &mut Dice) -> Claim {
    Claim {
        kind: ["email", "handle"][dice.below(2)],
        value: vec![[1, 2, 3][dice.below(3)]],
        owner: format!("user-{}", dice.below(3)),
    }
}

fn key_only(dice: &mut Dice) -> Append {
    let key = dice.id().to_string();
    let fingerprint = [[1, 2, 3][dice.below(3)]; 32];
    let ours = dice.one_in(2);
    Append::new(IdempotencyKey { actor: "someone".into(), key: key.clone(), ours, fingerprint }, key, 1)
}

fn event(event_id: Uuid, aggregate_id: &str, sequence: i64) -> NewEvent {
    NewEvent {
        event_id,
        aggregate_type: "note",
        aggregate_id: aggregate_id.into(),
        sequence,
        event_type: "NoteRetitled".into(),
        event_version: "1.0".into(),
        payload: to_raw_value(&json!({"title": "x"})).expect("JSON"),
        metadata: to_raw_value(&json!({"actor": "someone"})).expect("JSON"),
        scopes: vec!["note:1".into(), "notebook:2".into()],
    }
}

/// The tables, as one who takes commands one by one would keep them.
#[derive(Default)]
struct Model {
    sequences: HashMap<String, i64>,
    claims: HashMap<(String, Vec<u8>), String>,
    places: HashMap<String, (String, String)>,
    holders: HashSet<String>,
    credentials: HashMap<String, String>,
    keys: HashMap<String, (Vec<u8>, i64)>,
}

impl Model {
    /// The refusal of a command; none if it stands.
    fn refusal(&self, append: &Append) -> Option<Outcome> {
        if let Some((fingerprint, position)) = self.keys.get(&append.key.key) {
            let (id, version) = (append.answer_id.clone(), append.answer_version);
            return Some(Outcome::Seen {
                fingerprint: fingerprint.clone(),
                id,
                version,
                position: *position,
            });
        }
        let conflict = self.moved(append).or_else(|| self.has_key(append));
        conflict.or_else(|| self.claimed(append)).or_else(|| self.placed(append))
    }

    fn moved(&self, append: &Append) -> Option<Outcome> {
        let mut first = HashSet::new();
        let written = append.events.iter().filter(|e| first.insert(&e.aggregate_id));
        let written = written.map(|e| (&e.aggregate_id, e.sequence - 1));
        let read = append.expects.iter().map(|e| (&e.aggregate_id, e.sequence));
        let actual = |id: &String| self.sequences.get(id).copied().unwrap_or(0);
        let (id, _) = written.chain(read).find(|(id, expected)| actual(id) != *expected)?;
        Some(Outcome::Conflict { aggregate_type: "note".into(), id: id.clone(), sequence: actual(id) })
    }

    fn has_key(&self, append: &Append) -> Option<Outcome> {
        append.side.iter().find_map(|row| {
            let SideRow::KeyMade { holder, .. } = row else { return None };
            let conflict =
                || Outcome::Conflict { aggregate_type: "key".into(), id: holder.clone(), sequence: 0 };
            self.holders.contains(holder).then(conflict)
        })
    }

    fn claimed(&self, append: &Append) -> Option<Outcome> {
        let clash = append.claims.iter().find(|claim| {
            let owner = self.claims.get(&(claim.kind.to_owned(), claim.value.clone()));
            let given_up = |owner: &String| {
                append
                    .released
                    .iter()
                    .any(|r| (r.kind, &r.value, &r.owner) == (claim.kind, &claim.value, owner))
            };
            owner.is_some_and(|owner| *owner != claim.owner && !given_up(owner))
        })?;
        Some(Outcome::Claimed { kind: clash.kind.into() })
    }

    fn placed(&self, append: &Append) -> Option<Outcome> {
        let clash = append.places.iter().find(|place| {
            self.places.iter().any(|(item, (container, rank))| {
                let same_rank = (container, rank) == (&place.container, &place.rank);
                let leaves = append.freed.iter().any(|f| (&f.item, &f.container) == (item, container));
                same_rank != (*item == place.item) && !leaves
            })
        })?;
        Some(Outcome::Placed { container: clash.container.clone(), rank: clash.rank.clone() })
    }

    fn apply(&mut self, append: &Append, position: i64) {
        self.sequences.extend(append.events.iter().map(|e| (e.aggregate_id.clone(), e.sequence)));
        for r in &append.released {
            self.claims.retain(|(kind, value), owner| {
                (kind.as_str(), value, &*owner) != (r.kind, &r.value, &r.owner)
            });
        }
        self.claims
            .extend(append.claims.iter().map(|c| ((c.kind.to_owned(), c.value.clone()), c.owner.clone())));
        for freed in &append.freed {
            self.places.retain(|item, (container, _)| (item, &*container) != (&freed.item, &freed.container));
        }
        let places = append.places.iter().map(|p| (p.item.clone(), (p.container.clone(), p.rank.clone())));
        self.places.extend(places);
        append.side.iter().for_each(|row| self.apply_side(row));
        self.keys.insert(append.key.key.clone(), (append.key.fingerprint.to_vec(), position));
    }

    fn apply_side(&mut self, row: &SideRow) {
        match row {
            SideRow::KeyMade { holder, .. } => drop(self.holders.insert(holder.clone())),
            SideRow::KeyDestroyed { holder } => drop(self.holders.remove(holder)),
            SideRow::Credential { user_id, hash } => {
                self.credentials.insert(user_id.clone(), hash.clone());
            }
            SideRow::Session { .. } | SideRow::SessionEnd { .. } => {}
        }
    }
}

/// Replays what was appended in the order of positions; every refusal must hold somewhere in its interval.
async fn check(told: &[Told], owner: &PgPool) -> anyhow::Result<()> {
    let mut appended: Vec<(i64, i64, &Append)> = Vec::new();
    let mut refused: Vec<(&Told, &Outcome)> = Vec::new();
    for one in told {
        match &one.outcome {
            Ok(Outcome::Appended { first, last, .. }) => appended.push((*first, *last, &one.append)),
            Ok(outcome) => refused.push((one, outcome)),
            Err(error) => {
                assert_eq!(*error, LogError::Refused("22P05".into()));
                assert!(one.bad, "a good command was refused for its neighbour");
            }
        }
    }
    // At one position, the events come before the keys that were recorded there.
    appended.sort_by_key(|(first, last, _)| (*last, *first));
    let mut model = Model::default();
    let mut head = 0;
    forget_true(&mut refused, &model, head);
    for (first, last, append) in appended {
        assert_eq!(first, head + 1, "positions have no gap");
        assert_eq!(last - first + 1, i64::try_from(append.events.len())?);
        match model.refusal(append) {
            None => model.apply(append, last),
            // Sent twice by clients, once more by a writer: without events nobody can tell whose was recorded.
            Some(Outcome::Seen { position, .. }) if append.events.is_empty() => assert_eq!(position, last),
            Some(refusal) => panic!("it could not stand at {first}: {refusal:?}"),
        }
        head = last;
        forget_true(&mut refused, &model, head);
    }
    let left: Vec<_> =
        refused.iter().map(|(one, outcome)| (outcome, one.from, one.to, &one.append)).collect();
    assert!(left.is_empty(), "nobody could have been told: {left:#?}");
    assert!(head > 100, "too little happened: {head}");
    compare(&model, head, owner).await
}

fn forget_true(refused: &mut Vec<(&Told, &Outcome)>, model: &Model, head: i64) {
    refused.retain(|(one, outcome)| {
        !(one.from..=one.to).contains(&head) || model.refusal(&one.append).as_ref() != Some(*outcome)
    });
}

async fn compare(model: &Model, head: i64, owner: &PgPool) -> anyhow::Result<()> {
    let ends: (i64, i64, i64) = sqlx::query_as("select count(*), min(position), max(position) from es.event")
        .fetch_one(owner)
        .await?;
    assert_eq!(ends, (head, 1, head));
    let claims: Vec<(String, Vec<u8>, String)> =
        sqlx::query_as("select kind, value, owner from es.claim").fetch_all(owner).await?;
    let claims: HashMap<_, _> =
        claims.into_iter().map(|(kind, value, owner)| ((kind, value), owner)).collect();
    assert_eq!(claims, model.claims);
    let places: Vec<(String, String, String)> =
        sqlx::query_as("select item, container, rank from es.place").fetch_all(owner).await?;
    let places: HashMap<_, _> = places.into_iter().map(|(item, at, rank)| (item, (at, rank))).collect();
    assert_eq!(places, model.places);
    let holders: Vec<String> = sqlx::query_scalar("select holder from es.key").fetch_all(owner).await?;
    assert_eq!(holders.into_iter().collect::<HashSet<_>>(), model.holders);
    let credentials: Vec<(String, String)> =
        sqlx::query_as("select user_id, hash from es.credential").fetch_all(owner).await?;
    assert_eq!(credentials.into_iter().collect::<HashMap<_, _>>(), model.credentials);
    let keys: Vec<(String, Vec<u8>, i64)> =
        sqlx::query_as("select key, fingerprint, position from es.command").fetch_all(owner).await?;
    let keys: HashMap<_, _> = keys.into_iter().map(|(key, print, at)| (key, (print, at))).collect();
    assert_eq!(keys, model.keys);
    Ok(())
}

/// Chance that can be had again: splitmix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.roll() >> 33).expect("31 bits fit") % limit
    }

    fn one_in(&mut self, odds: usize) -> bool {
        self.below(odds) == 0
    }

    fn id(&mut self) -> Uuid {
        Uuid::from_u64_pair(self.roll(), self.roll())
    }
}
