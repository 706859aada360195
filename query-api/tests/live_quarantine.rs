//! Live while rows are quarantined: nobody is shown more than before, and what is not concerned goes on.

#[expect(dead_code, reason = "it is for the gateway's other tests too")]
mod live_world;

use live_world::{
    ADA, BOB, Client, DEADLINE, LAB, NOTE, SAFE, World, moved, note, notebook, preferences, renamed, retitled,
};
use query_api::live::Settings;
use serde_json::{Value, json};
use shared::domain::id::NoteId;
use shared::process::read_schema;
use tokio::time::timeout;
use uuid::Uuid;

const OTHER: NoteId = NoteId(Uuid::from_u128(0x07e2));

/// Ada has the lab with a note, Bob the safe with another.
async fn world() -> World {
    let world = World::start(Settings::default()).await;
    let head =
        world.append(&[notebook(ADA, LAB), notebook(BOB, SAFE), note(NOTE, LAB), note(OTHER, SAFE)]).await;
    world.reaches(head).await;
    world
}

/// Writes an event whose effect on a row is quarantined.
async fn append_quarantined(world: &World, event: &Value, table: &str, key: &str) -> i64 {
    let position = world.append_unread(std::slice::from_ref(event)).await;
    sqlx::query(
        "insert into quarantine (table_name, key, position, why, scopes)
         select $1, $2, $3, case when exists (select from quarantine where key = $2) then null else 'a test' end, '{}'",
    )
    .bind(table)
    .bind(key)
    .bind(position)
    .execute(&world.owner)
    .await
    .expect("a row");
    fold_no_rows(world, position).await;
    position
}

/// Brings nothing but the feed and the checkpoint to a position.
async fn fold_no_rows(world: &World, to: i64) {
    let statements = [
        "insert into feed select unnest(scopes), position from es.event
          where position > (select position from checkpoint) and position <= $1",
        "update checkpoint set position = $1",
    ];
    let mut transaction = world.owner.begin().await.expect("a transaction");
    for statement in statements {
        sqlx::query(statement).bind(to).execute(&mut *transaction).await.expect(statement);
    }
    transaction.commit().await.expect("committed");
}

#[tokio::test]
async fn a_notebook_whose_memberships_are_quarantined_is_closed_at_once() {
    let world = world().await;
    let (mut ada, mut bob) = (world.live(ADA).await, world.live(BOB).await);
    // It may have taken access from somebody: nobody can tell.
    let unreadable = json!({"aggregate": "notebook", "id": LAB, "type": "NotebookRenamed", "data": {},
                            "scopes": [format!("notebook:{LAB}")]});
    append_quarantined(&world, &unreadable, "members", &format!("notebook:{LAB}/*")).await;
    let own = world.append(&[retitled(NOTE, LAB), preferences(ADA, 1)]).await;
    let elsewhere = world.append(&[retitled(OTHER, SAFE)]).await;
    world.reaches(elsewhere).await;
    assert_eq!(ada.events_until_pong().await, [own]);
    assert_eq!(bob.events_until_pong().await, [elsewhere]);

    // The same for whoever comes now, and comes back.
    let mut late = world.live(ADA).await;
    late.send(&json!({"type": "subscribe", "id": "s", "topics": [format!("notebook:{LAB}")]})).await;
    assert_eq!(late.next().await["code"], "topic-unseen");
    assert_eq!(world.resume(ADA, 0).await.events().await.0, [own]);
}

#[tokio::test]
async fn a_notebook_that_is_quarantined_is_closed_with_its_notes() {
    let world = world().await;
    let (mut ada, mut bob) = (world.live(ADA).await, world.live(BOB).await);
    // It may have been put into the trash.
    append_quarantined(&world, &renamed(LAB), "notebooks", &LAB.to_string()).await;
    let own = world.append(&[retitled(NOTE, LAB), preferences(ADA, 1)]).await;
    let elsewhere = world.append(&[retitled(OTHER, SAFE)]).await;
    world.reaches(elsewhere).await;
    assert_eq!(ada.events_until_pong().await, [own]);
    assert_eq!(bob.events_until_pong().await, [elsewhere]);
    for closed in [format!("notebook:{LAB}"), format!("note:{NOTE}")] {
        ada.send(&json!({"type": "subscribe", "id": "s", "topics": [closed]})).await;
        assert_eq!(ada.next().await["code"], "topic-unseen");
    }
    assert_eq!(world.resume(ADA, 0).await.events().await.0, [own]);
}

#[tokio::test]
async fn a_note_that_is_quarantined_is_shown_to_nobody() {
    let world = world().await;
    let (mut ada, mut bob) = (world.live(ADA).await, world.live(BOB).await);
    let left = append_quarantined(&world, &moved(NOTE, LAB, SAFE), "notes", &NOTE.to_string()).await;
    append_quarantined(&world, &retitled(NOTE, SAFE), "notes", &NOTE.to_string()).await;
    let last = world.append(&[retitled(OTHER, SAFE)]).await;
    world.reaches(last).await;
    // That it left the lab is for whoever sees the lab; the rest is for whoever sees where it is, which is not known.
    assert_eq!(ada.events_until_pong().await, [left]);
    assert_eq!(bob.events_until_pong().await, [last]);
    let mut late = world.live(BOB).await;
    late.send(&json!({"type": "subscribe", "id": "s", "topics": [format!("note:{NOTE}")]})).await;
    assert_eq!(late.next().await["code"], "topic-unseen");
}

#[tokio::test]
async fn a_block_that_is_quarantined_is_shown_with_the_notes_it_was_in() {
    let world = world().await;
    let (mut ada, mut bob) = (world.live(ADA).await, world.live(BOB).await);
    let block = Uuid::from_u128(0xb10c);
    let text = json!({"type": "text", "content": {"text": "Milk", "spans": []}});
    let about = |event_type: &str, data: Value, scopes: Value| json!({"aggregate": "block", "id": block, "type": event_type, "data": data, "scopes": scopes});
    let here = || json!([format!("note:{NOTE}"), format!("notebook:{LAB}")]);
    let there = || json!([format!("note:{OTHER}"), format!("notebook:{SAFE}")]);
    let added = about("BlockAdded", json!({"note_id": NOTE, "block": text, "rank": "a0"}), here());
    let added = world.append(&[added]).await;
    let ends = json!([
        format!("note:{OTHER}"),
        format!("notebook:{SAFE}"),
        format!("note:{NOTE}"),
        format!("notebook:{LAB}")
    ]);
    let whole = json!({"block": text, "added_by": ADA, "added_at": "2026-01-31T12:00:00Z"});
    let left = about("BlockMoved", json!({"from": NOTE, "to": OTHER, "rank": "a0", "whole": whole}), ends);
    let left = append_quarantined(&world, &left, "blocks", &block.to_string()).await;
    let edited = about("BlockEdited", json!({"note_id": OTHER, "block": text}), there());
    let edited = append_quarantined(&world, &edited, "blocks", &block.to_string()).await;
    let here = world.append(&[retitled(NOTE, LAB)]).await;
    let there = world.append(&[retitled(OTHER, SAFE)]).await;
    world.reaches(there).await;
    // Its events say in which note they happened: its row is not asked.
    assert_eq!(ada.events_until_pong().await, [added, left, here]);
    assert_eq!(bob.events_until_pong().await, [left, edited, there]);
    assert_eq!(world.resume(ADA, 4).await.events().await.0, [added, left, here]);
    assert_eq!(world.resume(BOB, 4).await.events().await.0, [left, edited, there]);
}

/// Puts tables in the place of the read tables that hold the same, and nothing that is quarantined.
async fn rebuild(world: &World) {
    let live = read_schema::name();
    read_schema::ensure(&world.owner, "read_side").await.expect("a schema");
    let mut transaction = world.owner.begin().await.expect("a transaction");
    sqlx::query("delete from read_side.checkpoint").execute(&mut *transaction).await.expect("emptied");
    for table in ["checkpoint", "users", "sessions", "notebooks", "members", "notes", "feed"] {
        let copy = format!("insert into read_side.{table} select * from {table}");
        sqlx::query(&copy).execute(&mut *transaction).await.expect(&copy);
    }
    sqlx::query("select es.swap_read_schema($1, 'read_side')")
        .bind(live)
        .execute(&mut *transaction)
        .await
        .expect("swapped");
    transaction.commit().await.expect("committed");
}

#[tokio::test]
async fn what_a_rebuild_mends_is_seen_again_by_open_sockets() {
    let world = world().await;
    let (mut ada, mut bob) = (world.live(ADA).await, world.live(BOB).await);
    append_quarantined(&world, &renamed(LAB), "members", &format!("notebook:{LAB}/*")).await;
    let closed = append_quarantined(&world, &retitled(OTHER, SAFE), "notes", &OTHER.to_string()).await;
    world.reaches(closed).await;
    assert_eq!((ada.events_until_pong().await, bob.events_until_pong().await), (vec![], vec![]));
    rebuild(&world).await;
    let mended = async |client: &mut Client, id, notebook| loop {
        // The process looks a few times a second which tables it reads.
        let position = world.append(&[retitled(id, notebook)]).await;
        world.reaches(position).await;
        if client.events_until_pong().await.contains(&position) {
            return;
        }
    };
    let both = async {
        mended(&mut ada, NOTE, LAB).await;
        mended(&mut bob, OTHER, SAFE).await;
    };
    timeout(DEADLINE, both).await.expect("both see it in time");
}
