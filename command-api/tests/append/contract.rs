//! The contract of appending: whatever happens, everybody's outcome is that of one by one, in the order of commit.
//!
//! Two writers on one database; commands that collide, repeat, are stale or bad; connections that break.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use command_api::log::{Append, Log, LogError, Outcome, hash};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use shared::process::postgres::{DatabaseRole, options};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::model::Model;
use crate::wishes::{Wish, World, plan};
use crate::world::database;

/// What was asked, what was answered, and between which positions it was decided.
struct Told {
    append: Append,
    bad: bool,
    outcome: Result<Outcome, LogError>,
    from: i64,
    to: i64,
}

#[test]
fn outcomes_are_those_of_one_by_one() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    // Many tasks race, so the same plan need not fail again: not worth keeping, nor shrinking for long.
    let config = Config { cases: 3, max_shrink_iters: 8, failure_persistence: None, ..Config::default() };
    let held = TestRunner::new(config).run(&plan(), |plan| {
        runtime.block_on(holds(plan)).map_err(|error| TestCaseError::fail(format!("{error:#}")))
    });
    if let Err(error) = held {
        panic!("{error}");
    }
}

async fn holds(plan: Vec<Vec<Wish>>) -> anyhow::Result<()> {
    let database = database().await?;
    let owner = PgPool::connect(&database.url).await?;
    let told = run(&database.url, &owner, plan).await?;
    check(&told, &owner).await?;
    owner.close().await;
    Ok(())
}

async fn run(url: &str, owner: &PgPool, plan: Vec<Vec<Wish>>) -> anyhow::Result<Vec<Told>> {
    let stop = CancellationToken::new();
    let command = options(url, DatabaseRole::Command, None)?;
    let (one, first) = Log::start(&command, stop.clone());
    let (two, second) = Log::start(&command, stop.clone());
    let world = Arc::new(World::default());
    let mut tasks = tokio::task::JoinSet::new();
    for (wishes, log) in plan.into_iter().zip([&one, &two].into_iter().cycle()) {
        tasks.spawn(client(log.clone(), world.clone(), owner.clone(), wishes));
    }
    let told = tasks.join_all().await.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    stop.cancel();
    first.await?;
    second.await?;
    let told: Vec<Told> = told.into_iter().flatten().collect();
    let late = told.first().expect("somebody asked").append.clone();
    assert_eq!(one.append(late).await, Err(LogError::Unavailable), "it has stopped");
    Ok(told)
}

async fn client(log: Log, world: Arc<World>, owner: PgPool, wishes: Vec<Wish>) -> anyhow::Result<Vec<Told>> {
    let mut told = Vec::new();
    for wish in wishes {
        let (append, bad) = world.command(wish);
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
    let key_owners: Vec<String> = sqlx::query_scalar("select key_owner from es.key").fetch_all(owner).await?;
    assert_eq!(key_owners.into_iter().collect::<HashSet<_>>(), model.key_owners);
    let destroyed: Vec<String> =
        sqlx::query_scalar("select key_owner from es.key where wrapped is null").fetch_all(owner).await?;
    assert_eq!(destroyed.into_iter().collect::<HashSet<_>>(), model.destroyed);
    let credentials: Vec<(String, String)> =
        sqlx::query_as("select user_id, hash from es.credential").fetch_all(owner).await?;
    assert_eq!(credentials.into_iter().collect::<HashMap<_, _>>(), model.credentials);
    let sessions: Vec<(String, bool)> =
        sqlx::query_as("select session_id, ended_at is not null from es.session").fetch_all(owner).await?;
    assert_eq!(sessions.into_iter().collect::<HashMap<_, _>>(), model.sessions);
    let keys: Vec<(Uuid, Vec<u8>, i64)> =
        sqlx::query_as("select hash, fingerprint, position from es.command").fetch_all(owner).await?;
    let keys: HashMap<_, _> = keys.into_iter().map(|(key, print, at)| (key, (print, at))).collect();
    let known = model.keys.iter().map(|(key, answer)| (hash("someone", key), answer.clone()));
    let known: HashMap<_, _> = known.collect();
    assert_eq!(keys, known);
    Ok(())
}
