//! `daybook events`: prints the log, decrypted, one event a line. Of one that cannot be read, or is not as it
//! was recorded, only its position and the reason are printed.

use std::time::Duration;

use shared::log::keyring::Keyring;
use shared::process::config::Stores;
use shared::process::postgres::{DatabaseRole, pool};

use crate::{output, running};

/// Events read at a time.
const PAGE: i64 = 1_000;
/// How often `--follow` looks for more.
const POLL: Duration = Duration::from_millis(250);

#[derive(clap::Args)]
pub(crate) struct Events {
    #[command(flatten)]
    stores: Stores,
    /// Start after this position.
    #[arg(long, default_value_t = 0)]
    after: i64,
    /// Keep printing new events.
    #[arg(long)]
    follow: bool,
}

impl Events {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let url = running::database(&self.stores)?;
        let pool = pool(&url, DatabaseRole::Query, None, 2)?;
        let keyring = Keyring::new(self.stores.master_key()?, pool.clone());
        let mut position = self.after;
        let mut ticks = tokio::time::interval(POLL);
        loop {
            let stored = shared::log::event_log::after(&pool, position, PAGE).await?;
            if stored.is_empty() {
                if !self.follow {
                    return Ok(());
                }
                ticks.tick().await;
            }
            for event in keyring.open_each(stored).await? {
                match event {
                    Ok(opened) => {
                        position = opened.recorded.position;
                        output::line(&serde_json::to_string(&opened.recorded)?);
                    }
                    Err(unopened) => {
                        position = unopened.recorded.position;
                        output::complaint(&format!("{position}: {}", unopened.why));
                    }
                }
            }
        }
    }
}
