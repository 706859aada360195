//! Which commands share a batch: those that wait together while the log is held, and do not touch each other.

use std::task::Poll;

use command_api::log::{
    Append, Claim, Expect, Freed, Gap, IdempotencyKey, Log, LogError, NewEvent, Outcome, RankSlot, SideRow,
};
use futures::{StreamExt, stream};
use serde_json::json;
use shared::domain::clock::Clock;
use shared::log::stored_event::Payload;
use shared::process::postgres::{DatabaseRole, options};
use sqlx::{Connection, Executor, PgConnection};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::world::{database, event};

/// A command on a note of its own.
pub(crate) fn command(change: impl FnOnce(&mut Append)) -> Append {
    let note = Clock::System.new_id().to_string();
    let key =
        IdempotencyKey { actor: "someone".into(), key: note.clone(), ours: false, fingerprint: [1; 32] };
    let mut append = Append::new(key, &note, 1);
    append.events.push(event(&note, 1));
    change(&mut append);
    append
}

/// Sends one command after the other while another holds the log, so that those that may go together do.
pub(crate) async fn together(
    log: &Log,
    owner: &mut PgConnection,
    commands: Vec<Append>,
) -> anyhow::Result<Vec<Result<Outcome, LogError>>> {
    let mut hold = owner.begin().await?;
    hold.execute("select from es.head for update").await?;
    // The first goes alone, and the others wait behind it.
    let mut sent = vec![Box::pin(log.append(command(|_| ())))];
    enqueue(&mut sent[0]).await;
    wait_for_the_writer(&mut hold).await?;
    for command in commands {
        let mut next = Box::pin(log.append(command));
        enqueue(&mut next).await;
        sent.push(next);
    }
    hold.commit().await?;
    let mut outcomes = Vec::new();
    for answer in sent.into_iter().skip(1) {
        outcomes.push(answer.await);
    }
    Ok(outcomes)
}

/// Polls once, which puts the command into the queue.
async fn enqueue(future: &mut (impl Future + Unpin)) {
    assert!(futures::poll!(future).is_pending(), "it waits for the log");
}

/// Until the writer stands before the head row.
async fn wait_for_the_writer(hold: &mut PgConnection) -> sqlx::Result<()> {
    let waits = "select count(*) from pg_stat_activity where datname = current_database()
                  and application_name = 'daybook_writer' and wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(waits).fetch_one(&mut *hold).await? == 0 {
        tokio::task::yield_now().await;
        hold.execute("select pg_stat_clear_snapshot()").await?;
    }
    Ok(())
}

fn place(rank: &str, item: &str) -> RankSlot {
    let (container, rank, item) = ("note:1".into(), rank.into(), item.into());
    RankSlot { container, rank, item, beside: None, guards: Some(Gap::default()) }
}

fn freed(item: &str) -> Freed {
    Freed { container: "note:1".into(), item: item.into(), rank: "a".into() }
}

fn claim(owner: &str) -> Claim {
    Claim { kind: "handle", value: vec![7], owner: owner.into() }
}

pub(crate) fn stands(outcome: &Result<Outcome, LogError>) -> bool {
    matches!(outcome, Ok(Outcome::Appended { .. }))
}

#[tokio::test]
async fn what_one_gives_up_the_next_can_take() -> anyhow::Result<()> {
    let database = database().await?;
    let mut owner = PgConnection::connect(&database.url).await?;
    let (log, _writer) =
        Log::start(&options(&database.url, DatabaseRole::Command, None)?, CancellationToken::new());
    let first = command(|c| {
        c.places.push(place("a", "block-1"));
        c.claims.push(claim("me"));
        c.side.push(SideRow::KeyMade { key_owner: "note:1".into(), wrapped: vec![1] });
    });
    assert!(stands(&log.append(first).await));
    let commands = vec![
        command(|c| c.freed.push(freed("block-1"))),
        command(|c| c.places.push(place("a", "block-2"))),
        command(|c| c.released.push(claim("me"))),
        command(|c| c.claims.push(claim("you"))),
    ];
    let outcomes = together(&log, &mut owner, commands).await?;
    assert!(outcomes.iter().all(stands), "{outcomes:?}");
    Ok(())
}

/// How often a key is made, destroyed and wanted again, over two writers at once.
const DESTROYED: usize = 10_000;

#[tokio::test]
async fn a_key_that_was_destroyed_is_never_made_again() -> anyhow::Result<()> {
    let database = database().await?;
    let mut owner = PgConnection::connect(&database.url).await?;
    let options = options(&database.url, DatabaseRole::Command, None)?;
    let ((one, _one), (two, _two)) =
        (Log::start(&options, CancellationToken::new()), Log::start(&options, CancellationToken::new()));
    let make = async |log: &Log, nth: usize| {
        let row = SideRow::KeyMade { key_owner: format!("note:{nth}"), wrapped: vec![1] };
        log.append(command(|c| c.side.push(row))).await
    };
    let destroy = async |log: &Log, nth: usize| {
        let row = SideRow::KeyDestroyed { key_owner: format!("note:{nth}") };
        log.append(command(|c| c.side.push(row))).await
    };
    let is_refused = |outcome: &Result<Outcome, LogError>, nth: usize| {
        let key = (String::from("key"), format!("note:{nth}"));
        matches!(outcome, Ok(Outcome::Conflict { aggregate_type, id, .. }) if (aggregate_type, id) == (&key.0, &key.1))
    };
    let race = async |nth: usize| {
        // Every third has no key yet when it is destroyed.
        let has_none = nth.is_multiple_of(3);
        if !has_none {
            assert!(stands(&make(&one, nth).await));
        }
        let (first, destroyed, second) = futures::join!(
            make(&two, nth),
            destroy(&one, nth),
            make(if nth.is_multiple_of(2) { &one } else { &two }, nth)
        );
        assert!(stands(&destroyed), "{destroyed:?}");
        let won = [&first, &second].into_iter().filter(|outcome| stands(outcome)).count();
        assert!(won <= usize::from(has_none), "{nth}: {first:?} {second:?}");
        for outcome in [&first, &second] {
            assert!(stands(outcome) || is_refused(outcome, nth), "{outcome:?}");
        }
        let again = make(&two, nth).await;
        assert!(is_refused(&again, nth), "{again:?}");
        won
    };
    let before: usize =
        stream::iter(0..DESTROYED).map(race).buffer_unordered(128).fold(0, async |sum, won| sum + won).await;
    // Both orders were met.
    assert!((1..DESTROYED / 3).contains(&before), "{before} were made before they were destroyed");
    let left: i64 =
        sqlx::query_scalar("select count(*) from es.key where wrapped is not null or destroyed_at is null")
            .fetch_one(&mut owner)
            .await?;
    assert_eq!(left, 0);
    Ok(())
}

#[tokio::test]
async fn each_thing_has_one_taker() -> anyhow::Result<()> {
    let database = database().await?;
    let mut owner = PgConnection::connect(&database.url).await?;
    let (log, _writer) =
        Log::start(&options(&database.url, DatabaseRole::Command, None)?, CancellationToken::new());
    let place_it = |item: &'static str| command(move |c| c.places.push(place("a", item)));
    let claim_it = |by: &'static str| command(move |c| c.claims.push(claim(by)));
    let write = || command(|c| c.events.push(event("shared", 1)));
    let read = command(|c| {
        c.expects.push(Expect {
            aggregate_type: "note",
            aggregate_id: "shared".into(),
            sequence: 0,
            access_only: false,
        });
    });
    let commands =
        vec![place_it("x"), place_it("y"), claim_it("me"), claim_it("you"), write(), write(), read];
    let outcomes = together(&log, &mut owner, commands).await?;
    let stood: Vec<bool> = outcomes.iter().map(stands).collect();
    assert_eq!(stood, [true, false, true, false, true, false, false], "{outcomes:?}");
    Ok(())
}

#[tokio::test]
async fn a_full_queue_refuses_and_keeps_its_word_to_the_others() -> anyhow::Result<()> {
    let database = database().await?;
    let mut owner = PgConnection::connect(&database.url).await?;
    let (log, _writer) =
        Log::start(&options(&database.url, DatabaseRole::Command, None)?, CancellationToken::new());
    let mut hold = owner.begin().await?;
    hold.execute("select from es.head for update").await?;
    let mut sent = JoinSet::new();
    let refusal = loop {
        // One that finds room waits; the clients of a real process wait in as many tasks.
        let mut next = Box::pin({
            let log = log.clone();
            async move { log.append(command(|_| ())).await }
        });
        match futures::poll!(&mut next) {
            Poll::Pending => drop(sent.spawn(next)),
            Poll::Ready(outcome) => break outcome,
        }
        assert!(sent.len() < 20_000, "the queue has an end");
    };
    assert_eq!(refusal, Err(LogError::Full));
    hold.commit().await?;
    let outcomes = sent.join_all().await;
    assert!(outcomes.len() >= 8_192 && outcomes.iter().all(stands));
    Ok(())
}

#[tokio::test]
async fn whoever_follows_the_log_reads_8_mib_at_once() -> anyhow::Result<()> {
    let database = database().await?;
    let options = options(&database.url, DatabaseRole::Command, None)?;
    let (log, _writer) = Log::start(&options, CancellationToken::new());
    let large = Payload::clear(&json!({"title": "x".repeat(200 * 1_024)}));
    for _ in 0..5 {
        let outcome = log
            .append(command(|c| {
                let note = c.answer_id.clone();
                let event = |sequence| NewEvent { payload: large.clone(), ..event(&note, sequence) };
                c.events = (1..=20).map(event).collect();
            }))
            .await;
        assert!(stands(&outcome), "{outcome:?}");
    }
    let mut owner = PgConnection::connect(&database.url).await?;
    let (mut position, mut batches) = (0, Vec::new());
    loop {
        let events = shared::log::event_log::after(&mut owner, position, 1_000).await?;
        let Some(last) = events.last() else { break };
        assert!(
            events.iter().zip(position + 1..).all(|(event, expected)| event.recorded.position == expected)
        );
        position = last.recorded.position;
        batches.push(events.len());
    }
    // The one that goes beyond the limit is the last of its batch.
    assert_eq!((position, batches), (100, vec![41, 41, 18]));
    // However few it is asked for.
    assert_eq!(shared::log::event_log::after(&mut owner, 0, 3).await?.len(), 3);
    Ok(())
}
