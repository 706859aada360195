//! What the tests of appending share.

use command_api::log::NewEvent;
use kit::Level;
use serde_json::json;
use servers::testing::TestDatabase;
use shared::domain::clock::Clock;
use shared::log::encryption::MasterKey;
use shared::log::event::Meta;
use shared::log::stored_event::{Mac, Payload};
use sqlx::PgPool;
use sqlx::migrate::Migrator;

/// A database with an empty log, and no keys.
pub(crate) async fn database() -> anyhow::Result<TestDatabase> {
    let template = format!("append_{}", shared::process::migrate::fingerprint());
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
        payload: Payload::clear(&json!({"title": "x"})),
        meta: Meta { actor: "someone".into(), correlation: String::new(), causation: String::new() },
        key: None,
        scopes: vec!["note:1".into(), "notebook:2".into()],
        mac: Mac::default(),
    }
}
