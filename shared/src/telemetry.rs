//! Logs: sentences with fields, as lines for people or JSON for machines.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt};

/// What to log, and how.
#[derive(Clone, Debug, clap::Args)]
pub struct Logs {
    /// What to log, such as `info` or `debug,sqlx=warn`.
    #[arg(long, env = "DAYBOOK_LOG", default_value = "info,async_nats=warn,sqlx=warn", global = true)]
    pub log: String,
    /// How to log; by default text from `daybook`, JSON from a service's own program.
    #[arg(long, env = "DAYBOOK_LOG_FORMAT", value_enum, global = true)]
    pub log_format: Option<Format>,
}

/// The form of a line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For machines: one object a line.
    Json,
}

impl Logs {
    /// Starts logging to standard error, as `by_default` unless the operator said how.
    pub fn start(&self, by_default: Format) {
        let filter = EnvFilter::try_new(&self.log).unwrap_or_else(|_| EnvFilter::new("info"));
        let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
        match self.log_format.unwrap_or(by_default) {
            Format::Text => builder.compact().with_ansi(std::io::stderr().is_terminal()).init(),
            Format::Json => builder.json().flatten_event(true).init(),
        }
    }
}
