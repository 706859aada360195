//! A log made of the events that there are, encrypted as they would be: of a hundred, one person, two notebooks, thirty notes,
//! and the rest changes of those notes.

use anyhow::Result;
use kit::{Fact, Scribe};
use serde_json::{Value, json};
use shared::domain::clock::Clock;
use shared::log::encryption::MasterKey;
use sqlx::PgConnection;

/// Events that are made, and written, together: a person and what they do.
const EACH: i64 = 100;
const NOTES: usize = 30;
/// How many of those are written at once.
const AT_ONCE: i64 = 20;

/// Writes a log of so many events, a multiple of a hundred.
pub(super) async fn fill(owner: &mut PgConnection, master: &MasterKey, events: i64) -> Result<()> {
    let scribe = Scribe::new(master.clone());
    let mut log = Log { facts: Vec::new(), position: 0 };
    while log.position < events {
        for _ in 0..AT_ONCE.min((events - log.position) / EACH) {
            log.person();
        }
        scribe.store(owner, std::mem::take(&mut log.facts)).await?;
    }
    Ok(())
}

struct Log {
    facts: Vec<Fact>,
    position: i64,
}

struct Thing {
    kind: &'static str,
    id: String,
    sequence: i64,
}

impl Log {
    fn person(&mut self) {
        let end = self.position + EACH;
        let mut person = Thing::new("user");
        let name = format!("u{}", person.id.replace('-', ""));
        let name = name.get(..20).unwrap_or(&name);
        let data = json!({"email": format!("{name}@example.org"), "username": name, "display_name": name});
        self.event(&mut person, "UserRegistered", data, &[]);
        let books: Vec<String> = (0..2).map(|_| self.notebook(&person.id)).collect();
        let mut notes: Vec<Thing> = (0..NOTES).map(|_| Thing::new("note")).collect();
        let book = format!("notebook:{}", books[0]);
        for note in &mut notes {
            let data = json!({"notebook_id": books[0], "title": "What we tried, and what came of it"});
            self.event(note, "NoteCreated", data, std::slice::from_ref(&book));
        }
        let mut turn = 0;
        while self.position < end {
            let note = &mut notes[turn % NOTES];
            let data = json!({"title": format!("What we tried, and what came of it, part {turn}")});
            self.event(note, "NoteRetitled", data, std::slice::from_ref(&book));
            turn += 1;
        }
    }

    fn notebook(&mut self, owner: &str) -> String {
        let mut book = Thing::new("notebook");
        self.event(&mut book, "NotebookCreated", json!({"owner": owner, "name": "Lab"}), &[]);
        book.id
    }

    fn event(&mut self, thing: &mut Thing, event_type: &str, data: Value, scopes: &[String]) {
        thing.sequence += 1;
        self.position += 1;
        let mut fact =
            Fact { sequence: Some(thing.sequence), ..Fact::new(thing.kind, &thing.id, event_type, data) };
        fact.scopes.extend_from_slice(scopes);
        // As long as they are in a log of our own.
        let cause = Clock::System.new_id().to_string();
        (fact.meta.correlation, fact.meta.causation) = (cause.clone(), cause);
        self.facts.push(fact);
    }
}

impl Thing {
    fn new(kind: &'static str) -> Self {
        Self { kind, id: Clock::System.new_id().to_string(), sequence: 0 }
    }
}
