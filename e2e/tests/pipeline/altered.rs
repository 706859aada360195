//! A log that somebody altered who has all rights in the database and not the master key: whatever reads it says which event
//! it is, and shows nothing of it.

use std::collections::BTreeSet;
use std::path::Path;

use e2e::Watch;
use kit::{destroy_key, rewrite};
use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::clock::Clock;
use sqlx::{Connection, PgConnection};

use crate::program::{Program, run, until};
use crate::{CANARY, NOTEBOOK, ada_writes, folder};

/// What is done to the only event of a note: to one column of it each time.
const ALTERED: [&str; 20] = [
    "metadata = jsonb_set(metadata, '{actor}', to_jsonb(gen_random_uuid()))",
    "metadata = jsonb_set(metadata, '{correlation}', to_jsonb(gen_random_uuid()))",
    "metadata = jsonb_set(metadata, '{causation}', to_jsonb(gen_random_uuid()))",
    "metadata = metadata - 'actor'",
    "scopes = scopes || array['user:' || gen_random_uuid()]",
    "scopes = scopes[1:1]",
    "scopes = scopes || null::text",
    "owner = 'user:' || gen_random_uuid()",
    "effects = '{\"inside\": \"notebook\"}'",
    "effects = null",
    "effects = jsonb_set(effects, '{0,inside}', to_jsonb('notebook:' || gen_random_uuid()))",
    "effects = effects || jsonb_build_array(jsonb_build_object('ended', scopes[2]))",
    "event_type = 'NoteRetitled'",
    "event_version = '2.0'",
    "event_id = gen_random_uuid()",
    "sequence = 2",
    "payload = set_byte(payload, 40, get_byte(payload, 40) # 1)",
    "payload = (select payload from es.event where event_type = 'NoteCreated' order by position limit 1)",
    "payload = convert_to('{\"notebook_id\": null, \"title\": \"Mine\"}', 'UTF8')",
    "mac = decode(repeat('00', 16), 'hex')",
];

/// Ada's things, and who alters them.
struct Altered {
    daybook: Program,
    token: String,
    owner: PgConnection,
    /// The notes whose event is no longer as it was.
    notes: Vec<String>,
    /// The events that are no longer as they were.
    positions: BTreeSet<i64>,
    /// What is said of keys that are not as they were, and the events that are lost with them.
    keys: Vec<(String, i64)>,
}

impl Altered {
    async fn note(&mut self, title: &str) -> (String, i64) {
        let id = Clock::System.new_id().to_string();
        let note = json!({"id": id, "notebook_id": NOTEBOOK, "title": title});
        let answer = self.daybook.post("/notes", &self.token, &note).await;
        (id, answer["position"].as_i64().expect("a position"))
    }

    async fn alter(&mut self, position: i64, what: &str) {
        let statement = format!("update es.event set {what} where position = {position}");
        rewrite(&mut self.owner, &statement).await.expect("the owner may");
        self.positions.insert(position);
    }

    async fn position(&mut self, query: &str, id: &str) -> i64 {
        sqlx::query_scalar(query).bind(id).fetch_one(&mut self.owner).await.expect("an event")
    }
}

async fn altered(data: &Path) -> Altered {
    let daybook = Program::start(data).await;
    let (token, _) = ada_writes(&daybook).await;
    let owner = PgConnection::connect(&daybook.database_url).await.expect("the database is there");
    let mut log =
        Altered { daybook, token, owner, notes: Vec::new(), positions: BTreeSet::new(), keys: Vec::new() };
    for what in ALTERED {
        let (note, position) = log.note(CANARY).await;
        log.alter(position, what).await;
        log.notes.push(note);
    }
    let keys = [log.note(CANARY).await, log.note(CANARY).await];
    let exchange = "update es.key k set wrapped = o.wrapped from es.key o
                     where k.key_owner in ('note:' || $1, 'note:' || $2) and k.key_owner <> o.key_owner
                       and o.key_owner in ('note:' || $1, 'note:' || $2)";
    let exchange = sqlx::query(exchange).bind(&keys[0].0).bind(&keys[1].0);
    assert_eq!(exchange.execute(&mut log.owner).await.expect("the owner may").rows_affected(), 2);
    for (note, position) in keys {
        log.keys.push((format!("the key of note:{note} cannot be decrypted"), position));
        log.notes.push(note);
    }
    let (note, position) = log.note(CANARY).await;
    let delete = sqlx::query("delete from es.key where key_owner = 'note:' || $1").bind(&note);
    assert_eq!(delete.execute(&mut log.owner).await.expect("the owner may").rows_affected(), 1);
    log.keys.push((format!("the key of note:{note} is missing"), position));
    log.notes.push(note);
    // One that is erased.
    let (note, position) = log.note(CANARY).await;
    destroy_key(&mut log.owner, &format!("note:{note}")).await.expect("the owner may");
    log.alter(position, ALTERED[0]).await;
    log.notes.push(note);
    // One in clear.
    let task = json!({"title": CANARY});
    let task = log.daybook.post("/tasks", &log.token, &task).await["id"].as_str().expect("an id").to_owned();
    let (status, said) =
        log.daybook.send(Method::DELETE, &format!("/tasks/{task}"), &log.token, &Value::Null).await;
    assert_eq!(status, 200, "{said}");
    let removed = "select position from es.event where aggregate_id = $1 and event_type = 'TaskRemoved'";
    let position = log.position(removed, &task).await;
    log.alter(position, ALTERED[0]).await;
    // And one that never happened.
    let (note, _) = log.note("Plans").await;
    let forge = "insert into es.event
                 select e.position + 1, gen_random_uuid(), aggregate_type, aggregate_id, 2, 'NoteRetitled', '1.0',
                        convert_to('{\"title\": \"Mine\"}', 'UTF8'), metadata, scopes, null, null, mac, recorded_at
                   from es.event e where aggregate_id = $1 returning position";
    let forged = log.position(forge, &note).await;
    log.positions.insert(forged);
    log.notes.push(note);
    log
}

fn positions<'e>(events: impl IntoIterator<Item = &'e Value>) -> BTreeSet<i64> {
    events.into_iter().filter_map(|event| event["position"].as_i64()).collect()
}

/// The positions of all that sockets are sent up to `last`. An event with another id is another history to who reads the
/// stream: until the read tables are built for it, sockets end.
async fn sent(data: &Path, token: &str, last: i64) -> BTreeSet<i64> {
    until(|| async {
        let mut watch = Watch::start(token, "--data", data);
        let mut sent = BTreeSet::new();
        while let Some(frame) = watch.frame().await.filter(|frame| frame["type"] != "reset") {
            sent.extend(positions([&frame["event"]]));
            if sent.contains(&last) {
                return Some(sent);
            }
        }
        None
    })
    .await
}

#[tokio::test]
async fn what_was_altered_in_the_database_is_named_and_not_shown() {
    let data = folder();
    let mut log = altered(data.path()).await;
    let (_, last) = log.note("The last").await;

    let printed = run(&["events"], data.path()).await;
    let (out, complaints) =
        (String::from_utf8_lossy(&printed.stdout), String::from_utf8_lossy(&printed.stderr));
    let shown: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let shown = positions(&shown);
    assert!(shown.contains(&last) && shown.is_disjoint(&log.positions), "{shown:?}");
    for position in &log.positions {
        let named = complaints
            .lines()
            .filter(|line| line.contains(&format!("the event at position {position} ")))
            .any(|line| line.contains("is not as it was recorded") || line.contains("cannot be decrypted"));
        assert!(named, "{position}: {complaints}");
    }
    for (named, position) in &log.keys {
        let named = format!("{position}: {named}");
        assert!(complaints.contains(&named), "{named}: {complaints}");
    }
    let all = log.positions.len() + log.keys.len();
    assert_eq!(complaints.lines().count(), all, "{complaints}");
    let hidden: BTreeSet<i64> = log.keys.iter().map(|(_, position)| *position).collect();
    assert!(shown.is_disjoint(&hidden), "{shown:?}");

    // What was read before it was altered may still be in memory as it was, and genuine.
    assert!(log.daybook.stop().success());
    let daybook = Program::start(data.path()).await;
    until(|| daybook.is_ready()).await;
    let sent = sent(data.path(), &log.token, last).await;
    assert!(sent.is_disjoint(&log.positions) && sent.is_disjoint(&hidden), "{sent:?}");

    // Nothing is decided on what is altered.
    for note in &log.notes {
        let title = json!({"title": "Changed"});
        let (status, said) = daybook.send(Method::PATCH, &format!("/notes/{note}"), &log.token, &title).await;
        assert_eq!(status, 500, "{note}: {said}");
    }
    // Nor does it come into new tables.
    let rebuilt = run(&["rebuild"], data.path()).await;
    assert!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
    for note in &log.notes {
        // Withheld from who is known to have access to it, and unknown to all others.
        let (status, said) =
            daybook.send(Method::GET, &format!("/notes/{note}"), &log.token, &Value::Null).await;
        assert!([404, 503].contains(&status) && !said.contains(CANARY), "{note}: {status} {said}");
    }
    let quarantined = run(&["projector", "quarantine"], data.path()).await;
    let quarantined = String::from_utf8_lossy(&quarantined.stdout).into_owned();
    for note in &log.notes {
        assert!(quarantined.contains(&format!("notes {note}: since position ")), "{quarantined}");
    }
    assert!(daybook.stop().success());
}
