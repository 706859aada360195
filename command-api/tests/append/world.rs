//! What the tests of appending share.

use command_api::log::NewEvent;
use kit::Scribe;
use serde_json::json;
use serde_json::value::to_raw_value;
use servers::testing::TestDatabase;
use shared::clock::Clock;
use shared::encryption::MasterKey;
use sqlx::PgPool;
use sqlx::migrate::Migrator;

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/es");

/// A database with an empty log.
pub(crate) async fn database() -> anyhow::Result<TestDatabase> {
    let template = format!("append_{}", shared::migrate::fingerprint());
    servers::testing::database(&template, async |url| {
        let owner = PgPool::connect(&url).await?;
        MIGRATIONS.run(&owner).await?;
        owner.close().await;
        Ok(())
    })
    .await
}

pub(crate) fn scribe() -> Scribe {
    Scribe::new(MasterKey::from_hex(&"07".repeat(32)).expect("64 digits"))
}

/// An event of a note.
pub(crate) fn event(note: &str, sequence: i64) -> NewEvent {
    NewEvent {
        event_id: Clock::System.new_id(),
        aggregate_type: "note",
        aggregate_id: note.into(),
        sequence,
        event_type: "NoteRetitled".into(),
        event_version: "1.0".into(),
        payload: to_raw_value(&json!({"title": "x"})).expect("JSON"),
        metadata: to_raw_value(&json!({"actor": "someone"})).expect("JSON"),
        scopes: vec!["note:1".into(), "notebook:2".into()],
    }
}
