//! Whatever arrives, in whatever order, and whoever dies: the tables are those of the log read in one go.

mod world;

use projector::engine::EngineError;
use projector::engine::sift::Carried;
use serde_json::json;
use shared::log::stored_event::StoredEvent;
use world::{World, a_bit_of_all, id, note_created, note_retitled, parts, until};

const LIVE: &str = "read_live";

fn carried(events: &[&StoredEvent]) -> Vec<Carried> {
    events.iter().map(|event| Carried::Event(Box::new((*event).clone()))).collect()
}

#[tokio::test]
async fn messages_missing_doubled_and_out_of_order_make_the_same_tables() {
    let mut world = World::new().await;
    world.append(a_bit_of_all(20)).await;
    let log = world.log().await;
    let mut engine = world.engine(LIVE).await;
    for chunk in log.chunks(7) {
        // Backwards, the first one doubled, and one of them lost on the way.
        let mut messages: Vec<&StoredEvent> = chunk.iter().rev().chain(chunk.first()).collect();
        messages.retain(|event| event.recorded.position % 5 != 0);
        engine.take(carried(&messages)).await.unwrap();
    }
    engine.take(carried(&log.iter().collect::<Vec<_>>())).await.unwrap();
    assert_eq!(engine.position(), world.head());
    assert_eq!(world.tables(LIVE).await, world.expected().await);
}

#[tokio::test]
async fn a_doubtful_message_is_read_from_the_log() {
    let mut world = World::new().await;
    world.append(a_bit_of_all(1)).await;
    let mut engine = world.engine(LIVE).await;
    engine.take(vec![Carried::Doubtful]).await.unwrap();
    assert_eq!(engine.position(), world.head());
}

#[tokio::test]
async fn an_engine_that_dies_between_fold_and_commit_leaves_no_trace() {
    let mut world = World::new().await;
    world.append(a_bit_of_all(5)).await;
    let before = {
        world.engine(LIVE).await;
        world.tables(LIVE).await
    };
    // The feed is written last: an engine that waits for it has folded and written everything else.
    let mut gate = world.owner.begin().await.unwrap();
    sqlx::query("lock table read_live.feed in share mode").execute(&mut *gate).await.unwrap();
    let mut dying = world.engine(LIVE).await;
    let task = tokio::spawn(async move { dying.catch_up().await });
    world.until_waiting().await;
    task.abort();
    assert!(task.await.is_err_and(|error| error.is_cancelled()));
    gate.rollback().await.unwrap();
    // The dead one's connection is returned and rolled back behind its back.
    until(async || {
        let open: i64 = sqlx::query_scalar(
            "select count(*) from pg_locks l join pg_stat_activity a using (pid)
              where a.datname = current_database() and l.mode = 'RowExclusiveLock' and a.pid <> pg_backend_pid()",
        )
        .fetch_one(&world.owner)
        .await
        .unwrap();
        open == 0
    })
    .await;
    assert_eq!(world.tables(LIVE).await, before);

    world.engine(LIVE).await.catch_up().await.unwrap();
    assert_eq!(world.tables(LIVE).await, world.expected().await);
}

#[tokio::test]
async fn of_two_engines_one_applies_a_batch() {
    let mut world = World::new().await;
    world.engine(LIVE).await;
    world.append(a_bit_of_all(5)).await;
    let log = world.log().await;
    for half in log.chunks(log.len().div_ceil(2)) {
        let (mut one, mut two) = (world.engine(LIVE).await, world.engine(LIVE).await);
        let results = tokio::join!(one.apply(half.to_vec()), two.apply(half.to_vec()));
        let overtaken = |result: &Result<(), EngineError>| matches!(result, Err(EngineError::Overtaken));
        assert!(overtaken(&results.0) ^ overtaken(&results.1), "{results:?}");
        assert!(results.0.is_ok() ^ results.1.is_ok(), "{results:?}");
    }
    assert_eq!(world.tables(LIVE).await, world.expected().await);
}

#[tokio::test]
async fn each_column_of_blocks_and_tasks_is_what_the_events_said_however_they_come() {
    let mut world = World::new().await;
    let mut engine = world.engine(LIVE).await;
    for part in parts() {
        world.append(vec![part]).await;
        engine.catch_up().await.unwrap();
    }
    let tables = world.tables(LIVE).await;
    assert_eq!(tables, world.expected().await);
    let times: Vec<(i64, String)> =
        sqlx::query_as("select position, (to_jsonb(e) ->> 'recorded_at') from es.event e order by position")
            .fetch_all(&world.owner)
            .await
            .unwrap();
    let at = |position: usize| json!(times[position - 1].1);
    let then = "2026-01-31T12:00:00.000001+00:00";
    let of = |table: &str, number: u128| {
        let rows = tables[table].as_array().unwrap();
        let mut row = rows.iter().find(|row| row["id"] == json!(id(number))).unwrap().clone();
        // The places in lists, which Postgres makes of the others.
        row.as_object_mut().unwrap().retain(|column, _| !column.starts_with("by_"));
        row
    };
    let content = json!({"text": "Milk \\ \"É\"", "spans": []});
    let bare = json!({"id": id(500), "note_id": id(1_000), "type": "text", "content": content, "rank": "Zz",
                      "removed": false, "created_by": "ada", "created_at": at(1), "updated_by": "ada",
                      "updated_at": at(1), "version": 1});
    assert_eq!(of("blocks", 500), bare);
    let content = json!({"checked": true, "depth": 2, "text": "Milk", "spans": []});
    let full = json!({"id": id(501), "note_id": id(1_001), "type": "task", "content": content, "rank": "a3",
                      "removed": true, "created_by": "bob", "created_at": then, "updated_by": "ada",
                      "updated_at": at(9), "version": 8});
    assert_eq!(of("blocks", 501), full);
    let bare = json!({"id": id(600), "note_id": null, "notebook_id": null, "owner_id": id(2), "title": "Own", "title_folded": "own",
                      "description": null, "description_folded": null, "completed_at": null, "due_at": null,
                      "due_on": "2026-03-01", "priority": 0, "assignee_id": null, "removed": false,
                      "created_by": "ada", "created_at": at(10), "updated_by": "ada", "updated_at": at(10),
                      "version": 1});
    assert_eq!(of("tasks", 600), bare);
    let full = json!({"id": id(601), "note_id": id(1_001), "notebook_id": id(12), "owner_id": id(1), "title": "Call", "title_folded": "call",
                      "description": "More", "description_folded": "more", "completed_at": then, "due_at": then,
                      "due_on": null, "priority": 3, "assignee_id": id(3), "removed": true,
                      "created_by": "bob", "created_at": then, "updated_by": "ada", "updated_at": at(25),
                      "version": 15});
    assert_eq!(of("tasks", 601), full);
}

#[tokio::test]
async fn without_its_key_a_note_is_nowhere_and_all_else_is_there() {
    let mut world = World::new().await;
    world.append(vec![note_created(1, 10, "Canary"), note_created(2, 10, "Plans")]).await;
    world.append(vec![note_retitled(1, "Canary two")]).await;
    kit::destroy_key(&world.owner, &format!("note:{}", id(1))).await.unwrap();
    let tables = world.expected().await;
    assert!(!tables.to_string().contains("Canary"));
    assert_eq!(tables["position"], 3);
    assert_eq!(tables["notes"].as_array().map(Vec::len), Some(1));
    assert_eq!(tables["notes"][0]["title"], "Plans");
    assert_eq!(tables["feed"].as_array().map(Vec::len), Some(6));
}

#[tokio::test]
async fn an_unknown_event_stops_the_engine_right_before_it_until_it_is_skipped() {
    let mut world = World::new().await;
    world.append(vec![note_created(1, 10, "Dreams"), note_retitled(1, "Plans")]).await;
    world.append(vec![world::fact("note", 1, "NoteSung", serde_json::json!({}))]).await;
    world.append(vec![note_retitled(1, "Songs")]).await;
    let mut engine = world.engine(LIVE).await;
    for _ in 0..2 {
        let stopped = engine.catch_up().await;
        assert!(matches!(&stopped, Err(EngineError::Fault(fault)) if fault.position == 3), "{stopped:?}");
        assert_eq!(world.tables(LIVE).await["notes"][0]["title"], "Plans");
        assert_eq!(engine.position(), 2);
    }
    sqlx::query("insert into es.skip (position, why, by) values (3, 'nobody sings here', 'ada')")
        .execute(&world.owner)
        .await
        .unwrap();
    engine.catch_up().await.unwrap();
    assert_eq!(world.tables(LIVE).await["notes"][0]["title"], "Songs");
    assert_eq!(engine.position(), 4);
}

#[tokio::test]
async fn tables_of_a_parted_history_are_built_anew() {
    let mut world = World::new().await;
    world.append(a_bit_of_all(3)).await;
    let agreed = world.head() - 4;
    world.engine(LIVE).await.catch_up().await.unwrap();
    world.lose_after(agreed).await;
    world.begin_epoch(agreed).await;
    world.append((0..9).map(|_| note_retitled(1_000, "After the restore")).collect()).await;
    world.engine(LIVE).await.catch_up().await.unwrap();
    assert_eq!(world.tables(LIVE).await, world.expected().await);
}

#[tokio::test]
async fn tables_that_went_no_further_than_both_agree_are_kept() {
    let mut world = World::new().await;
    world.append(vec![note_created(1, 10, "Dreams")]).await;
    world.engine(LIVE).await.catch_up().await.unwrap();
    // A mark that a rebuild would lose.
    sqlx::query("update read_live.notes set title = 'kept'").execute(&world.owner).await.unwrap();
    world.begin_epoch(1).await;
    assert_eq!(world.engine(LIVE).await.position(), 1);
    assert_eq!(world.tables(LIVE).await["notes"][0]["title"], "kept");
}

#[tokio::test]
async fn a_log_shorter_than_the_tables_builds_them_anew() {
    let mut world = World::new().await;
    world.append(a_bit_of_all(1)).await;
    world.engine(LIVE).await.catch_up().await.unwrap();
    world.lose_after(2).await;
    world.engine(LIVE).await.catch_up().await.unwrap();
    assert_eq!(world.tables(LIVE).await, world.expected().await);
}
