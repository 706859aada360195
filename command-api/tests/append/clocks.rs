//! Clocks that are wrong: time never goes back along the log, and a log that is ahead does not stop it.

use chrono::{DateTime, TimeDelta, Utc};
use command_api::log::{Log, LogError, Outcome};
use kit::{Fact, Scribe, master};
use serde_json::json;
use shared::domain::clock::Clock;
use shared::process::postgres::{DatabaseRole, options};
use sqlx::{ConnectOptions, Connection, Executor, PgConnection};
use tokio_util::sync::CancellationToken;

use crate::batches::{command, stands};
use crate::world::database;

/// The log of a process whose clock is so far away from the machine's.
fn log(url: &str, away: TimeDelta) -> anyhow::Result<Log> {
    let clock = Clock::Fixed(Clock::System.now() + away);
    let (log, writer) =
        Log::new(&options(url, DatabaseRole::Command, None)?, clock, CancellationToken::new());
    tokio::spawn(writer);
    Ok(log)
}

/// Stores the next event, with a time that is so far ahead; gives the time.
async fn jump(owner: &mut PgConnection, ahead: &str) -> anyhow::Result<DateTime<Utc>> {
    let at: DateTime<Utc> = sqlx::query_scalar("select clock_timestamp() + $1::interval")
        .bind(ahead)
        .fetch_one(&mut *owner)
        .await?;
    let note = Clock::System.new_id();
    let event = Fact { in_clear: true, at: Some(at), ..Fact::new("note", note, "NoteRetitled", json!({})) };
    Scribe::new(master()).store(owner, vec![event]).await?;
    Ok(at)
}

async fn recorded(log: &Log) -> DateTime<Utc> {
    match log.append(command(|_| ())).await {
        Ok(Outcome::Appended { recorded_at, .. }) => recorded_at,
        refused => panic!("{refused:?}"),
    }
}

#[tokio::test]
async fn a_log_that_is_ahead_of_the_clock_goes_on_from_its_last_time() -> anyhow::Result<()> {
    let database = database().await?;
    let mut owner = PgConnection::connect(&database.url).await?;
    let log = log(&database.url, TimeDelta::zero())?;
    for ahead in ["30 seconds", "1 hour", "5 hours", "400 days"] {
        let latest: DateTime<Utc> = sqlx::query_scalar("select $1::interval + clock_timestamp()")
            .bind(ahead)
            .fetch_one(&mut owner)
            .await?;
        let jumped = jump(&mut owner, ahead).await?;
        assert!(jumped >= latest);
        for _ in 0..3 {
            assert_eq!(recorded(&log).await, jumped, "{ahead}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn time_never_goes_back_along_positions_whatever_the_clocks_of_processes() -> anyhow::Result<()> {
    let database = database().await?;
    let mut owner = PgConnection::connect(&database.url).await?;
    let before = Clock::System.now();
    let logs = [-59, 0, 59].map(|minutes| log(&database.url, TimeDelta::minutes(minutes)));
    for log in logs.iter().cycle().take(12) {
        let Ok(log) = log else { panic!("an address") };
        let at = recorded(log).await;
        // The time is Postgres', and no process'.
        assert!(at >= before && at <= Clock::System.now());
    }
    let jumped = jump(&mut owner, "2 hours").await?;
    for log in logs.iter().cycle().take(6) {
        let Ok(log) = log else { panic!("an address") };
        assert_eq!(recorded(log).await, jumped);
    }
    let back = "select count(*) from es.event a join es.event b on b.position = a.position + 1
                 where b.recorded_at < a.recorded_at";
    assert_eq!(sqlx::query_scalar::<_, i64>(back).fetch_one(&mut owner).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_process_whose_clock_is_more_than_an_hour_away_records_nothing() -> anyhow::Result<()> {
    let database = database().await?;
    let mut owner = PgConnection::connect(&database.url).await?;
    for minutes in [-61, 61] {
        let wrong = log(&database.url, TimeDelta::minutes(minutes))?;
        assert_eq!(wrong.append(command(|_| ())).await, Err(LogError::Unavailable));
        let right = log(&database.url, TimeDelta::zero())?;
        assert!(stands(&right.append(command(|_| ())).await));
    }
    let events = sqlx::query_scalar::<_, i64>("select count(*) from es.event").fetch_one(&mut owner).await?;
    assert_eq!(events, 2);
    Ok(())
}

#[tokio::test]
async fn the_refusal_of_a_wrong_clock_names_both_times() -> anyhow::Result<()> {
    let database = database().await?;
    let mut command = options(&database.url, DatabaseRole::Command, None)?.connect().await?;
    let batch = vec!["'{}'"; 48].join(", ");
    let append = |clock: &str| format!("select es.append({batch}, '[]', {clock})");
    command.execute(append("clock_timestamp() - interval '59 minutes'").as_str()).await?;
    command.execute("set timezone = 'UTC'").await?;
    let refused = command.execute(append("'1999-12-31 23:59:59Z'").as_str()).await.expect_err("it is wrong");
    let words = refused.as_database_error().expect("Postgres refused").message();
    let today = Clock::System.now().format("Postgres says %Y-%m-%d ").to_string();
    assert!(words.contains("the clocks differ by more than an hour") && words.contains(&today), "{words}");
    assert!(words.ends_with("the process that appends says 1999-12-31 23:59:59+00"), "{words}");
    Ok(())
}
