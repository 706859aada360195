//! The alarm about a log that is ahead of the clock: it got there by a clock that had jumped, and goes on from there.

use std::time::Duration;

use tokio::time::Instant;

/// From how many seconds on: clocks are always corrected by a little.
const FROM: i64 = 60;
/// How often it is repeated while that lasts.
const EVERY: Duration = Duration::from_mins(1);

/// Raises the alarm, but not all the time.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    raised: Option<Instant>,
}

impl Alarm {
    /// Takes in by how many seconds the log is ahead.
    pub(super) fn hear(&mut self, ahead: i64) {
        // Metrics have no integers; this is far below what a float holds.
        metrics::gauge!("daybook_log_ahead_seconds").set(u32::try_from(ahead).unwrap_or(u32::MAX));
        if self.is_due(ahead, Instant::now()) {
            tracing::error!(
                seconds = ahead,
                "The last event is ahead of Postgres' clock, which must have jumped ahead earlier; until the clock has \
                 come there, all events get the time of that one"
            );
        }
    }

    fn is_due(&mut self, ahead: i64, now: Instant) -> bool {
        let due = ahead >= FROM && self.raised.is_none_or(|raised| now - raised >= EVERY);
        if due {
            self.raised = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_raised_once_a_minute_while_the_log_is_a_minute_ahead() {
        let (mut alarm, start) = (Alarm::default(), Instant::now());
        let mut due = |ahead, seconds| alarm.is_due(ahead, start + Duration::from_secs(seconds));
        assert!(!due(0, 0) && !due(59, 1));
        assert!(due(60, 2));
        assert!(!due(7_200, 3) && !due(7_200, 61));
        assert!(due(7_200, 62));
        assert!(!due(0, 200));
        assert!(due(60, 201));
    }
}
