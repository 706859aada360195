//! Notes full of blocks: real documents in and out, and blocks and tasks that stay in step.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::clock::{Clock, random};
use sqlx::{Connection, PgConnection};

use super::folder;
use super::program::{Program, run, until};

/// People who change the same items at once, and how much each does before and after the crash.
const PEOPLE: usize = 6;
const ACTIONS: usize = 40;
const ITEMS: usize = 8;

/// The README.md files of what this workspace is built from, by the folders they are in.
fn documents() -> BTreeMap<String, PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let registries = home.into_iter().flat_map(|home| folders(&home.join("registry/src")));
    registries
        .flat_map(|registry| folders(&registry))
        .filter_map(|package| {
            let file = package.join("README.md");
            Some((package.file_name()?.to_string_lossy().into_owned(), file))
                .filter(|(_, file)| file.is_file())
        })
        .collect()
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect()
}

/// What the program says when it imports.
async fn import(tree: &Path, data: &Path, token: &str) -> String {
    let output = run(&["import", tree.to_str().expect("UTF-8"), "--token", token], data).await;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

/// All of a list, page by page.
async fn whole(daybook: &Program, token: &str, list: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = daybook.get(&format!("{list}{cursor}"), token).await;
        items.extend(page["items"].as_array().expect("items").iter().cloned());
        let Some(next) = page["next_cursor"].as_str() else { return items };
        cursor = format!("&cursor={next}");
    }
}

/// Waits until the policies have seen the whole log; returns its last position.
async fn settled(daybook: &Program) -> i64 {
    until(async || {
        let mut owner = PgConnection::connect(&daybook.database_url).await.ok()?;
        let (seen, head): (i64, i64) = sqlx::query_as(
            "select coalesce((select min(position) from es.policy), 0), (select max(position) from es.event)",
        )
        .fetch_one(&mut owner)
        .await
        .ok()?;
        (seen == head).then_some(head)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_documents_come_in_whole_and_go_out_again() {
    let (data, tree) = (folder(), folder());
    let documents = documents();
    assert!(!documents.is_empty(), "there are no README.md files of dependencies to try");
    for (name, file) in &documents {
        std::fs::create_dir(tree.path().join(name)).expect("a new folder");
        std::fs::copy(file, tree.path().join(name).join("README.md")).expect("copied");
    }
    let daybook = Program::start(data.path()).await;
    daybook.register("ada@example.org").await;
    let token = daybook.login("ada@example.org").await;
    let said = import(tree.path(), data.path(), &token).await;
    assert!(
        said.contains(&format!("{} notes made, 0 there already, 0 could not", documents.len())),
        "{said}"
    );
    println!("{said}");
    let head = settled(&daybook).await;
    let notebooks = whole(&daybook, &token, &format!("/notebooks?limit=200&after={head}")).await;
    let names: BTreeMap<&str, &str> = notebooks
        .iter()
        .filter_map(|notebook| Some((notebook["id"].as_str()?, notebook["name"].as_str()?)))
        .collect();
    let notes = whole(&daybook, &token, "/notes?limit=200").await;
    assert_eq!((names.len(), notes.len()), (documents.len(), documents.len()));
    for note in &notes {
        let name = names[note["notebook_id"].as_str().expect("an id")];
        let text = std::fs::read_to_string(&documents[name]).expect("it was imported");
        let wanted = markdown::parse(&text).blocks;
        let id = note["id"].as_str().expect("an id");
        let read = daybook.get(&format!("/notes/{id}"), &token).await;
        let blocks = read["blocks"].as_array().expect("blocks").iter();
        let blocks: Vec<Value> =
            blocks.map(|block| json!({"type": block["type"], "content": block["content"]})).collect();
        assert_eq!(json!(blocks), json!(wanted), "{name}");
        let again = daybook.text(&format!("/notes/{id}/markdown"), &token).await;
        assert_eq!(markdown::parse(&again).blocks, wanted, "{name}");
    }
    let said = import(tree.path(), data.path(), &token).await;
    assert!(said.contains(&format!("0 notes made, {} there already", documents.len())), "{said}");
    assert_eq!(settled(&daybook).await, head, "nothing is appended when it is run again");
    daybook.stop();
}

fn chance(below: usize) -> usize {
    usize::from(random::<1>()[0]) % below
}

/// Something that may be asked of an item, on either side; whether it is possible just now does not matter.
async fn action(daybook: &Program, token: &str, item: &str, notes: &[String; 2]) {
    let text = format!("text {}", chance(200));
    let (block, task) = (format!("/blocks/{item}"), format!("/tasks/{item}"));
    let note = &notes[chance(2)];
    let (method, path, body) = match chance(13) {
        0 => (Method::PATCH, block, json!({"content": {"text": text}})),
        1 => (Method::PATCH, block, json!({"content": {"checked": true}})),
        2 => (Method::PATCH, block, json!({"content": {"checked": false}})),
        3 => (Method::PATCH, block, json!({"type": "text"})),
        4 => (Method::PATCH, block, json!({"type": "task"})),
        5 => (Method::DELETE, block, Value::Null),
        6 => (Method::POST, format!("{block}/restore"), Value::Null),
        7 => (Method::POST, format!("{block}/move"), json!({"note_id": note})),
        8 => (Method::PATCH, task, json!({"title": text})),
        9 => (Method::POST, format!("{task}/complete"), Value::Null),
        10 => (Method::POST, format!("{task}/reopen"), Value::Null),
        11 => (Method::DELETE, task, Value::Null),
        _ => (Method::POST, format!("{task}/restore"), Value::Null),
    };
    let (status, said) = daybook.send(method, &path, token, &body).await;
    assert!(matches!(status, 200 | 404 | 409 | 422), "{path} {status} {said}");
}

async fn actions(daybook: &Program, token: &str, items: &[String], notes: &[String; 2]) {
    join_all((0..PEOPLE).map(async |_| {
        for _ in 0..ACTIONS {
            action(daybook, token, &items[chance(items.len())], notes).await;
        }
    }))
    .await;
}

/// Of a note its task blocks and its tasks, each as text and whether it is done.
async fn sides(
    daybook: &Program,
    token: &str,
    note: &str,
    after: i64,
) -> [BTreeMap<String, (Value, Value)>; 2] {
    let note = daybook.get(&format!("/notes/{note}?after={after}"), token).await;
    let blocks = note["blocks"].as_array().expect("blocks").iter().filter(|block| block["type"] == "task");
    let block = |block: &Value| (block["content"]["text"].clone(), block["content"]["checked"].clone());
    let tasks = daybook
        .get(&format!("/tasks?limit=200&note_id={}", note["id"].as_str().expect("an id")), token)
        .await;
    let task = |task: &Value| {
        assert_eq!(task["block_id"], task["id"]);
        (task["title"].clone(), task["completed"].clone())
    };
    let id = |thing: &Value| thing["id"].as_str().expect("an id").to_owned();
    let tasks = tasks["items"].as_array().expect("items").iter();
    [blocks.map(|seen| (id(seen), block(seen))).collect(), tasks.map(|seen| (id(seen), task(seen))).collect()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_and_tasks_end_in_step_also_after_kill_nine() {
    let data = folder();
    let daybook = Program::start(data.path()).await;
    daybook.register("ada@example.org").await;
    let token = daybook.login("ada@example.org").await;
    let notebook = daybook.post("/notebooks", &token, &json!({"name": "Lab"})).await["id"].clone();
    let id = || Clock::System.new_id().to_string();
    let (notes, items) = ([id(), id()], (0..ITEMS).map(|_| id()).collect::<Vec<_>>());
    for (nth, note) in notes.iter().enumerate() {
        let blocks: Vec<Value> = items
            .iter()
            .skip(nth)
            .step_by(2)
            .map(|item| {
                let content = json!({"checked": false, "depth": 0, "text": "First"});
                json!({"id": item, "type": "task", "content": content})
            })
            .collect();
        let body = json!({"id": note, "notebook_id": notebook, "title": "Plans", "blocks": blocks});
        daybook.post("/notes", &token, &body).await;
    }
    actions(&daybook, &token, &items, &notes).await;
    // The policies are killed wherever they are.
    daybook.kill();
    let daybook = Program::start(data.path()).await;
    actions(&daybook, &token, &items, &notes).await;
    let head = settled(&daybook).await;
    for note in &notes {
        let [blocks, tasks] = sides(&daybook, &token, note, head).await;
        assert_eq!(blocks, tasks);
    }
    assert_eq!(settled(&daybook).await, head, "and then there is silence");
    daybook.stop();
}
