//! `daybook migrate`: brings a database to the form of this release.

use anyhow::Context;
use shared::config::Stores;

use crate::running;

#[derive(clap::Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    stores: Stores,
}

impl Migrate {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let url = self.stores.database()?.context(
            "Name the database, as its owner: DATABASE_URL or --database-url. (daybook up migrates a database of its own by itself.)",
        )?;
        running::folder(&self.stores.data)?;
        shared::migrate::migrate(&url, &self.stores.master_key()?).await?;
        tracing::info!("The database has the form of this release");
        Ok(())
    }
}
