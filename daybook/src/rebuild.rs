//! `daybook rebuild`: builds the read tables anew beside the live ones, and swaps.

use shared::config::Stores;

use crate::{output, progress, workshop};

#[derive(clap::Args)]
pub(crate) struct Rebuild {
    #[command(flatten)]
    stores: Stores,
}

impl Rebuild {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let workshop = workshop::open(&self.stores).await?;
        let position = progress::shown("Rebuilding", &workshop.status, workshop.rebuild()).await?;
        output::line(&format!("The read tables were built anew, up to position {position}."));
        Ok(())
    }
}
