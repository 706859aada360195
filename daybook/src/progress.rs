//! Progress of long work: a bar on a terminal, a regular line in the log elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use projector::Status;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often a bar is drawn.
const DRAW: Duration = Duration::from_millis(100);
/// How often a line is logged.
const LOG: Duration = Duration::from_secs(5);

/// Shows how far `work` is until it ends.
pub(crate) async fn shown<T>(
    what: &'static str,
    status: &watch::Sender<Status>,
    work: impl Future<Output = T>,
) -> T {
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    let style = "{msg} {wide_bar} {pos} of {len} events, {per_sec}, {eta} to go";
    bar.set_style(ProgressStyle::with_template(style).expect("the template is well-formed"));
    bar.set_message(what);
    let ended = tokio::select! {
        ended = work => ended,
        never = follow(what, &bar, status.subscribe()) => match never {},
    };
    bar.finish_and_clear();
    ended
}

async fn follow(what: &str, bar: &ProgressBar, status: watch::Receiver<Status>) -> std::convert::Infallible {
    let hidden = bar.is_hidden();
    let mut ticks = interval(if hidden { LOG } else { DRAW });
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // At once, and not counted: what an earlier run did is not this one's rate.
    ticks.tick().await;
    let (mut before, mut at) = (status.borrow().position, Instant::now());
    bar.set_position(before.unsigned_abs());
    bar.reset_eta();
    loop {
        ticks.tick().await;
        let (done, head) = {
            let status = status.borrow();
            (status.position, status.head)
        };
        if hidden {
            let rate = events(done - before) / at.elapsed().as_secs_f64();
            tracing::info!(done, remaining = (head - done).max(0), rate = rate.round(), "{what}");
        } else {
            bar.set_length(head.unsigned_abs());
            bar.set_position(done.unsigned_abs());
        }
        (before, at) = (done, Instant::now());
    }
}

fn events(count: i64) -> f64 {
    f64::from(i32::try_from(count).unwrap_or(i32::MAX))
}
