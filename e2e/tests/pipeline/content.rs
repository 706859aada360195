//! What people write comes back as they wrote it: in reads, in events and on sockets, also after a restart.

use std::path::Path;

use e2e::Watch;
use serde_json::{Value, json};

use super::program::{Program, printed};
use super::{NOTE, NOTEBOOK, ada_writes, folder};

const BLOCK: &str = "0193a5f0-0000-7000-8000-000000000003";
const TASK: &str = "0193a5f0-0000-7000-8000-000000000004";

/// The data of every event of these types, as a socket is sent them from the beginning on, until `count` are there.
async fn watched(data: &Path, token: &str, types: &'static [&'static str], count: usize) -> Vec<Value> {
    let (mut watch, mut seen) = (Watch::start(token, "--data", data), Vec::new());
    while seen.len() < count {
        seen.extend(of_types(watch.event().await, types));
    }
    seen
}

/// The data of every event of these types in the log.
async fn logged(data: &Path, types: &[&str]) -> Vec<Value> {
    printed(data).await.into_iter().filter_map(|event| of_types(event, types)).collect()
}

fn of_types(mut event: Value, types: &[&str]) -> Option<Value> {
    types.iter().any(|name| event["type"] == *name).then(|| event["data"].take())
}

#[tokio::test]
async fn any_number_in_preferences_comes_back_equal() {
    const TYPES: &[&str] = &["PreferencesSet"];
    let data = folder();
    let daybook = Program::start(data.path()).await;
    let (token, _) = ada_writes(&daybook).await;
    let all = json!([1, 1.0, -0.5, 0.1, 1e300, 5e-324, f64::MAX, f64::EPSILON, u64::MAX, i64::MIN, 1e-7]);
    let mut expected = json!({"zoom": 1.25, "one": 1.0, "deep": {"all": all}});
    daybook.patch("/me", &token, &json!({"preferences": expected})).await;
    daybook.kill();

    let daybook = Program::start(data.path()).await;
    let before = expected.clone();
    expected["deep"]["third"] = json!(1.0 / 3.0);
    let more = json!({"preferences": {"deep": {"third": 1.0 / 3.0}}});
    let after = daybook.patch("/me", &token, &more).await;
    let me = daybook.get(&format!("/me?after={after}"), &token).await;
    assert_eq!(me["preferences"], expected);
    assert_eq!(me["preferences"]["one"].to_string(), "1.0");
    let events = [json!({"preferences": before}), json!({"preferences": expected})];
    assert_eq!(watched(data.path(), &token, TYPES, 2).await, events);
    assert_eq!(logged(data.path(), TYPES).await, events);
    daybook.stop();
}

#[tokio::test]
async fn every_line_end_comes_back_as_one_line_feed() {
    const PASTED: &str = "One\r\ntwo\rthree";
    let data = folder();
    let daybook = Program::start(data.path()).await;
    let (token, _) = ada_writes(&daybook).await;
    let bold = |start, end| json!([{"start": start, "end": end, "kind": "bold"}]);
    let content = json!({"text": PASTED, "spans": bold(5, 8)});
    daybook
        .post("/blocks", &token, &json!({"id": BLOCK, "note_id": NOTE, "type": "text", "content": content}))
        .await;
    daybook
        .post(
            "/tasks",
            &token,
            &json!({"id": TASK, "title": PASTED, "description": PASTED, "due_on": "2026-03-01"}),
        )
        .await;
    let notebook = format!("/notebooks/{NOTEBOOK}");
    let position = daybook.patch(&notebook, &token, &json!({"description": PASTED})).await;
    let kept = json!("One\ntwo\nthree");
    let note = daybook.get(&format!("/notes/{NOTE}?after={position}"), &token).await;
    assert_eq!(note["blocks"][0]["content"], json!({"text": kept, "spans": bold(4, 7)}));
    let task = daybook.get(&format!("/tasks/{TASK}"), &token).await;
    assert_eq!((&task["title"], &task["description"], &task["due_on"]), (&kept, &kept, &json!("2026-03-01")));
    assert_eq!(daybook.get(&notebook, &token).await["description"], kept);
    let seen = watched(data.path(), &token, &["BlockAdded", "TaskAdded", "NotebookDescribed"], 3).await;
    assert_eq!(seen, logged(data.path(), &["BlockAdded", "TaskAdded", "NotebookDescribed"]).await);
    assert_eq!((&seen[1]["title"], &seen[1]["details"]["due_on"]), (&kept, &json!("2026-03-01")));
    // A title of one line takes none within, and says so.
    let (status, said) = daybook
        .send(reqwest::Method::PATCH, &format!("/notes/{NOTE}"), &token, &json!({"title": PASTED}))
        .await;
    assert_eq!(status, 422);
    assert!(said.contains("one line") && said.contains("/title"), "{said}");
    daybook.stop();
}
