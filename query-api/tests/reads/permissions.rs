//! What is read of one thing, in every role, is answered as the permission table says.

use kit::TestRequest;
use shared::domain::access::{Action, Answer, Kind, On, Role, Situation};
use shared::domain::id::UserId;
use uuid::Uuid;

use crate::world::{ADA, BOB, World, world};

const VIC: UserId = UserId(Uuid::from_u128(0x71c));
const EVE: UserId = UserId(Uuid::from_u128(0xe7e));
const NOTEBOOK: u128 = 1;
const NOTE: u128 = 2;
const TASK: u128 = 3;
const OWN_TASK: u128 = 4;
const NOTHING: u128 = 99;

/// Ada shares a notebook, in which there are a note and its task, and has a task of her own.
async fn shared_notebook() -> World {
    let world = world().await;
    world.notebook(NOTEBOOK, ADA, 0).await;
    world.note(NOTE, NOTEBOOK, 1).await;
    world.task(TASK, Some(NOTE), serde_json::json!({})).await;
    world.task(OWN_TASK, None, serde_json::json!({})).await;
    world.share(NOTEBOOK, VIC, "viewer").await;
    world.share(NOTEBOOK, EVE, "editor").await;
    world
}

/// Each read of one thing: its action, its path, and on what.
fn reads() -> Vec<(Action, String, On)> {
    let router = query_api::routes();
    let mut found = Vec::new();
    for (path, item) in &router.get_openapi().paths.paths {
        let Some(operation) = &item.get else { continue };
        let name = operation.operation_id.as_deref().expect("a name");
        let action: Action = name.parse().expect("the name of an action");
        found.extend(action.rule().on.iter().map(|on| (action, path.clone(), *on)));
    }
    found
}

fn thing(path: &str, on: On) -> u128 {
    match (path.split('/').nth(1), on) {
        (Some("notebooks"), On::Container(Kind::Notebook)) => NOTEBOOK,
        (Some("notes"), On::Container(Kind::Note)) => NOTE,
        (Some("tasks"), On::Container(Kind::Note)) => TASK,
        (Some("tasks"), On::Person) => OWN_TASK,
        other => panic!("say which thing {other:?} reads"),
    }
}

fn role(user: UserId, on: On) -> Option<Role> {
    let as_member = match user {
        VIC => Some(Role::Viewer),
        EVE => Some(Role::Editor),
        ADA => Some(Role::Owner),
        _ => None,
    };
    match on {
        On::Container(_) => as_member,
        On::Person => as_member.filter(|_| user == ADA),
    }
}

#[tokio::test]
async fn every_read_of_one_thing_is_answered_as_the_table_says() {
    let world = shared_notebook().await;
    let reads = reads();
    assert!(reads.len() >= 5, "only {} reads were found", reads.len());
    for (action, path, on) in reads {
        let address = |id: u128| path.replace("{id}", &Uuid::from_u128(id).to_string());
        let there = address(thing(&path, on));
        assert_eq!(world.ask(TestRequest::get(&there)).await.status, 401, "{path}");
        for user in [BOB, VIC, EVE, ADA] {
            let said = world.get(user, &there).await;
            let missing = world.get(user, &address(NOTHING)).await;
            let due = action.rule().answer(Situation::live(role(user, on)));
            let status = match due {
                Answer::LogIn => 401,
                Answer::Unseen => 404,
                Answer::Forbidden => 403,
                Answer::Trashed => 409,
                Answer::Yes => 200,
            };
            assert_eq!(said.status, status, "{action:?} on {on:?} by {user}: {said:?}");
            assert_eq!(missing.status, 404, "{action:?} on {on:?} by {user}: {missing:?}");
            assert_eq!(said == missing, due == Answer::Unseen, "{action:?} on {on:?} by {user}: {said:?}");
        }
    }
}
