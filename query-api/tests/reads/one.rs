//! Reading one thing: who may see it, at which position, and when it need not be sent again.

use std::time::{Duration, Instant};

use crate::world::{ADA, BOB, in_schema, world};
use kit::TestRequest;
use query_api::watermark::Mark;
use serde_json::json;
use uuid::Uuid;

fn address(module: &str, id: u128) -> String {
    format!("/{module}/{}", Uuid::from_u128(id))
}

#[tokio::test]
async fn a_person_reads_themselves() {
    let world = world().await;
    world.user(ADA, "ada").await;
    world.user(BOB, "bob").await;
    let me = world.get(ADA, "/me").await;
    let wanted = json!({
        "id": ADA, "email": "ada@example.org", "username": "ada", "display_name": "ada", "first_name": null,
        "last_name": null, "avatar_url": null, "preferences": {"theme": "dark"},
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-02T00:00:00Z", "version": 3
    });
    assert_eq!((me.status, me.body.clone()), (200, wanted));
    assert_eq!((me.header("position"), me.header("content-type")), ("0000000a-7", "application/json"));
}

#[tokio::test]
async fn numbers_in_preferences_are_read_as_they_were_kept() {
    let world = world().await;
    world.user(ADA, "ada").await;
    let numbers = json!({"zoom": 1.25, "one": 1.0, "all": [1, -0.5, 0.1, 1e300, 5e-324, 1.797_693_134_862_315_7e308, u64::MAX, i64::MIN]});
    world.write(&format!("update users set preferences = '{numbers}'")).await;
    assert_eq!(world.get(ADA, "/me").await.body["preferences"], numbers);
}

#[tokio::test]
async fn nobody_is_refused_and_a_newcomer_asked_to_wait() {
    let world = world().await;
    let nobody = world.ask(TestRequest::get("/me")).await;
    assert_eq!(nobody.refusal(), (401, "token-missing"));
    assert_eq!(world.get(ADA, "/me").await.refusal(), (503, "not-yet"));
}

#[tokio::test]
async fn a_notebook_and_its_notes_are_there_for_its_members_only() {
    let world = world().await;
    world.notebook(1, ADA, 0).await;
    world.note(2, 1, 5).await;
    world.note(3, 1, 6).await;
    let notebook = world.get(ADA, &address("notebooks", 1)).await;
    assert_eq!((&notebook.body["role"], &notebook.body["note_count"]), (&json!("owner"), &json!(2)));
    let note = world.get(ADA, &address("notes", 2)).await;
    assert_eq!((&note.body["role"], &note.body["title"]), (&json!("owner"), &json!("2")));
    assert_eq!(note.header("position"), "0000000a-7");
    for (module, id, slug) in [("notebooks", 1, "notebook-missing"), ("notes", 2, "note-missing")] {
        let hidden = world.get(BOB, &address(module, id)).await;
        let missing = world.get(BOB, &address(module, 99)).await;
        assert_eq!(hidden.refusal(), (404, slug));
        assert_eq!(hidden.body, missing.body);
    }
    assert_eq!(world.get(ADA, "/notes/no-uuid").await.status, 404);
    assert!(world.get(BOB, "/notes").await.items("id").is_empty());
}

/// Records are selected by the order of their columns: none may stand in the field of another.
#[tokio::test]
async fn every_column_of_a_notebook_is_in_the_field_of_its_name() {
    let world = world().await;
    let id = Uuid::from_u128(1);
    world
        .write(&format!(
            "insert into notebooks (id, name, description, created_by, created_at, updated_by, updated_at, version)
             values ('{id}', 'Lab', 'What we tried', '{ADA}', '2026-01-01Z', '{BOB}', '2026-01-02Z', 5);
             insert into members (kind, container_id, principal, role, since, granted_by, granted_at)
             values ('notebook', '{id}', '{ADA}', 2, 3, '{BOB}', '2026-01-03Z')"
        ))
        .await;
    world.note(2, 1, 5).await;
    let mut wanted = json!({
        "id": id, "name": "Lab", "description": "What we tried", "role": "editor", "note_count": 1,
        "created_by": ADA, "created_at": "2026-01-01T00:00:00Z", "updated_by": BOB,
        "updated_at": "2026-01-02T00:00:00Z", "version": 5
    });
    assert_eq!(world.get(ADA, &address("notebooks", 1)).await.body, wanted);
    wanted.as_object_mut().expect("an object").remove("note_count");
    assert_eq!(world.get(ADA, "/notebooks").await.body["items"], json!([wanted]));
}

#[tokio::test]
async fn every_column_of_a_note_is_in_the_field_of_its_name() {
    let world = world().await;
    world.notebook(1, ADA, 0).await;
    let (notebook, id) = (Uuid::from_u128(1), Uuid::from_u128(2));
    world
        .write(&format!(
            "insert into notes (id, notebook_id, title, created_by, created_at, updated_by, updated_at, version)
             values ('{id}', '{notebook}', 'Dreams', '{ADA}', '2026-01-01Z', '{BOB}', '2026-01-02Z', 5)"
        ))
        .await;
    let mut wanted = json!({
        "id": id, "notebook_id": notebook, "title": "Dreams", "role": "owner", "created_by": ADA,
        "created_at": "2026-01-01T00:00:00Z", "updated_by": BOB, "updated_at": "2026-01-02T00:00:00Z", "version": 5
    });
    assert_eq!(world.get(ADA, "/notes").await.body["items"], json!([wanted]));
    wanted["blocks"] = json!([]);
    assert_eq!(world.get(ADA, &address("notes", 2)).await.body, wanted);
}

#[tokio::test]
async fn every_column_of_a_person_is_in_the_field_of_its_name() {
    let world = world().await;
    world.user(ADA, "ada").await;
    world
        .write(
            "update users set display_name = 'Countess', first_name = 'Augusta', last_name = 'King', avatar_url = 'a:b'",
        )
        .await;
    let me = world.get(ADA, "/me").await.body;
    let names = ["username", "display_name", "first_name", "last_name", "avatar_url"].map(|name| &me[name]);
    assert_eq!(names, ["ada", "Countess", "Augusta", "King", "a:b"]);
}

#[tokio::test]
async fn a_shared_notebook_is_seen_in_the_role_it_was_shared_in() {
    let world = world().await;
    world.notebook(1, ADA, 0).await;
    world.note(2, 1, 5).await;
    world.share(1, BOB, "viewer").await;
    for address in [address("notebooks", 1), address("notes", 2)] {
        assert_eq!(world.get(BOB, &address).await.body["role"], json!("viewer"));
    }
    assert_eq!(world.get(BOB, "/notes").await.items("role"), ["viewer"]);
    assert_eq!(world.get(BOB, "/notebooks").await.items("role"), ["viewer"]);
}

#[tokio::test]
async fn what_was_seen_is_not_sent_again_until_it_changes() {
    let world = world().await;
    world.notebook(1, ADA, 0).await;
    world.note(2, 1, 5).await;
    for address in [address("notes", 2), "/notes".to_owned()] {
        let first = world.get(ADA, &address).await;
        let tag = first.header("etag").to_owned();
        let opaque = tag.trim_start_matches("W/");
        for seen in [&tag, opaque, &format!("W/{opaque}"), &format!("\"other\", W/\"a,b\" ,{tag}"), "*"] {
            let again = world.get_unless(ADA, &address, Some(seen)).await;
            assert_eq!((again.status, again.header("etag")), (304, tag.as_str()), "{seen}");
            assert_eq!((again.header("position"), &again.body), ("0000000a-7", &json!(null)));
        }
        let longer = opaque.replacen('"', "\"1.", 1);
        for unseen in ["\"1\"", "\"other\"", &longer, opaque.trim_matches('"'), ""] {
            assert_eq!(world.get_unless(ADA, &address, Some(unseen)).await.status, 200, "{unseen}");
        }
        world.write("update notes set version = version + 1").await;
        let changed = world.get_unless(ADA, &address, Some(&tag)).await;
        assert_eq!(changed.status, 200);
        assert_ne!(changed.header("etag"), tag);
    }
}

#[tokio::test]
async fn the_tag_of_one_thing_begins_with_its_version_and_that_of_a_list_is_weak() {
    let world = world().await;
    world.user(ADA, "ada").await;
    world.notebook(1, ADA, 0).await;
    world.note(2, 1, 5).await;
    world.block(3, 2, "a", json!({})).await;
    world.task(4, Some(2), json!({"version": 12})).await;
    let markdown = format!("{}/markdown", address("notes", 2));
    let mut tags = Vec::new();
    for (address, version) in [
        ("/me".to_owned(), 3),
        (address("notebooks", 1), 1),
        (address("notes", 2), 1),
        (markdown, 1),
        (address("tasks", 4), 12),
    ] {
        let tag = world.get(ADA, &address).await.header("etag").to_owned();
        assert!(tag.starts_with(&format!("\"{version}.")) && tag.len() > 12, "{address}: {tag}");
        tags.push(tag);
    }
    assert_ne!(tags[2], tags[3], "a note and its Markdown are two representations");
    world.write("update blocks set content = '{\"text\": \"new\", \"spans\": []}', version = 2").await;
    let tag = world.get(ADA, &address("notes", 2)).await.header("etag").to_owned();
    assert!(tag.starts_with("\"1.") && tag != tags[2], "a block has changed, the note's own version has not");
    for list in ["/notebooks", "/notes", "/tasks"] {
        let tag = world.get(ADA, list).await.header("etag").to_owned();
        assert!(tag.starts_with("W/\""), "{list}: {tag}");
    }
}

#[tokio::test]
async fn a_read_waits_for_what_its_caller_has_seen_but_not_for_ever() {
    let world = world().await;
    for reached in ["7", "0000000a-7", "0000000a-1"] {
        assert_eq!(world.get(ADA, &format!("/notes?after={reached}")).await.status, 200);
    }
    let begun = Instant::now();
    let late = world.get(ADA, "/notes?after=8").await;
    assert_eq!((late.refusal(), late.header("retry-after")), ((503, "not-yet"), "1"));
    assert!((Duration::from_secs(2)..Duration::from_secs(4)).contains(&begun.elapsed()));
    let stale = world.get(ADA, &format!("{}?after=0000000b-1", address("notes", 2))).await;
    assert_eq!(stale.refusal(), (409, "epoch-changed"));
    assert_eq!(world.get(ADA, "/me?after=soon").await.refusal(), (400, "bad-query"));
}

#[tokio::test]
async fn tables_that_are_not_there_yet_are_being_built() {
    let nowhere = in_schema("read_nowhere").await;
    for address in ["/me", "/notes", "/notebooks"] {
        let building = nowhere.get(ADA, address).await;
        assert_eq!(building.refusal(), (503, "read-tables-building"), "{address}");
        assert_eq!(building.header("retry-after"), "1");
    }
    let unread = world().await;
    unread.write("update checkpoint set epoch = '', position = 0").await;
    assert_eq!(unread.get(ADA, "/notes").await.refusal(), (503, "read-tables-building"));
}

#[tokio::test]
async fn tables_that_are_far_behind_are_being_built_and_the_answer_says_how_far() {
    let world = world().await;
    world.watermark.polled(Mark { epoch: "0000000b".to_owned(), position: 7, head: 50_007 });
    let building = world.get(ADA, "/notes").await;
    assert_eq!((building.refusal(), building.header("retry-after")), ((503, "read-tables-building"), "5"));
    let detail = "The read tables are being built: 7 of 50007 events. Try again.";
    assert_eq!(building.body["detail"], detail);
    world.watermark.polled(Mark { epoch: "0000000b".to_owned(), position: 50_000, head: 50_007 });
    assert_eq!(world.get(ADA, "/notes").await.status, 200);
}
