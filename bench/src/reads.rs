//! What reads cost in a large workspace, over HTTP: for whom is in many notebooks, and for whom is in few; and the lists
//! beside the plain join over all that the person may see, which is sorted whole for each page.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;
use kit::{Crowd, Of, numbered};
use serde_json::{Map, Value, json};
use shared::domain::id::UserId;
use shared::process::read_schema;
use sqlx::Executor;
use tokio::time::Instant;

use crate::measure::{Stretch, Writer, histogram, work};
use crate::report::{hundredths, milliseconds};
use crate::services::{Api, Own, on_own_servers};

/// How often each thing is done before it is measured: statements are prepared, and pages are in memory.
const WARM: u32 = 10;
/// How many persons read everyone's notebook at once, in turn.
const READERS: [u32; 3] = [1, 8, 64];

const NOTES: &str = "select n.* from my_grants g join sound_notes n on n.notebook_id = g.container_id
  where g.user_id = $1 and g.kind = 'notebook' order by n.created_at desc, n.id desc limit 51";
const TASKS: &str = "select t.* from my_grants g join sound_tasks t on t.notebook_id = g.container_id
  where g.user_id = $1 and g.kind = 'notebook' order by t.created_at desc, t.id desc limit 51";

/// Each read, and the plain join in its place.
const READS: [(&str, Option<&str>); 13] = [
    ("/notebooks", None),
    ("/notebooks/{notebook}", None),
    ("/notes", Some(NOTES)),
    ("/notes?notebook_id={notebook}", None),
    ("/notes/{note}", None),
    ("/tasks", Some(TASKS)),
    ("/tasks?completed=false", None),
    ("/tasks?notebook_id={notebook}", None),
    ("/tasks?note_id={note}", None),
    ("/tasks?sort=updated", None),
    ("/tasks?sort=due", None),
    ("/tasks?sort=priority", None),
    ("/tasks/{task}", None),
];

/// What to measure.
pub(crate) struct Plan {
    /// How large the workspace is.
    pub(crate) crowd: Crowd,
    /// How often each thing is read.
    pub(crate) times: u32,
    /// How long many read at once.
    pub(crate) length: Duration,
    /// Where the servers' data goes.
    pub(crate) folder: PathBuf,
}

/// How long the first page takes.
struct Figure {
    what: &'static str,
    few: Histogram<u64>,
    many: Histogram<u64>,
    plain: Option<Histogram<u64>>,
}

/// What was measured.
pub(crate) struct Measured {
    figures: Vec<Figure>,
    /// How many read everyone's notebook at once, and what they got.
    at_once: Vec<(u32, Stretch)>,
}

/// Measures on durable servers of its own.
pub(crate) async fn run(plan: &Plan) -> Result<Measured> {
    on_own_servers(&plan.folder, async |own| measure(plan, own).await).await
}

async fn measure(wanted: &Plan, own: &mut Own) -> Result<Measured> {
    eprintln!("filling the read tables with {} notes", wanted.crowd.notes);
    own.owner.execute(&*format!("set search_path to {}", read_schema::name())).await?;
    own.owner.execute(&*wanted.crowd.sql()).await?;
    own.owner.execute("vacuum analyze").await?;
    let token = |own: &Own, number| own.token(UserId(numbered(Of::Person, number)));
    let mut figures = Vec::new();
    for (what, join) in READS {
        let address = filled(what);
        let few = timed(wanted, async || own.api.text(&address, &token(own, 2)).await).await?;
        let many = timed(wanted, async || own.api.text(&address, &token(own, 1)).await).await?;
        let plain = match join {
            Some(sql) => Some(timed(wanted, async || joined(own, sql).await).await?),
            None => None,
        };
        eprintln!(
            "{what}: {} ms, in many notebooks {} ms",
            milliseconds(&few, 0.5),
            milliseconds(&many, 0.5)
        );
        figures.push(Figure { what, few, many, plain });
    }
    let address = filled("/notes?notebook_id={notebook}");
    let reader =
        |number| Reader { api: own.api.clone(), token: token(own, number), address: address.clone() };
    let mut at_once = Vec::new();
    for count in READERS {
        let mut readers: Vec<_> = (2..2 + count).map(reader).collect();
        at_once.push((count, work(&mut readers, wanted.length).await?));
    }
    Ok(Measured { figures, at_once })
}

/// The address of something in everyone's notebook.
fn filled(what: &str) -> String {
    let ids = [("{notebook}", Of::Notebook, 0), ("{note}", Of::Note, 8), ("{task}", Of::Task, 8)];
    ids.iter().fold(what.to_owned(), |what, (name, of, number)| {
        what.replace(name, &numbered(*of, *number).to_string())
    })
}

async fn joined(own: &mut Own, sql: &str) -> Result<String> {
    let rows = sqlx::query(sql).bind(numbered(Of::Person, 1)).fetch_all(&mut own.owner).await?;
    Ok(rows.len().to_string())
}

async fn timed(plan: &Plan, mut read: impl AsyncFnMut() -> Result<String>) -> Result<Histogram<u64>> {
    for _ in 0..WARM {
        read().await?;
    }
    let mut took = histogram();
    for _ in 0..plan.times {
        let begun = Instant::now();
        read().await?;
        took.saturating_record(u64::try_from(begun.elapsed().as_micros())?);
    }
    Ok(took)
}

/// Somebody who reads everyone's notebook over and over.
struct Reader {
    api: Api,
    token: String,
    address: String,
}

impl Writer for Reader {
    async fn step(&mut self) -> Result<()> {
        self.api.text(&self.address, &self.token).await.map(drop)
    }
}

/// One line for machines.
pub(crate) fn json(measured: &Measured) -> String {
    let figure =
        |took: &Histogram<u64>| json!({"p50_ms": milliseconds(took, 0.5), "max_ms": milliseconds(took, 1.0)});
    let by_name: Map<String, Value> = measured
        .figures
        .iter()
        .map(|one| {
            let mut figures = json!({"few": figure(&one.few), "many": figure(&one.many)});
            if let Some(plain) = &one.plain {
                figures["plain_join"] = figure(plain);
                figures["ratio"] = json!(ratio(one, plain));
            }
            (one.what.to_owned(), figures)
        })
        .collect();
    let together = |(readers, read): &(u32, Stretch)| {
        json!({"readers": readers, "per_s": read.rate().round(), "p50_ms": milliseconds(&read.latencies, 0.5),
               "p99_ms": milliseconds(&read.latencies, 0.99)})
    };
    let at_once: Vec<Value> = measured.at_once.iter().map(together).collect();
    json!({"reads": by_name, "at_once": at_once}).to_string()
}

/// How many times as long the plain join takes.
fn ratio(one: &Figure, plain: &Histogram<u64>) -> f64 {
    hundredths(milliseconds(plain, 0.5) / milliseconds(&one.many, 0.5).max(0.01))
}

/// A table for people.
pub(crate) fn table(measured: &Measured) -> String {
    let mut table = String::from(
        "| | in few notebooks: p50, most | in many: p50, most | the plain join: p50 | times as long |\n\
         | :-- | --: | --: | --: | --: |",
    );
    for one in &measured.figures {
        let [few, many] = [&one.few, &one.many]
            .map(|took| format!("{} ms, {} ms", milliseconds(took, 0.5), milliseconds(took, 1.0)));
        let plain = one.plain.as_ref().map_or_else(
            || "| ".to_owned(),
            |plain| format!("{} ms | {}", milliseconds(plain, 0.5), ratio(one, plain)),
        );
        write!(table, "\n| `{}` | {few} | {many} | {plain} |", one.what).expect("a string takes everything");
    }
    for (readers, read) in &measured.at_once {
        write!(
            table,
            "\n{readers} reading the notes of everyone's notebook at once: {:.0} pages/s, p50 {} ms, p99 {} ms",
            read.rate(),
            milliseconds(&read.latencies, 0.5),
            milliseconds(&read.latencies, 0.99)
        )
        .expect("a string takes everything");
    }
    table
}
