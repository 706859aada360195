//! What a container was read for: only what changes access makes it stale.

use command_api::log::{Append, Expect, Log, Outcome};
use shared::domain::access::{Container, Effect, Kind};
use shared::process::postgres::{DatabaseRole, options};
use tokio_util::sync::CancellationToken;

use crate::batches::{command, stands};
use crate::world::{database, event};

/// Records an event of the container, perhaps with an effect.
async fn record(log: &Log, sequence: i64, effects: &[Effect]) -> anyhow::Result<()> {
    let change = |c: &mut Append| {
        let mut event = event("lab", sequence);
        event.effects = effects.to_vec();
        c.events = vec![event];
    };
    anyhow::ensure!(stands(&log.append(command(change)).await), "event {sequence} is recorded");
    Ok(())
}

/// Whether a command stands that read the container at this sequence.
async fn stands_on(log: &Log, sequence: i64, access_only: bool) -> anyhow::Result<bool> {
    let read = Expect { aggregate_type: "note", aggregate_id: "lab".into(), sequence, access_only };
    let outcome = log.append(command(|c| c.expects.push(read))).await;
    anyhow::ensure!(stands(&outcome) || matches!(outcome, Ok(Outcome::Conflict { .. })), "{outcome:?}");
    Ok(stands(&outcome))
}

#[tokio::test]
async fn another_name_makes_no_read_of_a_container_stale_and_another_place_does() -> anyhow::Result<()> {
    let database = database().await?;
    let (log, _writer) =
        Log::start(&options(&database.url, DatabaseRole::Command, None)?, CancellationToken::new());
    record(&log, 1, &[]).await?;
    record(&log, 2, &[]).await?;
    assert!(stands_on(&log, 1, true).await?);
    assert!(!stands_on(&log, 1, false).await?);
    // What does not exist yet has no place.
    assert!(!stands_on(&log, 0, true).await?);
    let lab = Container { kind: Kind::Notebook, id: uuid::Uuid::nil() };
    record(&log, 3, &[Effect::Cleared(lab)]).await?;
    record(&log, 4, &[]).await?;
    for (sequence, expected) in [(1, false), (2, false), (3, true), (4, true), (5, false)] {
        assert_eq!(stands_on(&log, sequence, true).await?, expected, "{sequence}");
    }
    // Whoever looks for effects looks at so many events at most.
    for sequence in 5..=103 {
        record(&log, sequence, &[]).await?;
    }
    assert!(stands_on(&log, 3, true).await?);
    record(&log, 104, &[]).await?;
    assert!(!stands_on(&log, 3, true).await?);
    Ok(())
}
