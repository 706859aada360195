//! `daybook check`: compares the read tables with the log.

use anyhow::bail;
use shared::process::config::Stores;

use crate::{output, progress, shadow_build};

#[derive(clap::Args)]
pub(crate) struct Check {
    #[command(flatten)]
    stores: Stores,
}

impl Check {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let shadow_build = shadow_build::open(&self.stores).await?;
        let report = progress::shown("Checking", &shadow_build.status, shadow_build.check()).await?;
        for difference in &report.first {
            output::line(&difference.to_string());
        }
        let (position, rows, different) = (report.position, report.rows, report.different);
        if different > 0 {
            bail!(
                "At position {position}, {different} rows of the read tables differ from the log. The first of each table \
                 are listed. daybook rebuild repairs them all."
            );
        }
        output::line(&format!(
            "At position {position}, all {rows} rows of the read tables agree with the log."
        ));
        Ok(())
    }
}
