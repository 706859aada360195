//! The gateway's settings for operators.

use shared::process::http::Origins;

use super::Settings;

/// How the gateway is told what to let in.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// How many sockets may be open at once. At most half as many as the process may have open files (`ulimit -n`).
    #[arg(long, env = "DAYBOOK_SOCKETS", default_value_t = Settings::default().sockets)]
    sockets: usize,
}

impl Options {
    /// Everything else as it is by default.
    pub fn settings(&self, origins: &Origins) -> Settings {
        Settings { origins: origins.clone(), sockets: self.sockets, ..Settings::default() }
    }
}
