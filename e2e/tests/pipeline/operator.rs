//! What an operator does while people work: `daybook check` and `daybook rebuild`.

use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

use kit::Fact;
use serde_json::json;
use shared::process::read_schema;
use sqlx::{Connection, PgConnection, PgPool};

use super::program::{self, Program, scribe, until};
use super::{NOTE, NOTEBOOK, ada_writes, folder};

const READERS: usize = 20;

/// Runs a command of the program; whether it was content, and what it said.
async fn run(command: &str, data: &Path) -> (bool, String) {
    let output = program::run(&[command], data).await;
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// Reads one note and the list of notes until told to stop; nothing fails, and no position is before the last.
async fn read_on(daybook: &Program, token: &str, stop: &AtomicBool) -> usize {
    let (mut reads, mut version, mut count) = (0, 0, 0);
    while !stop.load(Ordering::Relaxed) {
        let note =
            daybook.get(&format!("/notes/{NOTE}"), token).await["version"].as_i64().expect("a version");
        let items = daybook.get("/notes?limit=200", token).await["items"].as_array().expect("a list").len();
        assert!(note >= version && items >= count, "{note} after {version}, {items} after {count}");
        (reads, version, count) = (reads + 1, note, items);
    }
    reads
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_are_rebuilt_while_people_read_and_write() {
    let data = folder();
    let daybook = Program::start(data.path()).await;
    let (token, position) = ada_writes(&daybook).await;
    daybook.get(&format!("/notes/{NOTE}?after={position}"), &token).await;
    let stop = AtomicBool::new(false);
    let readers = futures::future::join_all((0..READERS).map(|_| read_on(&daybook, &token, &stop)));
    let operator = async {
        for _ in 0..2 {
            let rebuild = run("rebuild", data.path());
            let mut rebuild = std::pin::pin!(rebuild);
            let (fine, said) = loop {
                let title = json!({"title": "Dreams", "notebook_id": NOTEBOOK});
                tokio::select! {
                    ended = &mut rebuild => break ended,
                    _ = daybook.post("/notes", &token, &title) => (),
                }
            };
            assert!(fine, "{said}");
            // What was written a moment ago is read: the projector goes on.
            let title = json!({"title": "After", "notebook_id": NOTEBOOK});
            let last = daybook.post("/notes", &token, &title).await["position"].as_i64().expect("a position");
            daybook.get(&format!("/notes?after={last}"), &token).await;
        }
        stop.store(true, Ordering::Relaxed);
    };
    let (reads, ()) = tokio::join!(readers, operator);
    assert!(reads.iter().all(|reads| *reads > 0), "{reads:?}");
    let (fine, said) = run("check", data.path()).await;
    assert!(fine, "{said}");
    daybook.stop();
}

#[tokio::test]
async fn a_row_changed_by_hand_is_named_and_mended() {
    let data = folder();
    let daybook = Program::start(data.path()).await;
    let (token, position) = ada_writes(&daybook).await;
    daybook.get(&format!("/notes/{NOTE}?after={position}"), &token).await;
    assert!(run("check", data.path()).await.0);
    let mut owner = PgConnection::connect(&daybook.database_url).await.expect("the database is there");
    let change = format!("update {}.notes set title = 'By hand'", read_schema::name());
    sqlx::query(&change).execute(&mut owner).await.expect("the owner may");
    owner.close().await.expect("closes");
    let (fine, said) = run("check", data.path()).await;
    assert!(
        !fine && said.contains(&format!(r#"notes id "{NOTE}": title is "By hand", should be "#)),
        "{said}"
    );
    let (fine, said) = run("rebuild", data.path()).await;
    assert!(fine, "{said}");
    assert_ne!(daybook.get(&format!("/notes/{NOTE}"), &token).await["title"], "By hand");
    let (fine, said) = run("check", data.path()).await;
    assert!(fine, "{said}");
    daybook.stop();
}

/// Gives Ada's note so many titles at once, as no client could; gives the last event's position.
async fn retitle(data: &Path, owner: &PgPool, times: i64) -> i64 {
    let event = |n| {
        let scopes = vec![format!("note:{NOTE}"), format!("notebook:{NOTEBOOK}")];
        let retitled = Fact::new("note", NOTE, "NoteRetitled", json!({"title": format!("Title {n}")}));
        Fact { sequence: Some(1 + n), in_clear: true, scopes, ..retitled }
    };
    let mut owner = owner.acquire().await.expect("a connection");
    scribe(data).store(&mut owner, (1..=times).map(event).collect()).await.expect("they fit")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_goes_on_after_kill_nine() {
    const EVENTS: i64 = 24_000;
    let data = folder();
    let daybook = Program::start(data.path()).await;
    let (token, _) = ada_writes(&daybook).await;
    let owner = PgPool::connect(&daybook.database_url).await.expect("the database is there");
    let head = retitle(data.path(), &owner, EVENTS).await;
    let last = format!("/notes/{NOTE}?after={head}");
    until(|| async { (daybook.status(&last, &token).await == 200).then_some(()) }).await;

    let come_to = format!("select position from {}_new.checkpoint", read_schema::name());
    let come_to = || async { sqlx::query_scalar::<_, i64>(&come_to).fetch_one(&owner).await.ok() };
    let mut rebuild = tokio::process::Command::new(program::program())
        .args(["rebuild", "--data"])
        .arg(data.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs");
    until(|| async { come_to().await.filter(|at| *at > 0) }).await;
    rebuild.kill().await.expect("it was running");
    let at = come_to().await.expect("it had begun");
    assert!(at < head, "killed at {at} of {head}, which is too late to show anything");
    let (fine, said) = until(|| async {
        let ended = run("rebuild", data.path()).await;
        // Postgres may take a moment to see that the killed one is gone.
        (!ended.1.contains("by another process")).then_some(ended)
    })
    .await;
    assert!(fine && said.contains("Going on from where an earlier rebuild was stopped"), "{said}");
    assert_eq!(daybook.get(&last, &token).await["title"], format!("Title {EVENTS}"));
    let (fine, said) = run("check", data.path()).await;
    assert!(fine, "{said}");
    daybook.stop();
}
