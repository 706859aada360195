//! What clients and strangers do, as chance has it.

use e2e::chance::Chance;
use reqwest::Method;
use serde_json::{Value, json};

use super::world::{Stranger, Workspace};

/// What every item says at first.
pub(crate) const FIRST: &str = "First";
/// How much each client does in an act.
pub(crate) const EACH: usize = 3;
/// How often each stranger tries then.
const TRIES: usize = 2;

/// A request.
pub(crate) struct Action {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Value,
}

impl Action {
    pub(crate) fn new(method: Method, path: String, body: Value) -> Self {
        Self { method, path, body }
    }
}

/// Does this and that to an item, whether it is possible just now or not; gives the last text that was accepted, with its
/// position.
pub(crate) async fn client(
    workspace: &Workspace,
    token: &str,
    item: &str,
    (act, number): (usize, usize),
    mut chance: Chance,
) -> Option<(i64, String)> {
    let mut last = None;
    for nth in 0..EACH {
        // Nobody says the same twice, so that it is never said already.
        let text = format!("{nth}th of client {number} in act {act}");
        let (action, says) = on_either_side(workspace, item, &text, &mut chance);
        let path = action.path.clone();
        let (status, answer) = workspace.send(token, &action).await;
        assert!(matches!(status, 200 | 404 | 409 | 422), "{path} {status} {answer}");
        if says && status == 200 {
            last = Some((answer["position"].as_i64().expect("a position"), text));
        }
        workspace.count();
    }
    last
}

/// Something that may be asked of an item, and whether it gives it another text.
fn on_either_side(workspace: &Workspace, item: &str, text: &str, chance: &mut Chance) -> (Action, bool) {
    let (block, task) = (format!("/blocks/{item}"), format!("/tasks/{item}"));
    let note = &workspace.notes[chance.index(workspace.notes.len())];
    let kind = ["text", "header", "list_item", "quote", "code"][chance.index(5)];
    let content = if kind == "header" { json!({"level": 2}) } else { json!({}) };
    let (method, path, body) = match chance.index(17) {
        0..2 => (Method::PATCH, block, json!({"content": {"text": text}})),
        2 => (Method::PATCH, block, json!({"content": {"text": text, "checked": chance.index(2) == 0}})),
        3 => (Method::PATCH, block, json!({"content": {"checked": true}})),
        4 => (Method::PATCH, block, json!({"content": {"checked": false}})),
        5 => (Method::PATCH, block, json!({"type": kind, "content": content})),
        6..8 => (Method::PATCH, block, json!({"type": "task"})),
        8 => (Method::DELETE, block, Value::Null),
        9 => (Method::POST, format!("{block}/restore"), Value::Null),
        10 => (Method::POST, format!("{block}/move"), json!({"note_id": note})),
        11..13 => (Method::PATCH, task, json!({"title": text})),
        13 => (Method::POST, format!("{task}/complete"), Value::Null),
        14 => (Method::POST, format!("{task}/reopen"), Value::Null),
        15 => (Method::DELETE, task, Value::Null),
        _ => (Method::POST, format!("{task}/restore"), Value::Null),
    };
    let says = body["title"].is_string() || body["content"]["text"].is_string();
    (Action::new(method, path, body), says)
}

/// Tries to steer somebody else's item, and is refused as if there were none; or as its id is in use.
pub(crate) async fn intrude(workspace: &Workspace, stranger: &Stranger, item: &str, mut chance: Chance) {
    let (block, task) = (format!("/blocks/{item}"), format!("/tasks/{item}"));
    let mine = &stranger.note;
    let bare = json!({"text": "Mine", "spans": []});
    for _ in 0..TRIES {
        let (method, path, body) = match chance.index(11) {
            0 => (Method::PATCH, block.clone(), json!({"content": {"text": "Mine"}})),
            1 => (Method::DELETE, block.clone(), Value::Null),
            2 => (Method::POST, format!("{block}/restore"), Value::Null),
            3 => (Method::POST, format!("{block}/move"), json!({"note_id": mine})),
            4 => (Method::PATCH, task.clone(), json!({"title": "Mine"})),
            5 => (Method::POST, format!("{task}/complete"), Value::Null),
            6 => (Method::DELETE, task.clone(), Value::Null),
            7 => (Method::POST, format!("{task}/restore"), Value::Null),
            8 => {
                let added = json!({"id": item, "note_id": mine, "type": "text", "content": bare});
                (Method::POST, "/blocks".to_owned(), added)
            }
            9 => (Method::POST, "/tasks".to_owned(), json!({"id": item, "note_id": mine, "title": "Mine"})),
            _ => (Method::POST, "/tasks".to_owned(), json!({"id": item, "title": "Mine"})),
        };
        let said = format!("{method} {path}");
        let (status, answer) = workspace.send(&stranger.token, &Action::new(method, path, body)).await;
        assert!(matches!(status, 404 | 409), "{said}: {status} {answer}");
    }
}
