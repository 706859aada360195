//! An event that nobody can read: its note is withheld, and everything else goes on.

use std::process::{Command, Output};

use serde_json::json;
use sqlx::PgPool;

use crate::program::{Program, program, until};
use crate::{NOTE, NOTEBOOK, ada_writes, folder};

const OTHER: &str = "0193a5f0-0000-7000-8000-000000000003";

fn operator(data: &std::path::Path, words: &[&str]) -> Output {
    let mut command = Command::new(program());
    command.args(["projector", words[0], "--data"]).arg(data).args(&words[1..]);
    command.output().expect("it runs")
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Writes a title without a title behind everybody's back, as the owner of the database can; its position.
async fn spoil(daybook: &Program) -> i64 {
    let owner = PgPool::connect(&daybook.database_url).await.expect("the database is there");
    let spoil = "insert into es.event (position, event_id, aggregate_type, aggregate_id, sequence, event_type,
                                       event_version, payload, metadata, scopes, recorded_at)
                 select max(position) + 1, gen_random_uuid(), 'note', $1, 99, 'NoteRetitled', '1.0', '{}', '{}',
                        array['note:' || $1, 'notebook:' || $2], max(recorded_at)
                   from es.event returning position";
    sqlx::query_scalar(spoil).bind(NOTE).bind(NOTEBOOK).fetch_one(&owner).await.expect("the owner may")
}

#[tokio::test]
async fn one_bad_event_withholds_its_note_and_stops_nothing() {
    let data = folder();
    let daybook = Program::start(data.path()).await;
    let (token, _) = ada_writes(&daybook).await;
    assert_eq!(said(&operator(data.path(), &["quarantine"])), "No row is quarantined.\n");
    let position = spoil(&daybook).await;
    let other = json!({"id": OTHER, "notebook_id": NOTEBOOK, "title": "Plans"});
    let after = daybook.post("/notes", &token, &other).await["position"].as_i64().expect("a position");

    assert_eq!(daybook.get(&format!("/notes/{OTHER}?after={after}"), &token).await["title"], "Plans");
    assert_eq!(daybook.status(&format!("/notes/{NOTE}"), &token).await, 503);
    let notes = daybook.get("/notes", &token).await;
    assert_eq!((notes["items"].as_array().map(Vec::len), &notes["withheld"]), (Some(1), &json!(true)));
    let shown =
        || async { daybook.metrics().await.contains("daybook_projector_quarantined_rows 1").then_some(()) };
    until(shown).await;
    until(|| daybook.is_ready()).await;

    let listed = said(&operator(data.path(), &["quarantine"]));
    assert!(listed.starts_with(&format!("notes {NOTE}: since position {position}, 0 later")), "{listed}");
    let skip = ["skip", &position.to_string(), "--why", "nobody wrote it"];
    assert!(said(&operator(data.path(), &skip)).contains("daybook rebuild"));
    let again = operator(data.path(), &skip);
    assert!(!again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("It is already skipped"));
    assert!(daybook.stop().success());
}
