//! What `daybook rebuild` and `daybook check` work with.

use projector::{Status, Workshop};
use shared::config::Stores;
use shared::postgres::{DatabaseRole, options, pool, reach};
use shared::read_schema;
use shared::seal::Keyring;
use tokio::sync::watch;

use crate::running;

/// Over the named database, or that of the `daybook up` that runs on the data folder.
pub(crate) async fn open(stores: &Stores) -> anyhow::Result<Workshop> {
    let url = running::database(stores)?;
    let keys = pool(&url, DatabaseRole::Projector, None, 2)?;
    reach(&keys, DatabaseRole::Projector).await?;
    Ok(Workshop {
        connect: options(&url, DatabaseRole::Projector, None)?,
        schema: read_schema::name().to_owned(),
        keyring: Keyring::new(stores.master_key()?, keys),
        status: watch::Sender::new(Status::default()),
    })
}
