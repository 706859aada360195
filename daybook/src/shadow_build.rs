//! What `daybook rebuild` and `daybook check` work with.

use projector::{ShadowBuild, Status};
use shared::log::keyring::Keyring;
use shared::process::config::Stores;
use shared::process::postgres::{DatabaseRole, options, pool, reach};
use shared::process::read_schema;
use tokio::sync::watch;

use crate::running;

/// Over the named database, or that of the `daybook up` that runs on the data folder.
pub(crate) async fn open(stores: &Stores) -> anyhow::Result<ShadowBuild> {
    let url = running::database(stores)?;
    let keys = pool(&url, DatabaseRole::Projector, None, 2)?;
    reach(&keys, DatabaseRole::Projector).await?;
    Ok(ShadowBuild {
        connect: options(&url, DatabaseRole::Projector, None)?,
        schema: read_schema::name().to_owned(),
        keyring: Keyring::new(stores.master_key()?, keys),
        status: watch::Sender::new(Status::default()),
    })
}
