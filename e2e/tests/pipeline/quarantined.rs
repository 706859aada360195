//! An event that nobody can read: its note is withheld, and everything else goes on.

use std::path::Path;
use std::process::Output;

use kit::Fact;
use serde_json::json;
use sqlx::{Connection, PgConnection};

use crate::program::{Program, run, scribe, until};
use crate::{NOTE, NOTEBOOK, ada_writes, folder};

const OTHER: &str = "0193a5f0-0000-7000-8000-000000000003";

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Writes a title without a title behind everybody's back, as the owner of the database can; its position.
async fn spoil(daybook: &Program, data: &Path) -> i64 {
    let mut owner = PgConnection::connect(&daybook.database_url).await.expect("the database is there");
    let scopes = vec![format!("note:{NOTE}"), format!("notebook:{NOTEBOOK}")];
    let untitled = Fact::new("note", NOTE, "NoteRetitled", json!({}));
    let untitled = Fact { sequence: Some(99), in_clear: true, scopes, ..untitled };
    scribe(data).store(&mut owner, vec![untitled]).await.expect("the owner may")
}

#[tokio::test]
async fn one_bad_event_withholds_its_note_and_stops_nothing() {
    let data = folder();
    let daybook = Program::start(data.path()).await;
    let (token, _) = ada_writes(&daybook).await;
    assert_eq!(said(&run(&["projector", "quarantine"], data.path()).await), "No row is quarantined.\n");
    let position = spoil(&daybook, data.path()).await;
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

    let listed = said(&run(&["projector", "quarantine"], data.path()).await);
    assert!(listed.starts_with(&format!("notes {NOTE}: since position {position}, 0 later")), "{listed}");
    let skip = ["projector", "skip", &position.to_string(), "--why", "nobody wrote it"];
    assert!(said(&run(&skip, data.path()).await).contains("daybook rebuild"));
    let again = run(&skip, data.path()).await;
    assert!(!again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("It is already skipped"));
    assert!(daybook.stop().success());
}
