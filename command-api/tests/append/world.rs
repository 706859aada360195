//! What the tests of appending share.

use command_api::log::NewEvent;
use kit::Level;
use serde_json::json;
use servers::testing::TestDatabase;
use shared::domain::clock::Clock;
use shared::log::event::Meta;
use shared::log::stored_event::{Mac, Payload};
use sqlx::{Connection, Executor, PgConnection};

/// A database with an empty log, and no keys.
pub(crate) async fn database() -> anyhow::Result<TestDatabase> {
    let database = kit::database(Level::Log).await?;
    let mut owner = PgConnection::connect(&database.url).await?;
    owner.execute("delete from es.key").await?;
    owner.close().await?;
    Ok(database)
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
        effects: Vec::new(),
        scopes: vec!["note:1".into(), "notebook:2".into()],
        mac: Mac::default(),
    }
}
