//! What commands cost: each reads as many things for a note of fifty blocks as for one of two.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use servers::testing::statements;
use shared::domain::access::Role;
use utoipa::openapi::OpenApi;

use crate::pair::{Pair, TestRequest, Tokens, id, new_id};

/// A note that one instance has made, so that the other knows nothing of it.
struct Things {
    owner: String,
    notebook: String,
    /// One that is not in memory either.
    other: String,
    note: String,
    /// Another one.
    elsewhere: String,
    /// The note's, in order.
    blocks: Vec<String>,
    /// One that was taken out of the note.
    removed: String,
    /// Tasks in the note: one to do, one that is done, one that was removed.
    task: String,
    done: String,
    gone: String,
}

impl Things {
    async fn of(pair: &Pair, by: &Tokens, notebook: &str, count: usize) -> Self {
        let blocks: Vec<String> = (0..count).map(|_| new_id()).collect();
        let begin: Vec<Value> = blocks.iter().map(|id| text_block(id)).collect();
        let note = json!({"notebook_id": notebook, "title": "Plans", "blocks": begin});
        let note = made(pair, by, "/notes", &note).await;
        let elsewhere = pair.note(by, notebook).await;
        let other = pair.notebook(by, "Den").await;
        let mut removed = text_block(&new_id());
        removed["note_id"] = json!(note);
        let removed = made(pair, by, "/blocks", &removed).await;
        accepted(pair, by, TestRequest::delete(&format!("/blocks/{removed}"))).await;
        let new_task = json!({"note_id": note, "title": "Call Bob"});
        let [task, done, gone] = [
            made(pair, by, "/tasks", &new_task).await,
            made(pair, by, "/tasks", &new_task).await,
            made(pair, by, "/tasks", &new_task).await,
        ];
        accepted(pair, by, TestRequest::post(&format!("/tasks/{done}/complete"), &Value::Null)).await;
        accepted(pair, by, TestRequest::delete(&format!("/tasks/{gone}"))).await;
        let (owner, notebook) = (by.user.clone(), notebook.to_owned());
        Self { owner, notebook, other, note, elsewhere, blocks, removed, task, done, gone }
    }

    /// What may be asked of them, and how many statements that makes: two for each thing that is not in memory (its
    /// snapshot, and its events), one for each note's key, one for each neighbour that is looked for, one for who added a
    /// block that goes elsewhere, and one for the caller's grant on a notebook that is not in memory. The append is not
    /// counted, as the log's writer makes it for all who ask at that time.
    fn commands(&self) -> Vec<(&'static str, TestRequest, usize)> {
        let Self { owner, notebook, other, note, elsewhere, blocks, removed, task, done, gone } = self;
        let (first, last) = (&blocks[0], &blocks[blocks.len() - 1]);
        let add = |place: &str, beside: Option<&String>| {
            let mut body = json!({"note_id": note, "type": "text", "content": {"text": "Two"}});
            if let Some(beside) = beside {
                body[place] = json!(beside);
            }
            TestRequest::post("/blocks", &body)
        };
        let put = |body: Value| TestRequest::post(&format!("/blocks/{first}/move"), &body);
        let text = json!({"content": {"text": "Two"}});
        let begin: Vec<Value> = blocks.iter().map(|_| text_block(&new_id())).collect();
        let with_blocks = json!({"notebook_id": notebook, "title": "Dreams", "blocks": begin});
        vec![
            ("post /notebooks", TestRequest::post("/notebooks", &json!({"name": "Den"})), 0),
            (
                "patch /notebooks/{id}",
                TestRequest::patch(&format!("/notebooks/{notebook}"), &json!({"name": "Den"})),
                0,
            ),
            (
                "post /notes",
                TestRequest::post("/notes", &json!({"notebook_id": notebook, "title": "Dreams"})),
                0,
            ),
            ("post /notes", TestRequest::post("/notes", &with_blocks), 0),
            (
                "patch /notes/{id}",
                TestRequest::patch(&format!("/notes/{note}"), &json!({"title": "Dreams"})),
                1,
            ),
            (
                "patch /notes/{id}",
                TestRequest::patch(&format!("/notes/{note}"), &json!({"notebook_id": other})),
                3,
            ),
            ("post /blocks", add("after", None), 2),
            ("post /blocks", add("after", Some(first)), 2),
            ("post /blocks", add("before", Some(last)), 2),
            ("patch /blocks/{id}", TestRequest::patch(&format!("/blocks/{first}"), &text), 2),
            ("post /blocks/{id}/move", put(json!({"note_id": note})), 3),
            ("post /blocks/{id}/move", put(json!({"note_id": note, "after": last})), 3),
            ("post /blocks/{id}/move", put(json!({"note_id": elsewhere})), 5),
            ("delete /blocks/{id}", TestRequest::delete(&format!("/blocks/{first}")), 2),
            (
                "post /blocks/{id}/restore",
                TestRequest::post(&format!("/blocks/{removed}/restore"), &Value::Null),
                4,
            ),
            ("post /tasks", TestRequest::post("/tasks", &json!({"note_id": note, "title": "Call Ada"})), 1),
            (
                "patch /tasks/{id}",
                TestRequest::patch(&format!("/tasks/{task}"), &json!({"title": "Call Ada"})),
                2,
            ),
            (
                "patch /tasks/{id}",
                TestRequest::patch(&format!("/tasks/{task}"), &json!({"assignee_id": owner})),
                2,
            ),
            (
                "post /tasks/{id}/complete",
                TestRequest::post(&format!("/tasks/{task}/complete"), &Value::Null),
                2,
            ),
            ("post /tasks/{id}/reopen", TestRequest::post(&format!("/tasks/{done}/reopen"), &Value::Null), 2),
            ("delete /tasks/{id}", TestRequest::delete(&format!("/tasks/{task}")), 2),
            (
                "post /tasks/{id}/restore",
                TestRequest::post(&format!("/tasks/{gone}/restore"), &Value::Null),
                2,
            ),
        ]
    }
}

/// Commands that neither read nor change what stands in a notebook.
const PERSONAL: [&str; 5] =
    ["patch /me", "post /auth/login", "post /auth/logout", "post /auth/refresh", "post /auth/register"];

fn text_block(id: &str) -> Value {
    json!({"id": id, "type": "text", "content": {"text": "One"}})
}

async fn accepted(pair: &Pair, by: &Tokens, request: TestRequest) {
    let answer = pair.send(0, request.by(by)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

async fn made(pair: &Pair, by: &Tokens, path: &str, body: &Value) -> String {
    let answer = pair.send(0, TestRequest::post(path, body).by(by)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    id(&answer.body)
}

/// Every method and path of a description but for reads.
fn commanded(api: &OpenApi) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (path, item) in &api.paths.paths {
        let methods =
            [("post", &item.post), ("patch", &item.patch), ("put", &item.put), ("delete", &item.delete)];
        let there = methods.into_iter().filter(|(_, operation)| operation.is_some());
        all.extend(there.map(|(method, _)| format!("{method} {path}")));
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_reads_no_more_in_a_note_of_fifty_blocks_than_in_one_of_two() {
    let pair = Pair::start().await;
    let ada = pair.person("ada").await;
    let notebook = pair.notebook(&ada, "Lab").await;
    let known = pair.note(&ada, &notebook).await;
    // From here on the other instance has the session and the notebook in memory.
    let retitle = TestRequest::patch(&format!("/notes/{known}"), &json!({"title": "Known"})).by(&ada);
    assert_eq!(pair.send(1, retitle).await.status, 200);
    let all = Things::of(&pair, &ada, &notebook, 2).await.commands();
    let known: BTreeSet<String> =
        all.iter().map(|(route, ..)| *route).chain(PERSONAL).map(str::to_owned).collect();
    let mut described = commanded(command_api::routes().get_openapi());
    described.extend(commanded(command_api::accounts::routes().get_openapi()));
    assert_eq!(described, known, "a route is not in the table");
    let (count, mut wrong) = (all.len(), Vec::new());
    for nth in 0..count {
        for blocks in [2, 50] {
            let (_, command, due) =
                Things::of(&pair, &ada, &notebook, blocks).await.commands().swap_remove(nth);
            let asked = format!("{command:?} in a note of {blocks} blocks");
            let (answer, made) = statements(pair.send(1, command.by(&ada))).await;
            assert!(matches!(answer.status, 200 | 201), "{asked}: {answer:?}");
            if made.len() != due {
                wrong.push(format!("{asked} made {} instead of {due}: {made:#?}", made.len()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_edits_as_one_of_everyone_reads_nothing_again() {
    let pair = Pair::start().await;
    let (ada, bob) = (pair.person("ada").await, pair.person("bob").await);
    let notebook = pair.notebook(&ada, "Lab").await;
    let note = pair.note(&ada, &notebook).await;
    pair.grant(&ada, &format!("notebook:{notebook}"), "everyone", Role::Editor).await;
    let edit = || TestRequest::patch(&format!("/notes/{note}"), &json!({"title": new_id()})).by(&bob);
    assert_eq!(pair.send(1, edit()).await.version(), 2);
    for version in [3, 4] {
        let (answer, made) = statements(pair.send(1, edit())).await;
        assert_eq!(answer.version(), version);
        assert!(made.is_empty(), "{made:#?}");
    }
    pair.stop().await;
}

#[tokio::test]
async fn another_name_of_a_notebook_costs_those_who_write_in_it_nothing() {
    let pair = Pair::start().await;
    let ada = pair.person("ada").await;
    let [lab, den] = [pair.notebook(&ada, "Lab").await, pair.notebook(&ada, "Den").await];
    let note = pair.note(&ada, &lab).await;
    let body = json!({"note_id": note, "type": "text", "content": {"text": "One"}});
    let block = id(&pair.send(0, TestRequest::post("/blocks", &body).by(&ada)).await.body);
    let edit = || {
        let body = json!({"content": {"text": new_id()}});
        TestRequest::patch(&format!("/blocks/{block}"), &body).by(&ada)
    };
    assert_eq!(pair.send(1, edit()).await.status, 200);
    for (address, body) in [
        (format!("/notebooks/{lab}"), json!({"name": "Laboratory"})),
        (format!("/notes/{note}"), json!({"title": "Dreams"})),
    ] {
        assert_eq!(pair.send(0, TestRequest::patch(&address, &body).by(&ada)).await.status, 200);
        let (answer, made) = statements(pair.send(1, edit())).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(made.is_empty(), "{made:#?}");
    }
    let elsewhere = TestRequest::patch(&format!("/notes/{note}"), &json!({"notebook_id": den})).by(&ada);
    assert_eq!(pair.send(0, elsewhere).await.status, 200);
    let (answer, made) = statements(pair.send(1, edit())).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(!made.is_empty(), "it is decided again");
    pair.stop().await;
}
