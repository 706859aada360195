//! `daybook migrate`: migrates a database to this release.

use anyhow::Context;
use shared::process::config::Stores;

use crate::running;

#[derive(clap::Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    stores: Stores,
}

impl Migrate {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let url = self.stores.database()?.context(
            "Give the address of the database, with its owner's login: DATABASE_URL or --database-url. (`daybook up` migrates its own database by itself.)",
        )?;
        running::folder(&self.stores.data)?;
        shared::process::migrate::migrate(&url, &self.stores.master_key()?).await?;
        tracing::info!("The database is migrated to this release");
        Ok(())
    }
}
