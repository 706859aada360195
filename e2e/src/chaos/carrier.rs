//! The stream and the read tables: both must come to the end of the log, the stream by sequences equal to positions.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::stream::Stream;
use futures::StreamExt;
use servers::until::until;
use shared::log::epoch::EpochId;
use shared::process::jetstream::{self, EVENT_ID, POSITION};
use sqlx::PgConnection;
use tokio::time::timeout;

use super::LIMIT;
use super::report::Report;
use super::verify::Stored;

const PATIENCE: Duration = Duration::from_secs(5);

/// The history in force.
pub(super) async fn epoch(owner: &mut PgConnection) -> Result<EpochId> {
    let epoch = shared::log::epoch::current(owner).await?.context("there is no epoch")?;
    ensure!(epoch.seq == 1, "the histories have parted: {}", epoch.reason);
    Ok(epoch.epoch)
}

/// Waits until the stream has what the log has up to a position.
pub(super) async fn reached(nats_url: &str, epoch: &EpochId, position: i64) -> Result<Stream> {
    let client = jetstream::connect(nats_url, "e2e").await?;
    let context = jetstream::context(&client, PATIENCE);
    until(LIMIT, "the stream to come to the end of the log", async || {
        // No answer yet is no answer.
        let stream = jetstream::stream(&context, epoch).await.ok().flatten();
        Ok(stream.filter(|stream| last(stream) >= position))
    })
    .await
}

fn last(stream: &Stream) -> i64 {
    number(stream.cached_info().state.last_sequence)
}

/// Waits until the read tables are at the end of the log.
pub(super) async fn folded(owner: &mut PgConnection, epoch: &EpochId, head: i64) -> Result<()> {
    let schema: String = sqlx::query_scalar("select name from es.read_schema").fetch_one(&mut *owner).await?;
    let sql = format!("select position, epoch from {schema}.checkpoint");
    until(LIMIT, "the read tables to come to the end of the log", async || {
        let at: (i64, String) = sqlx::query_as(&sql).fetch_one(&mut *owner).await?;
        Ok((at == (head, epoch.as_str().to_owned())).then_some(()))
    })
    .await
}

/// Every message that the stream keeps is the event of its sequence, and none is missing between them.
pub(super) async fn stream(report: &mut Report, stream: &Stream, log: &[Stored]) -> Result<()> {
    let state = &stream.cached_info().state;
    let (mut expected, last) = (number(state.first_sequence), number(state.last_sequence));
    if state.messages == 0 {
        return Ok(());
    }
    let headers_only = OrderedConfig { headers_only: true, ..OrderedConfig::default() };
    let mut messages = stream.create_consumer(headers_only).await?.messages().await?;
    while expected <= last {
        let message = timeout(LIMIT, messages.next()).await.context("the stream is silent")?;
        let message = message.context("the stream ends")??;
        let sequence = number(message.info().map_err(anyhow::Error::from_boxed)?.stream_sequence);
        let header = |name: &str| {
            let value = message.headers.as_ref().and_then(|headers| headers.get(name));
            value.map(|value| value.as_str().to_owned())
        };
        let event = usize::try_from(sequence - 1).ok().and_then(|index| log.get(index));
        let is_event =
            event.is_some_and(|event| header(EVENT_ID).as_deref() == Some(event.event_id.as_str()));
        if sequence != expected || header(POSITION) != Some(sequence.to_string()) || !is_event {
            report.gaps += 1;
            report.tell(format!("{expected} is due in the stream, and there is {sequence} with {event:?}"));
        }
        expected = sequence + 1;
    }
    Ok(())
}

fn number(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}
