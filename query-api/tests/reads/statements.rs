//! What reads cost: each makes as many statements as the table says, however much there is to read.

use std::collections::BTreeSet;

use serde_json::json;
use servers::testing::statements;
use shared::domain::id::UserId;
use utoipa::openapi::OpenApi;
use uuid::Uuid;

use crate::world::{ADA, BOB, World, world};

const NOTEBOOK: u128 = 1;
const NOTE: u128 = 2;
const TASK: u128 = 3;

/// Every route that reads, how many statements it makes, and in which ways it is asked.
const READS: [(&str, usize, &[&str]); 8] = [
    ("/me", 1, &["/me", "/me?after=7"]),
    ("/notebooks", 1, &["/notebooks", "/notebooks?limit=20&after=7"]),
    ("/notebooks/{id}", 1, &["/notebooks/{notebook}", "/notebooks/{notebook}?after=7"]),
    ("/notes", 1, &["/notes", "/notes?notebook_id={notebook}&limit=20&after=7"]),
    ("/notes/{id}", 1, &["/notes/{note}", "/notes/{note}?after=7"]),
    ("/notes/{id}/markdown", 1, &["/notes/{note}/markdown", "/notes/{note}/markdown?after=7"]),
    (
        "/tasks",
        1,
        &[
            "/tasks",
            "/tasks?sort=due&q=3&completed=false&limit=20",
            "/tasks?sort=priority&priority=0&limit=20&after=7",
            "/tasks?sort=updated&note_id={note}&limit=20",
            "/tasks?notebook_id={notebook}&limit=20",
        ],
    ),
    ("/tasks/{id}", 1, &["/tasks/{task}", "/tasks/{task}?after=7"]),
];

/// What is got, but not read: a socket asks in its own time, page by page.
const SOCKETS: [&str; 1] = ["/live"];

/// Ada has so many notebooks, notes in the first of them, blocks and tasks in one of those, and tasks without a note.
async fn furnished(count: u128) -> World {
    let world = world().await;
    world.user(ADA, "ada").await;
    world.user(BOB, "bob").await;
    let content = json!({"checked": false, "depth": 0, "text": "One", "spans": []});
    for nth in 0..count {
        let others = 1_000 * nth;
        world.notebook(NOTEBOOK + others, ADA, 0).await;
        world.note(NOTE + others, NOTEBOOK, 1).await;
        world
            .block(TASK + others, NOTE, &format!("a{nth:02}"), json!({"type": "task", "content": content}))
            .await;
        world.task(TASK + others, Some(NOTE), json!({})).await;
        world.task(TASK + 500 + others, None, json!({})).await;
    }
    world
}

/// The routes of these descriptions that are got.
fn got<'a>(described: impl IntoIterator<Item = &'a OpenApi>) -> BTreeSet<&'a str> {
    let paths = described.into_iter().flat_map(|api| &api.paths.paths);
    paths.filter(|(_, item)| item.get.is_some()).map(|(path, _)| path.as_str()).collect()
}

fn address(asked: &str) -> String {
    [("{notebook}", NOTEBOOK), ("{note}", NOTE), ("{task}", TASK)]
        .iter()
        .fold(asked.to_owned(), |address, (name, id)| {
            address.replace(name, &Uuid::from_u128(*id).to_string())
        })
}

/// Reads, and if it is a list reads on to its end, with so many statements each time.
async fn costs(world: &World, user: UserId, asked: &str, due: usize) {
    let first = address(asked);
    let mut next = Some(first.clone());
    while let Some(address) = next {
        let (seen, made) = statements(world.get(user, &address)).await;
        assert_eq!(made.len(), due, "{address} made {made:#?}");
        let status = seen.status;
        assert!(status == 200 || user == BOB && status == 404, "{address}: {status} {}", seen.body);
        let cursor = seen.body["next_cursor"].as_str();
        let joint = if first.contains('?') { '&' } else { '?' };
        next = cursor.map(|cursor| format!("{first}{joint}cursor={cursor}"));
    }
}

#[test]
fn every_route_that_reads_is_in_the_table() {
    let (reads, live) = (query_api::routes(), query_api::live::routes());
    let known: BTreeSet<&str> = READS.iter().map(|(route, _, _)| *route).chain(SOCKETS).collect();
    assert_eq!(got([reads.get_openapi(), live.get_openapi()]), known);
}

#[tokio::test]
async fn a_read_makes_as_many_statements_for_fifty_as_for_one() {
    for count in [1, 50] {
        let world = furnished(count).await;
        for (_, due, asked) in READS {
            for asked in asked {
                costs(&world, ADA, asked, due).await;
                costs(&world, BOB, asked, due).await;
            }
        }
    }
}
