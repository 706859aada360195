//! Rows that are quarantined: withheld from whom they concern, unknown to everybody else, and nothing opens up meanwhile.

use crate::world::{ADA, BOB, World, world};
use serde_json::{Value, json};
use shared::domain::id::UserId;
use uuid::Uuid;

fn address(module: &str, id: u128) -> String {
    format!("/{module}/{}", Uuid::from_u128(id))
}

fn key(id: u128) -> String {
    Uuid::from_u128(id).to_string()
}

/// Ada has notebook 1 with notes 2 and 3, and notebook 4 with note 5; Bob has notebook 6 with note 7.
async fn furnished() -> World {
    let world = world().await;
    for (notebook, user) in [(1, ADA), (4, ADA), (6, BOB)] {
        world.notebook(notebook, user, 0).await;
    }
    for (note, notebook) in [(2, 1), (3, 1), (5, 4), (7, 6)] {
        world.note(note, notebook, 1).await;
    }
    world
}

async fn statuses(world: &World, user: UserId, addresses: &[String]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for address in addresses {
        statuses.push(world.get(user, address).await.status);
    }
    statuses
}

#[tokio::test]
async fn a_quarantined_note_is_withheld_and_the_others_are_there() {
    let world = furnished().await;
    world.quarantined("notes", &key(2), &format!("note:{0},notebook:{1}", key(2), key(1))).await;
    let withheld = world.get(ADA, &address("notes", 2)).await;
    assert_eq!(withheld.refusal(), (503, "row-quarantined"));
    assert_eq!(
        (withheld.header("retry-after"), withheld.header("content-type")),
        ("60", "application/problem+json")
    );
    assert_eq!(world.get(BOB, &address("notes", 2)).await.refusal(), (404, "note-missing"));
    let others = [address("notes", 3), address("notes", 5), address("notebooks", 1)];
    assert_eq!(statuses(&world, ADA, &others).await, [200; 3]);
    assert!(world.get(ADA, &others[2]).await.body.get("note_count").is_none());

    let list = world.get(ADA, "/notes").await;
    assert_eq!(
        (list.items("title"), &list.body["withheld"]),
        (vec!["5".to_owned(), "3".to_owned()], &json!(true))
    );
    let of = |notebook| format!("/notes?notebook_id={}", key(notebook));
    assert_eq!(world.get(ADA, &of(1)).await.body["withheld"], json!(true));
    for (user, list) in [(ADA, of(4)), (ADA, "/notebooks".to_owned()), (BOB, "/notes".to_owned())] {
        assert!(world.get(user, &list).await.body.get("withheld").is_none(), "{list}");
    }
}

#[tokio::test]
async fn a_note_that_has_no_row_is_withheld_from_its_notebooks_members() {
    let world = furnished().await;
    world.quarantined("notes", &key(9), &format!("note:{},notebook:{}", key(9), key(1))).await;
    assert_eq!(world.get(ADA, &address("notes", 9)).await.refusal(), (503, "row-quarantined"));
    assert_eq!(world.get(BOB, &address("notes", 9)).await.refusal(), (404, "note-missing"));
    assert_eq!(world.get(ADA, "/notes").await.body["withheld"], json!(true));
}

#[tokio::test]
async fn a_quarantined_notebook_is_withheld_with_its_notes() {
    let world = furnished().await;
    world.quarantined("notebooks", &key(1), &format!("notebook:{}", key(1))).await;
    assert_eq!(world.get(ADA, &address("notebooks", 1)).await.refusal(), (503, "row-quarantined"));
    assert_eq!(world.get(BOB, &address("notebooks", 1)).await.refusal(), (404, "notebook-missing"));
    // The event that its row lacks may have put it into the trash, and them with it.
    assert_eq!(statuses(&world, ADA, &[address("notes", 2), address("notes", 5)]).await, [503, 200]);
    assert_eq!(world.get(BOB, &address("notes", 2)).await.refusal(), (404, "note-missing"));
    assert_eq!(world.get(ADA, "/notes").await.items("id"), [key(5)]);
    let list = world.get(ADA, "/notebooks").await;
    assert_eq!((list.items("id"), &list.body["withheld"]), (vec![key(4)], &json!(true)));
}

#[tokio::test]
async fn who_has_a_note_alone_hears_that_its_notebook_is_quarantined() {
    let world = furnished().await;
    world.grant(&format!("note:{}", key(2)), BOB.0, "viewer").await;
    world.task(8, Some(2), json!({"notebook_id": key(1)})).await;
    let theirs = [address("notes", 2), address("tasks", 8)];
    assert_eq!(statuses(&world, BOB, &theirs).await, [200; 2]);
    world.quarantined("notebooks", &key(1), &format!("notebook:{}", key(1))).await;
    assert_eq!(statuses(&world, BOB, &theirs).await, [503; 2]);
    for (list, left) in [("/notes", vec![key(7)]), ("/tasks", vec![])] {
        let list = world.get(BOB, list).await;
        assert_eq!((list.items("id"), &list.body["withheld"]), (left, &json!(true)));
    }
    assert_eq!(world.get(BOB, &address("notes", 3)).await.status, 404);
}

#[tokio::test]
async fn tasks_of_one_note_are_not_said_to_be_withheld_for_another() {
    let world = furnished().await;
    world.grant(&format!("note:{}", key(2)), BOB.0, "viewer").await;
    world.task(8, Some(2), json!({"notebook_id": key(1)})).await;
    let of = |note| format!("/tasks?note_id={}", key(note));
    world.quarantined("notes", &key(3), &format!("note:{},notebook:{}", key(3), key(1))).await;
    world.quarantined("notebooks", &key(4), &format!("notebook:{}", key(4))).await;
    for (note, withheld) in [(2, false), (3, true), (5, true), (99, false)] {
        let withheld = withheld.then_some(true);
        assert_eq!(world.get(ADA, &of(note)).await.body.get("withheld").and_then(Value::as_bool), withheld);
    }
    assert_eq!(world.get(BOB, &of(2)).await.items("id"), [key(8)]);
}

#[tokio::test]
async fn whose_membership_quarantined_sees_nothing_of_the_notebook() {
    let world = furnished().await;
    world.share(1, BOB, "viewer").await;
    world
        .quarantined("members", &format!("notebook:{}/{BOB}", key(1)), &format!("notebook:{}", key(1)))
        .await;
    let of_the_notebook = [address("notebooks", 1), address("notes", 2), address("notes", 3)];
    assert_eq!(statuses(&world, BOB, &of_the_notebook).await, [503; 3]);
    assert_eq!(statuses(&world, ADA, &of_the_notebook).await, [200; 3]);
    for (list, left) in [("/notes", key(7)), ("/notebooks", key(6))] {
        let list = world.get(BOB, list).await;
        assert_eq!((list.items("id"), &list.body["withheld"]), (vec![left], &json!(true)));
    }
    for list in ["/notes", "/notebooks"] {
        let list = world.get(ADA, list).await;
        assert!(list.body.get("withheld").is_none());
    }
}

#[tokio::test]
async fn a_notebook_whose_memberships_are_all_quarantined_is_closed() {
    let world = furnished().await;
    world.quarantined("members", &format!("notebook:{}/*", key(1)), &format!("notebook:{}", key(1))).await;
    let of_the_notebook = [address("notebooks", 1), address("notes", 2)];
    assert_eq!(statuses(&world, ADA, &of_the_notebook).await, [503; 2]);
    assert_eq!(statuses(&world, BOB, &of_the_notebook).await, [404; 2]);
    let list = world.get(ADA, "/notes").await;
    assert_eq!((list.items("id"), &list.body["withheld"]), (vec![key(5)], &json!(true)));
    let list = world.get(ADA, "/notebooks").await;
    assert_eq!((list.items("id"), &list.body["withheld"]), (vec![key(4)], &json!(true)));
}

#[tokio::test]
async fn a_person_quarantined_hears_so() {
    let world = world().await;
    world.user(ADA, "ada").await;
    world.user(BOB, "bob").await;
    world.quarantined("users", &ADA.to_string(), "").await;
    assert_eq!(world.get(ADA, "/me").await.refusal(), (503, "row-quarantined"));
    assert_eq!(world.get(BOB, "/me").await.status, 200);
}
