//! `daybook rebuild`: rebuilds the read tables beside the live ones, and swaps them.

use shared::process::config::Stores;

use crate::{output, progress, shadow_build};

#[derive(clap::Args)]
pub(crate) struct Rebuild {
    #[command(flatten)]
    stores: Stores,
}

impl Rebuild {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let shadow_build = shadow_build::open(&self.stores).await?;
        let position = progress::shown("Rebuilding", &shadow_build.status, shadow_build.rebuild()).await?;
        output::line(&format!("The read tables were rebuilt up to position {position}."));
        Ok(())
    }
}
