//! The check: has the stream the same history as the log, and where does it end?
//!
//! The last message alone is not enough. When a foreign message takes a sequence, the event that should have had it
//! is refused, but the events behind it in the pipeline find the sequence that they expect and are accepted. So all
//! messages that may have been under way are compared.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::Stream;
use shared::log::epoch::{self, Epoch, EpochId, Origin};
use shared::log::event_log;
use shared::process::jetstream;

use super::Relay;
use super::error::RelayError;
use super::parting::{self, Parting};
use super::seen::Seen;

/// How long the server may take to answer a question about a stream.
const ANSWER: Duration = Duration::from_secs(5);

/// Where to go on.
pub(super) struct Start {
    pub(super) epoch: EpochId,
    /// The last sequence of the stream; everything after it is to be published.
    pub(super) last: i64,
}

/// What comes of comparing.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    Same { last: i64 },
    Gone,
    Parted(Parting),
}

/// Compares stream and log and mends what differs; `None` when something was mended, and a second look is due.
/// Up to `trusted` this leader has the stream's word already.
pub(super) async fn check(relay: &Relay, trusted: i64) -> Result<Option<Start>, RelayError> {
    let log = &relay.pool;
    let Some(epoch) = epoch::current(log).await? else {
        epoch::begin(log, None, 0, "a new log", &epoch::origin(log).await?).await?;
        return Ok(None);
    };
    let context = jetstream::context(&relay.nats, ANSWER);
    // The stream first, then the log: a log that is read later cannot lack what the stream rightly has.
    let stream = Seen::look(&context, &epoch.epoch, trusted).await?;
    let head = event_log::head(log).await?;
    let differs_at = match &stream {
        Some(seen) => seen.differs_at(log).await?,
        None => None,
    };
    let origin = epoch::origin(log).await?;
    match compare(&epoch, &origin, stream.as_ref().map(|seen| seen.last), head, differs_at) {
        Finding::Same { last } => {
            if let Some(seen) = stream {
                renew(&context, &seen.stream, &epoch.epoch, relay).await?;
            }
            return Ok(Some(Start { epoch: epoch.epoch, last }));
        }
        Finding::Gone => {
            // What is older, readers take from the log. Should another have made it, this is refused.
            let config = jetstream::stream_config(&epoch.epoch, head + 1, &relay.retention);
            context.create_stream(config).await?;
            tracing::info!(epoch = %epoch.epoch, position = head, "Made the stream");
        }
        Finding::Parted(why) => {
            let agreed = match &stream {
                Some(seen) => parting::agreed(log, seen, differs_at, head).await?,
                None => 0,
            };
            parting::part(&context, log, &epoch, agreed, why, &origin).await?;
        }
    }
    Ok(None)
}

/// Decides, from what was seen: the stream's last sequence, the log's last position, where they differ.
fn compare(epoch: &Epoch, origin: &Origin, last: Option<i64>, head: i64, differs_at: Option<i64>) -> Finding {
    match last {
        _ if epoch.origin.differs(origin) => Finding::Parted(Parting::AnotherServer),
        None => Finding::Gone,
        Some(last) if last > head => Finding::Parted(Parting::LongerThanLog),
        Some(_) if differs_at.is_some() => Finding::Parted(Parting::AnotherEvent),
        Some(last) => Finding::Same { last },
    }
}

/// Gives an older stream the retention that is wished for now.
async fn renew(context: &Context, stream: &Stream, epoch: &EpochId, relay: &Relay) -> Result<(), RelayError> {
    let now = stream.cached_info().config.clone();
    let wanted = jetstream::with_retention(now.clone(), epoch, &relay.retention);
    if wanted != now {
        context.update_stream(wanted).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(timeline: Option<i32>) -> Epoch {
        Epoch {
            epoch: EpochId::fresh(),
            seq: 1,
            agreed_position: 0,
            reason: String::new(),
            origin: Origin { timeline, system_identifier: None },
        }
    }

    fn found(last: Option<i64>, head: i64, differs_at: Option<i64>) -> Finding {
        compare(&epoch(None), &Origin::default(), last, head, differs_at)
    }

    #[test]
    fn a_stream_that_is_the_log_or_a_beginning_of_it_goes_on() {
        assert_eq!(found(Some(7), 7, None), Finding::Same { last: 7 });
        assert_eq!(found(Some(5), 7, None), Finding::Same { last: 5 });
    }

    #[test]
    fn no_stream_is_made_again() {
        assert_eq!(found(None, 7, None), Finding::Gone);
    }

    #[test]
    fn another_history_parts() {
        assert_eq!(found(Some(8), 7, Some(8)), Finding::Parted(Parting::LongerThanLog));
        assert_eq!(found(Some(7), 7, Some(3)), Finding::Parted(Parting::AnotherEvent));
    }

    #[test]
    fn another_timeline_parts_even_when_everything_looks_the_same() {
        let now = Origin { timeline: Some(2), system_identifier: None };
        let finding = compare(&epoch(Some(1)), &now, Some(7), 7, None);
        assert_eq!(finding, Finding::Parted(Parting::AnotherServer));
        assert_eq!(compare(&epoch(None), &now, Some(7), 7, None), Finding::Same { last: 7 });
    }
}
