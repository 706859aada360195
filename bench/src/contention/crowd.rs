//! Many clients put very many blocks behind one block of a note, while others add at its end and move theirs.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::Serialize;
use serde_json::json;
use servers::until::until;
use shared::domain::rank::Rank;
use shared::process::read_schema;

use super::{Client, Way, furnish, made};
use crate::measure::work;
use crate::services::{Own, shadow_build};

const CLIENTS: usize = 64;
/// Half of the clients add behind the one block.
const WAYS: [Way; 4] = [Way::BehindOneBlock, Way::AtTheEnd, Way::BehindOneBlock, Way::Moved];
/// After each stretch it is seen whether there are enough.
const STRETCH: Duration = Duration::from_secs(5);
/// How long the read tables may take to come to the end of the log.
const FOLDED_WITHIN: Duration = Duration::from_mins(10);

/// What came of it. A row of the read tables that is not what the log makes of it ends the measurement.
#[derive(Serialize)]
pub(super) struct Crowd {
    behind: u64,
    commands: u64,
    seconds: f64,
    refused: u64,
    blocks: i64,
    longest_rank: i32,
}

pub(super) async fn run(own: &mut Own, behind: u64) -> Result<Crowd> {
    // A login of its own: the measurements before may have taken longer than a token lives.
    let token: Arc<str> = own.api.login("ada").await?.into();
    let notebook = made(&own.api, &token, "/notebooks", &json!({"name": "Crowd"})).await?;
    let furnished = furnish(&own.api, &token, &notebook, CLIENTS).await?;
    let mut clients: Vec<Client> = furnished
        .own
        .iter()
        .zip(WAYS.into_iter().cycle())
        .map(|(block, way)| Client::new(&own.api, &token, way, &furnished, block))
        .collect();
    let begun = Instant::now();
    let (mut commands, mut done) = (0, 0);
    while done < behind {
        commands += work(&mut clients, STRETCH).await?.steps;
        let added = clients.iter().filter(|client| matches!(client.way, Way::BehindOneBlock));
        done = added.map(|client| client.done - client.refused).sum();
        eprintln!("{done} blocks behind one, {commands} commands");
    }
    let seconds = begun.elapsed().as_secs_f64().round();
    let refused = clients.iter().map(|client| client.refused).sum();
    let ranks = format!(
        "select count(*), count(distinct rank), max(length(rank)) from {schema}.blocks, {schema}.checkpoint c
          where note_id = $1::uuid and c.position = (select max(position) from es.event) having count(*) > 0",
        schema = read_schema::name()
    );
    let (blocks, distinct, longest_rank): (i64, i64, i32) =
        until(FOLDED_WITHIN, "folding all blocks", async || {
            Ok(sqlx::query_as(&ranks).bind(&furnished.note).fetch_optional(&mut own.owner).await?)
        })
        .await?;
    ensure!(blocks == distinct, "{blocks} blocks have {distinct} ranks");
    ensure!(usize::try_from(longest_rank)? <= Rank::LONGEST, "a rank has {longest_rank} characters");
    let check = shadow_build(&own.url, &own.master, read_schema::name())?.check().await?;
    ensure!(check.different == 0, "{} rows are not what the log makes of them", check.different);
    Ok(Crowd { behind: done, commands, seconds, refused, blocks, longest_rank })
}

impl fmt::Display for Crowd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { behind, commands, seconds, refused, blocks, longest_rank } = self;
        write!(
            f,
            "{behind} blocks were put behind one by half of {CLIENTS} clients, while the others added at the end and moved: \
             {commands} commands in {seconds} s, {refused} refused. Of {blocks} blocks the longest rank has \
             {longest_rank} characters. The read tables are as the log makes them."
        )
    }
}
