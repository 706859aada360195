//! A statement that takes too long hurts only the command that is slow.

use command_api::log::{Append, Log, LogError, Outcome};
use shared::process::postgres::{DatabaseRole, options};
use sqlx::{Connection, Executor, PgConnection};
use tokio_util::sync::CancellationToken;

use crate::batches::{command, stands, together};
use crate::world::database;

/// What a statement may take here: long enough for the batch that waits until all are in the queue.
const TIMEOUT: &str = "2s";

/// A log in which events of type `Slow` take longer than a statement may.
async fn log(url: &str) -> anyhow::Result<(Log, PgConnection)> {
    let mut owner = PgConnection::connect(url).await?;
    owner
        .execute(
            "create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(60); return new; end $$;
             create trigger slow before insert on es.event for each row when (new.event_type = 'Slow')
               execute function slow()",
        )
        .await?;
    let options = options(url, DatabaseRole::Command, None)?.options([("statement_timeout", TIMEOUT)]);
    let (log, _writer) = Log::start(&options, CancellationToken::new());
    Ok((log, owner))
}

fn slow() -> Append {
    command(|c| "Slow".clone_into(&mut c.events[0].event_type))
}

fn refused(outcome: &Result<Outcome, LogError>) -> bool {
    outcome == &Err(LogError::Unavailable)
}

#[tokio::test]
async fn one_slow_command_does_not_refuse_its_batch() -> anyhow::Result<()> {
    let database = database().await?;
    let (log, mut owner) = log(&database.url).await?;
    let commands = vec![command(|_| ()), slow(), command(|_| ()), command(|_| ())];
    let outcomes = together(&log, &mut owner, commands).await?;
    assert!(refused(&outcomes[1]), "{outcomes:?}");
    assert!([0, 2, 3].iter().all(|nth: &usize| stands(&outcomes[*nth])), "{outcomes:?}");
    let stored = "select count(*) from es.event where event_type <> 'Slow'";
    assert_eq!(sqlx::query_scalar::<_, i64>(stored).fetch_one(&mut owner).await?, 4);
    Ok(())
}

#[tokio::test]
async fn a_log_that_is_slow_for_all_is_given_up_after_two() -> anyhow::Result<()> {
    let database = database().await?;
    let (log, mut owner) = log(&database.url).await?;
    let commands = vec![command(|_| ()), slow(), slow(), command(|_| ()), slow()];
    let outcomes = together(&log, &mut owner, commands).await?;
    assert!(stands(&outcomes[0]) && outcomes[1..].iter().all(refused), "{outcomes:?}");
    Ok(())
}
