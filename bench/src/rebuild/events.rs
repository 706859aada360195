//! A log made of the events that there are, encrypted as they would be: of a hundred, one person, two notebooks, thirty notes,
//! and the rest changes of those notes.

use anyhow::Result;
use serde_json::{Value, json};
use shared::domain::clock::Clock;
use shared::log::encryption::{DataKey, MasterKey, about};
use sqlx::PgConnection;

/// Events that are made, and written, together: a person and what they do.
const EACH: i64 = 100;
const NOTES: usize = 30;
/// How many of those are written at once.
const AT_ONCE: i64 = 20;

/// Writes a log of so many events, a multiple of a hundred.
pub(super) async fn fill(owner: &mut PgConnection, master: &MasterKey, events: i64) -> Result<()> {
    let mut log = Log {
        master: master.clone(),
        events: Vec::new(),
        key_owners: Vec::new(),
        wrapped: Vec::new(),
        position: 0,
    };
    while log.position < events {
        for _ in 0..AT_ONCE.min((events - log.position) / EACH) {
            log.person();
        }
        log.write(owner).await?;
    }
    Ok(())
}

struct Log {
    master: MasterKey,
    events: Vec<Value>,
    key_owners: Vec<String>,
    wrapped: Vec<Vec<u8>>,
    position: i64,
}

struct Thing {
    kind: &'static str,
    id: String,
    key: DataKey,
    sequence: i64,
}

impl Log {
    fn person(&mut self) {
        let end = self.position + EACH;
        let mut person = self.thing("user");
        let name = format!("u{}", person.id.replace('-', ""));
        let name = name.get(..20).unwrap_or(&name);
        let data = json!({"email": format!("{name}@example.org"), "username": name, "display_name": name});
        self.event(&mut person, "UserRegistered", &data, &[]);
        let books: Vec<String> = (0..2).map(|_| self.notebook(&person.id)).collect();
        let mut notes: Vec<Thing> = (0..NOTES).map(|_| self.thing("note")).collect();
        let book = format!("notebook:{}", books[0]);
        for note in &mut notes {
            let data = json!({"notebook_id": books[0], "title": "What we tried, and what came of it"});
            self.event(note, "NoteCreated", &data, std::slice::from_ref(&book));
        }
        let mut turn = 0;
        while self.position < end {
            let note = &mut notes[turn % NOTES];
            let data = json!({"title": format!("What we tried, and what came of it, part {turn}")});
            self.event(note, "NoteRetitled", &data, std::slice::from_ref(&book));
            turn += 1;
        }
    }

    fn notebook(&mut self, owner: &str) -> String {
        let mut book = self.thing("notebook");
        self.event(&mut book, "NotebookCreated", &json!({"owner": owner, "name": "Lab"}), &[]);
        book.id
    }

    fn thing(&mut self, kind: &'static str) -> Thing {
        let id = Clock::System.new_id().to_string();
        let key_owner = format!("{kind}:{id}");
        let (key, wrapped) = self.master.make(&key_owner);
        self.key_owners.push(key_owner);
        self.wrapped.push(wrapped);
        Thing { kind, id, key, sequence: 0 }
    }

    fn event(&mut self, thing: &mut Thing, event_type: &str, data: &Value, scopes: &[String]) {
        thing.sequence += 1;
        self.position += 1;
        let key_owner = format!("{}:{}", thing.kind, thing.id);
        let payload = thing.key.encrypt(&key_owner, &about(event_type, &thing.id, thing.sequence), data);
        let mut all = vec![key_owner];
        all.extend_from_slice(scopes);
        self.events.push(json!({
            "position": self.position, "event_id": Clock::System.new_id(), "aggregate_type": thing.kind,
            "aggregate_id": thing.id, "sequence": thing.sequence, "event_type": event_type, "payload": payload,
            "scopes": all,
        }));
    }

    async fn write(&mut self, owner: &mut PgConnection) -> Result<()> {
        sqlx::query(
            "insert into es.key (key_owner, wrapped, made_at)
             select key_owner, wrapped, now() from unnest($1::text[], $2::bytea[]) k (key_owner, wrapped)",
        )
        .bind(std::mem::take(&mut self.key_owners))
        .bind(std::mem::take(&mut self.wrapped))
        .execute(&mut *owner)
        .await?;
        sqlx::query(
            "insert into es.event (position, event_id, aggregate_type, aggregate_id, sequence, event_type,
                                   event_version, payload, metadata, scopes, recorded_at)
             select position, event_id, aggregate_type, aggregate_id, sequence, event_type, '1.0', payload,
                    jsonb_build_object('actor', 'ada', 'correlation', event_id::text, 'causation', event_id::text),
                    scopes, clock_timestamp()
               from jsonb_to_recordset($1) r (position bigint, event_id uuid, aggregate_type text, aggregate_id text,
                                              sequence bigint, event_type text, payload jsonb, scopes text[])",
        )
        .bind(Value::Array(std::mem::take(&mut self.events)))
        .execute(owner)
        .await?;
        Ok(())
    }
}
