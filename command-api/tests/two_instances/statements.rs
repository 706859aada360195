//! What commands cost: each reads as many things for a note of fifty blocks as for one of two.

use serde_json::{Value, json};
use servers::testing::statements;

use crate::pair::{Ask, Pair, Tokens, id, new_id};

/// A note that one instance has made, so that the other knows nothing of it.
struct Things {
    notebook: String,
    note: String,
    /// Another one.
    elsewhere: String,
    /// The note's, in order.
    blocks: Vec<String>,
    /// One in the note.
    task: String,
}

impl Things {
    async fn of(pair: &Pair, by: &Tokens, notebook: &str, count: usize) -> Self {
        let blocks: Vec<String> = (0..count).map(|_| new_id()).collect();
        let begin = |id: &String| json!({"id": id, "type": "text", "content": {"text": "One"}});
        let note = json!({"notebook_id": notebook, "title": "Plans", "blocks": blocks.iter().map(begin).collect::<Vec<_>>()});
        let note = made(pair, by, "/notes", &note).await;
        let elsewhere = pair.note(by, notebook).await;
        let task = made(pair, by, "/tasks", &json!({"note_id": note, "title": "Call Bob"})).await;
        Self { notebook: notebook.to_owned(), note, elsewhere, blocks, task }
    }

    /// What may be asked of them, and how many statements that makes: two for each thing that is not in memory (its
    /// snapshot, and its events), one for each note's key, one for each neighbour that is looked for, and one for who
    /// added a block that goes elsewhere. The append is not counted, as the log's writer makes it for all who ask at that
    /// time.
    fn commands(&self) -> Vec<(Ask, usize)> {
        let Self { notebook, note, elsewhere, blocks, task } = self;
        let (first, last) = (&blocks[0], &blocks[blocks.len() - 1]);
        let add = |place: &str, beside: Option<&String>| {
            let mut body = json!({"note_id": note, "type": "text", "content": {"text": "Two"}});
            if let Some(beside) = beside {
                body[place] = json!(beside);
            }
            Ask::post("/blocks", &body)
        };
        let put = |body: Value| Ask::post(&format!("/blocks/{first}/move"), &body);
        let text = json!({"content": {"text": "Two"}});
        vec![
            (Ask::post("/notes", &json!({"notebook_id": notebook, "title": "Dreams"})), 3),
            (Ask::patch(&format!("/notes/{note}"), &json!({"title": "Dreams"})), 3),
            (add("after", None), 6),
            (add("after", Some(first)), 8),
            (add("before", Some(last)), 8),
            (Ask::patch(&format!("/blocks/{first}"), &text), 5),
            (put(json!({"note_id": note})), 6),
            (put(json!({"note_id": note, "after": last})), 8),
            (put(json!({"note_id": elsewhere})), 10),
            (Ask::delete(&format!("/blocks/{first}")), 5),
            (Ask::post("/tasks", &json!({"note_id": note, "title": "Call Ada"})), 5),
            (Ask::patch(&format!("/tasks/{task}"), &json!({"title": "Call Ada"})), 5),
            (Ask::post(&format!("/tasks/{task}/complete"), &Value::Null), 5),
        ]
    }
}

async fn made(pair: &Pair, by: &Tokens, path: &str, body: &Value) -> String {
    let answer = pair.ask(0, Ask::post(path, body).by(by)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    id(&answer.body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_reads_no_more_in_a_note_of_fifty_blocks_than_in_one_of_two() {
    let pair = Pair::start().await;
    let ada = pair.person("ada").await;
    let notebook = pair.notebook(&ada, "Lab").await;
    let known = pair.note(&ada, &notebook).await;
    // From here on the other instance has the session and the notebook in memory.
    let retitle = Ask::patch(&format!("/notes/{known}"), &json!({"title": "Known"})).by(&ada);
    assert_eq!(pair.ask(1, retitle).await.status, 200);
    let count = Things::of(&pair, &ada, &notebook, 2).await.commands().len();
    for nth in 0..count {
        for blocks in [2, 50] {
            let (command, due) = Things::of(&pair, &ada, &notebook, blocks).await.commands().swap_remove(nth);
            let asked = format!("{command:?} in a note of {blocks} blocks");
            let (answer, made) = statements(pair.ask(1, command.by(&ada))).await;
            assert!(matches!(answer.status, 200 | 201), "{asked}: {answer:?}");
            assert_eq!(made.len(), due, "{asked} made {made:#?}");
        }
    }
    pair.stop().await;
}
