//! An event whose form changes: what was stored before and what is stored now are read alike, everywhere.

use std::path::Path;

use e2e::Watch;
use kit::Fact;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use super::program::{Program, printed, scribe};
use super::{NOTEBOOK, folder};

/// The first version of `NotebookDescribed`, and data as it was stored; kept for ever.
const FIRST: &str = "1.0";
const FIRST_FORM: [&str; 2] = [r#"{"description": "What we tried"}"#, r#"{"description": ""}"#];

/// The version that is written now, and its data when a description was cleared.
const NOW: &str = "2.0";
const CLEARED: &str = r#"{"description": null}"#;

#[tokio::test]
async fn an_event_of_the_first_form_is_read_everywhere() {
    let data = folder();
    let daybook = Program::start(data.path()).await;
    daybook.register("ada@example.org").await;
    let token = daybook.login("ada@example.org").await;
    daybook.post("/notebooks", &token, &json!({"id": NOTEBOOK, "name": "Lab"})).await;

    // Asking for what an old event says already is nothing to do: it decides, and stands in the row.
    for (version, form) in (2..).zip(FIRST_FORM) {
        store(&daybook.database_url, data.path(), version, form).await;
        describe(&daybook, &token, &parsed(form), version).await;
    }
    for (description, version) in [("Anew", 4), ("", 5), ("", 5)] {
        describe(&daybook, &token, &json!({ "description": description }), version).await;
    }

    let forms = [FIRST_FORM[0], CLEARED, r#"{"description": "Anew"}"#, CLEARED];
    let expected = forms.map(|form| (json!(NOW), parsed(form)));
    assert_eq!(events(data.path()).await, expected);
    assert_eq!(frames(data.path(), &token).await, expected);

    let mut owner = PgConnection::connect(&daybook.database_url).await.expect("the database is there");
    let stored =
        "select event_version from es.event where event_type = 'NotebookDescribed' order by position";
    let stored: Vec<String> = sqlx::query_scalar(stored).fetch_all(&mut owner).await.expect("events");
    assert_eq!(stored, ["1.0", "1.0", NOW, NOW], "what is stored stays, and the new is written as new");
    owner.close().await.expect("closes");
    assert!(daybook.stop().success());
}

/// Describes the notebook, which then has this version and shows this description.
async fn describe(daybook: &Program, token: &str, body: &Value, version: i64) {
    let path = format!("/notebooks/{NOTEBOOK}");
    let position = daybook.patch(&path, token, body).await;
    let row = daybook.get(&format!("{path}?after={position}"), token).await;
    assert_eq!((&row["description"], &row["version"]), (&body["description"], &json!(version)));
}

/// Adds an event of the first form to the notebook, as an older release did.
async fn store(url: &str, data: &Path, sequence: i64, form: &str) {
    let mut owner = PgConnection::connect(url).await.expect("the database is there");
    let fact = Fact::new("notebook", NOTEBOOK, "NotebookDescribed", parsed(form));
    let fact = Fact { sequence: Some(sequence), event_version: FIRST.to_owned(), ..fact };
    scribe(data).store(&mut owner, vec![fact]).await.expect("the owner may");
    owner.close().await.expect("closes");
}

fn parsed(form: &str) -> Value {
    serde_json::from_str(form).expect("JSON")
}

/// The version and the data, if it is a description.
fn described(event: &Value) -> Option<(Value, Value)> {
    (event["type"] == "NotebookDescribed").then(|| (event["event_version"].clone(), event["data"].clone()))
}

/// What `daybook events` prints.
async fn events(data: &Path) -> Vec<(Value, Value)> {
    printed(data).await.iter().filter_map(described).collect()
}

/// What a socket is sent that has seen nothing yet.
async fn frames(data: &Path, token: &str) -> Vec<(Value, Value)> {
    let (mut watch, mut seen) = (Watch::start(token, "--data", data), Vec::new());
    while seen.len() < 4 {
        seen.extend(described(&watch.event().await));
    }
    seen
}
