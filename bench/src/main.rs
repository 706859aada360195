//! Measures Daybook against what it could have been built from instead, on the same machine in the same minute.

mod append;
mod contention;
mod large;
mod load;
mod measure;
mod reads;
mod rebuild;
mod report;
mod services;

use std::time::Duration;

use clap::{Parser, Subcommand};

/// Benchmarks. Progress goes to standard error, the figures to standard output.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Appends one-event commands: our log against cqrs-es with postgres-es, on one durable Postgres.
    Append {
        /// Print the figures as one line of JSON, the last of standard output.
        #[arg(long)]
        json: bool,
        /// How often both are measured, in turn.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
        /// How long each of them is measured in a round.
        #[arg(long, default_value = "3", value_parser = seconds)]
        seconds: Duration,
        /// How many write at once; several numbers are measured one after the other.
        #[arg(long, value_delimiter = ',', default_value = "1,64,512")]
        writers: Vec<usize>,
        /// Let the rival's pool ping a connection before each use, which is the default of sqlx, and slower.
        #[arg(long)]
        rival_pings: bool,
        /// Where the server's files are put for the time of the measurement; must be a disk, not memory.
        #[arg(long, default_value_os_t = std::env::temp_dir())]
        folder: std::path::PathBuf,
    },
    /// Builds the read tables from a log: `daybook rebuild`, against an event at a time. Then rebuilds them while many
    /// read everything and one writes, and holds every answer against what it has to be.
    Rebuild {
        /// Print the figures as one line of JSON, the last of standard output.
        #[arg(long)]
        json: bool,
        /// How many events the log has, in hundreds.
        #[arg(long, default_value_t = 200_000, value_parser = hundreds)]
        events: i64,
        /// How often both are measured, in turn.
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
        /// How many read while the tables are rebuilt once more; 0 leaves that out.
        #[arg(long, default_value_t = 50)]
        readers: usize,
        /// Where the server's files are put for the time of the measurement; must be a disk, not memory.
        #[arg(long, default_value_os_t = std::env::temp_dir())]
        folder: std::path::PathBuf,
    },
    /// Loads one long aggregate: from its first event, and from a snapshot.
    Load {
        /// Print the figures as one line of JSON, the last of standard output.
        #[arg(long)]
        json: bool,
        /// How many events the aggregate has.
        #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(i64).range(200..))]
        events: i64,
        /// How often it is loaded in each way.
        #[arg(long, default_value_t = 20)]
        times: usize,
        /// Where the server's files are put for the time of the measurement; must be a disk, not memory.
        #[arg(long, default_value_os_t = std::env::temp_dir())]
        folder: std::path::PathBuf,
    },
    /// Works with many clients in one note, against as many in a note each.
    Contention {
        /// Print the figures as one line of JSON, the last of standard output.
        #[arg(long)]
        json: bool,
        /// How many clients work at once; several numbers are measured one after the other.
        #[arg(long, value_delimiter = ',', default_value = "1,2,8,64")]
        clients: Vec<usize>,
        /// How often both are measured, in turn.
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
        /// How long each of them is measured in a round.
        #[arg(long, default_value = "2", value_parser = seconds)]
        seconds: Duration,
        /// How many blocks 64 clients put behind one block in the end, while they add at the end and move; then the
        /// read tables are checked against the log.
        #[arg(long, default_value_t = 0)]
        behind: u64,
        /// Where the servers' files are put for the time of the measurement; must be a disk, not memory.
        #[arg(long, default_value_os_t = std::env::temp_dir())]
        folder: std::path::PathBuf,
    },
    /// Reads and changes a large note, a large notebook and long lists, and small ones beside them.
    Large {
        /// Print the figures as one line of JSON, the last of standard output.
        #[arg(long)]
        json: bool,
        /// How many blocks the large note has.
        #[arg(long, default_value_t = 5_000, value_parser = many)]
        blocks: usize,
        /// How many notes the large notebook has; and how many tasks there are, half of them in these notes.
        #[arg(long, default_value_t = 10_000, value_parser = many)]
        notes: usize,
        /// How often each thing is done.
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
        times: u32,
        /// Where the servers' files are put for the time of the measurement; must be a disk, not memory.
        #[arg(long, default_value_os_t = std::env::temp_dir())]
        folder: std::path::PathBuf,
    },
    /// Reads in a large workspace, as somebody in many notebooks and as somebody in few, and beside plain joins.
    Reads {
        /// Print the figures as one line of JSON, the last of standard output.
        #[arg(long)]
        json: bool,
        /// How many notes there are: a tenth of them in a notebook that everyone may read, and a person for each hundred.
        #[arg(long, default_value_t = 60_000, value_parser = clap::value_parser!(u32).range(10_000..=10_000_000))]
        notes: u32,
        /// How often each thing is read.
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
        times: u32,
        /// How long many read at once.
        #[arg(long, default_value = "5", value_parser = seconds)]
        seconds: Duration,
        /// Where the server's files are put for the time of the measurement; must be a disk, not memory.
        #[arg(long, default_value_os_t = std::env::temp_dir())]
        folder: std::path::PathBuf,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().what {
        What::Append { json, rounds, seconds, writers, rival_pings, folder } => {
            let plan = append::Plan { rounds, length: seconds, writers, rival_pings, folder };
            let compared = append::run(&plan).await?;
            say(&if json { report::json(&compared) } else { report::table(&compared) });
            Ok(())
        }
        What::Rebuild { json, events, rounds, readers, folder } => {
            let measured = rebuild::run(&rebuild::Plan { events, rounds, readers, folder }).await?;
            say(&report::rebuild(&measured, json));
            let wrong = measured.beside.map_or(0, |beside| beside.failed + beside.different);
            anyhow::ensure!(wrong == 0, "{wrong} reads failed or were wrong while the tables were rebuilt");
            Ok(())
        }
        What::Load { json, events, times, folder } => {
            let ways = load::run(&load::Plan { events, times, folder }).await?;
            say(&if json { load::json(events, &ways) } else { load::table(events, &ways) });
            Ok(())
        }
        What::Contention { json, clients, rounds, seconds, behind, folder } => {
            let plan = contention::Plan { clients, rounds, length: seconds, behind, folder };
            let measured = contention::run(&plan).await?;
            say(&if json { contention::json(&measured) } else { contention::table(&measured) });
            Ok(())
        }
        What::Large { json, blocks, notes, times, folder } => {
            let figures = large::run(&large::Plan { blocks, notes, times, folder }).await?;
            say(&if json { large::json(&figures) } else { large::table(&figures) });
            Ok(())
        }
        What::Reads { json, notes, times, seconds, folder } => {
            let plan = reads::Plan { crowd: kit::Crowd { notes }, times, length: seconds, folder };
            let measured = reads::run(&plan).await?;
            say(&if json { reads::json(&measured) } else { reads::table(&measured) });
            Ok(())
        }
    }
}

fn hundreds(text: &str) -> Result<i64, String> {
    let events =
        text.parse().ok().filter(|events| (1_000..=100_000_000).contains(events) && events % 100 == 0);
    events.ok_or_else(|| "not a number of hundreds, 1000 at least".to_owned())
}

fn many(text: &str) -> Result<usize, String> {
    let many = text.parse().ok().filter(|many| (large::SMALL..=1_000_000).contains(many));
    many.ok_or_else(|| format!("not a number from {} to 1000000", large::SMALL))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.filter(|length| !length.is_zero()).ok_or_else(|| "not a number of seconds above 0".to_owned())
}

#[expect(clippy::print_stdout, reason = "figures on standard output are what this program is for")]
fn say(text: &str) {
    println!("{text}");
}
