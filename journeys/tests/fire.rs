//! A Daybook of several processes under load and under fire: nothing acknowledged is lost, nothing happens twice.

use std::time::Duration;

use journeys::fire::{Plan, any_seed, given_seed, run};

/// Two of each kind; `./dev soak` does more.
const EACH: usize = 2;
/// How long it has to do without NATS.
const OUTAGE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_under_fire() {
    let seed = given_seed().unwrap_or_else(any_seed);
    println!("seed {seed}");
    let plan = Plan { seed, each: EACH, lasting: Duration::ZERO, outage: OUTAGE };
    let report = run(plan).await.expect("it comes through");
    println!("{report}");
    assert!(report.is_clean(), "{report}");
}
