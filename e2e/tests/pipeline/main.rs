//! The whole pipeline with the real program and servers of its own: REST call, event, row, socket; killed and started again.

mod altered;
mod content;
mod forms;
mod items;
mod operator;
mod program;
mod quarantined;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use e2e::Watch;
use program::{Program, printed, run, until};
use serde_json::{Value, json};
use servers::testing;
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

const NOTEBOOK: &str = "0193a5f0-0000-7000-8000-000000000001";
const NOTE: &str = "0193a5f0-0000-7000-8000-000000000002";
const CANARY: &str = "Canary7f3a";

fn folder() -> TempDir {
    testing::folder("daybook-pipeline-", &std::env::temp_dir()).expect("a new folder")
}

/// Ada, who has a notebook and a note with the canary in its title.
async fn ada_writes(daybook: &Program) -> (String, i64) {
    daybook.register("ada@example.org").await;
    let token = daybook.login("ada@example.org").await;
    daybook.post("/notebooks", &token, &json!({"id": NOTEBOOK, "name": "Lab"})).await;
    let note = json!({"id": NOTE, "notebook_id": NOTEBOOK, "title": CANARY});
    let answer = daybook.post("/notes", &token, &note).await;
    (token, answer["position"].as_i64().expect("a position"))
}

#[tokio::test]
async fn what_was_answered_is_there_after_kill_nine() {
    let data = folder();
    let daybook = Program::start(data.path()).await;
    let (token, position) = ada_writes(&daybook).await;
    let read = format!("/notes/{NOTE}?after={position}");
    assert_eq!(daybook.get(&read, &token).await["title"], CANARY);

    let renamed =
        daybook.patch(&format!("/notebooks/{NOTEBOOK}"), &token, &json!({"name": "Laboratory"})).await;
    assert!(renamed.contains('-'), "a change says in which history its position counts: {renamed}");
    let notebook = format!("/notebooks/{NOTEBOOK}?after={renamed}");
    assert_eq!(daybook.get(&notebook, &token).await["name"], "Laboratory");

    let second = run(&["up", "--listen", "127.0.0.1:0"], data.path()).await;
    assert!(!second.status.success());
    assert!(
        String::from_utf8_lossy(&second.stderr).contains("already"),
        "a second up must say why it does not start"
    );

    daybook.kill();
    let daybook = Program::start(data.path()).await;
    assert_eq!(daybook.get(&read, &token).await["title"], CANARY);
    assert!(daybook.stop().success(), "SIGTERM is a clean end");
}

#[tokio::test]
async fn what_the_data_folder_holds_is_for_its_owner_alone() {
    let parent = folder();
    let data = parent.path().join("data");
    let daybook = Program::start(&data).await;
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&data) & 0o066, 0, "others may pass through at most");
    let mut held = Vec::new();
    for entry in std::fs::read_dir(&data).expect("a folder") {
        let path = entry.expect("an entry").path();
        assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
        held.push(path.file_name().expect("a name").to_owned());
    }
    assert!(
        ["master.key", "postgres", "nats", "running.json"].iter().all(|name| held.contains(&name.into()))
    );
    assert!(daybook.stop().success());
}

#[tokio::test]
async fn a_watching_operator_sees_the_note_appear() {
    let data = folder();
    let daybook = Program::start(data.path()).await;
    let (token, position) = ada_writes(&daybook).await;
    daybook.get(&format!("/notes/{NOTE}?after={position}"), &token).await;
    // Before or after `live`: the gateway may come to what can be read a moment later than the reads.
    let (mut watch, mut events) = (Watch::start(&token, "--data", data.path()), Vec::new());
    while events.len() < 5 {
        events.push(watch.event().await);
    }
    let types: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap_or_default()).collect();
    assert_eq!(types, ["UserRegistered", "SessionOpened", "MemberAdded", "NotebookCreated", "NoteCreated"]);
    assert_eq!(events[4]["data"]["title"], CANARY);
}

#[tokio::test]
async fn content_is_encrypted_and_gone_with_its_key() {
    let data = folder();
    let daybook = Program::start(data.path()).await;
    let (token, position) = ada_writes(&daybook).await;
    daybook.get(&format!("/notes/{NOTE}?after={position}"), &token).await;
    let stream = data.path().join("nats");
    until(|| async { found_below(&stream, NOTE.as_bytes()).then_some(()) }).await;
    let url = daybook.database_url.clone();
    assert!(!dump(&url, "es").await.contains(CANARY), "the log holds content in clear");
    assert!(
        dump(&url, "read_%").await.contains(CANARY),
        "the read tables should show that this test can find the canary"
    );
    assert!(!found_below(&stream, CANARY.as_bytes()), "the stream holds content in clear");

    let mut owner = PgConnection::connect(&url).await.expect("the database is there");
    kit::destroy_key(&mut owner, &format!("note:{NOTE}")).await.expect("the owner may");
    let schema: String = sqlx::query_scalar("select nspname from pg_namespace where nspname like 'read_%'")
        .fetch_one(&mut owner)
        .await
        .expect("one read schema");
    owner.close().await.expect("closes");
    daybook.stop();

    let daybook = Program::start(data.path()).await;
    let mut owner = PgConnection::connect(&daybook.database_url).await.expect("the database is there");
    sqlx::query(&format!("drop schema {schema} cascade")).execute(&mut owner).await.expect("the owner may");
    sqlx::query("delete from es.read_schema").execute(&mut owner).await.expect("the owner may");
    owner.close().await.expect("closes");
    daybook.stop();

    let daybook = Program::start(data.path()).await;
    assert_eq!(daybook.status(&format!("/notes/{NOTE}"), &token).await, 404);
    assert_eq!(daybook.get(&format!("/notebooks/{NOTEBOOK}"), &token).await["name"], "Lab");
    let events = printed(data.path()).await;
    let erased = events.last().expect("there are events");
    assert_eq!((&erased["type"], &erased["data"]), (&json!("NoteCreated"), &Value::Null));
    assert_eq!(erased["effects"], json!([{"inside": format!("notebook:{NOTEBOOK}")}]));
    assert!(!dump(&daybook.database_url, "%").await.contains(CANARY), "the content outlived its key");
}

/// Every row of every table of the schemas, as text; bytes as the text they would be.
async fn dump(url: &str, schemas: &str) -> String {
    let mut connection = PgConnection::connect(url).await.expect("the database is there");
    let tables = "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname like $1 and schemaname <> 'pg_catalog'";
    let tables: Vec<String> =
        sqlx::query_scalar(tables).bind(schemas).fetch_all(&mut connection).await.expect("a list");
    assert!(!tables.is_empty(), "there is nothing to look at");
    let mut dump = String::new();
    sqlx::query("set bytea_output = 'escape'").execute(&mut connection).await.expect("a setting");
    for table in tables {
        let rows: Vec<String> = sqlx::query_scalar(&format!("select t::text from {table} t"))
            .fetch_all(&mut connection)
            .await
            .expect("rows");
        dump.extend(rows);
    }
    connection.close().await.expect("closes");
    dump
}

fn found_below(folder: &Path, what: &[u8]) -> bool {
    let entries: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").path()).collect();
    entries.iter().any(|path| {
        if path.is_dir() {
            return found_below(path, what);
        }
        // A socket or a file that went meanwhile holds nothing.
        std::fs::read(path).is_ok_and(|bytes| bytes.windows(what.len()).any(|window| window == what))
    })
}
