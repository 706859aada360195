//! A Daybook of several processes under load while its parts are killed and frozen: nothing acknowledged is lost, nothing happens twice.

use std::time::Duration;

use e2e::chance::{any_seed, given_seed, say};
use e2e::chaos::{Plan, run};

/// Ten of each of the seven kinds.
const EACH: usize = 10;
/// How long it has to do without NATS; `./dev soak` has a minute of it.
const OUTAGE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_under_chaos() {
    let seed = given_seed().expect("DAYBOOK_SEED is a seed").unwrap_or_else(any_seed);
    let again = format!("to repeat it: DAYBOOK_SEED={seed} ./dev test -p e2e --test chaos");
    say(&format!("seed {seed}; {again}")).expect("it can be printed");
    let plan = Plan { seed, each: EACH, lasting: Duration::ZERO, outage: OUTAGE };
    match run(plan).await {
        // How long things took is only told: this machine may be busy.
        Ok(report) if report.is_clean() => say(&report.to_string()).expect("it can be printed"),
        Ok(report) => panic!("{report}\n{again}"),
        Err(error) => panic!("it did not come through: {error:?}\n{again}"),
    }
}
