//! Tables built beside the live ones: to be compared with them, and to take their place while they are read and fed.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use projector::ShadowBuildError;
use projector::check::{Report, What};
use projector::engine::BATCH;
use serde_json::json;
use shared::process::postgres::{DatabaseRole, pool};
use shared::process::read_schema;
use sqlx::PgPool;
use world::{World, a_bit_of_all, id, note_created, note_retitled, until};

const LIVE: &str = "read_live";

async fn built(facts: Vec<kit::Fact>) -> World {
    let mut world = World::new().await;
    world.append(facts).await;
    world.engine(LIVE).await.catch_up().await.unwrap();
    world
}

async fn write(world: &World, sql: &str) {
    sqlx::query(sql).execute(&world.owner).await.unwrap();
}

async fn schemas(world: &World) -> Vec<String> {
    let names = "select nspname::text from pg_namespace where nspname like 'read%'
                  union select name from es.read_schema order by 1";
    sqlx::query_scalar(names).fetch_all(&world.owner).await.unwrap()
}

fn named(report: &Report) -> Vec<String> {
    report.first.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn tables_that_are_as_they_should_be_pass_and_nothing_is_left() {
    let world = built(a_bit_of_all(20)).await;
    let report = world.shadow_build(LIVE).check().await.unwrap();
    assert_eq!((report.position, report.different, report.first.len()), (world.head(), 0, 0));
    // 3 persons, 3 sessions, 2 notebooks with a member each, 20 notes, and each event under two scopes.
    assert_eq!(report.rows, 3 + 3 + 2 + 2 + 20 + 2 + 2 + 2 * world.head());
    assert_eq!(schemas(&world).await, [LIVE]);
}

#[tokio::test]
async fn check_names_a_column_a_missing_row_and_a_row_too_many_and_rebuild_mends_them() {
    let world = built(a_bit_of_all(3)).await;
    let right = world.tables(LIVE).await;
    let (note, gone, extra) = (id(1_000), id(1_001), id(77));
    for (sql, wanted) in [
        (
            format!("update read_live.notes set title = 'By hand' where id = '{note}'"),
            format!(r#"notes id "{note}": title is "By hand", should be "Plans""#),
        ),
        (
            format!("update read_live.users set first_name = '' where id = '{}'", id(2)),
            format!(r#"users id "{}": first_name is "", should be null"#, id(2)),
        ),
        (
            format!("delete from read_live.notes where id = '{gone}'"),
            format!(r#"notes id "{gone}": is missing"#),
        ),
        (
            format!(
                "insert into read_live.members values ('note', '{extra}', '{extra}', 1, 1, null, 'a', now())"
            ),
            format!(r#"members kind "note" container_id "{extra}" principal "{extra}": should not be there"#),
        ),
    ] {
        write(&world, &sql).await;
        let report = world.shadow_build(LIVE).check().await.unwrap();
        assert_eq!((report.different, named(&report)), (1, vec![wanted]));
        assert_eq!(world.shadow_build(LIVE).rebuild().await.unwrap(), world.head());
        assert_eq!(world.tables(LIVE).await, right);
        assert_eq!(world.shadow_build(LIVE).check().await.unwrap().different, 0);
        assert_eq!(schemas(&world).await, [LIVE]);
    }
}

#[tokio::test]
async fn more_differences_than_are_named_are_counted() {
    let world = built(a_bit_of_all(30)).await;
    write(&world, "update read_live.notes set version = 0").await;
    let report = world.shadow_build(LIVE).check().await.unwrap();
    assert_eq!((report.different, report.first.len()), (30, 10));
    let column = What::Column { name: "version".to_owned(), is: json!(0), should_be: json!(3) };
    assert_eq!(report.first[0].what, column);
}

#[tokio::test]
async fn a_skipped_event_is_skipped_here_too() {
    let mut world = World::new().await;
    world.append(vec![note_created(1, 10, "Dreams"), note_retitled(1, "Plans")]).await;
    write(&world, "insert into es.skip (position, why, by) values (2, 'a test', 'ada')").await;
    world.engine(LIVE).await.catch_up().await.unwrap();
    assert_eq!(world.shadow_build(LIVE).check().await.unwrap().different, 0);
    world.shadow_build(LIVE).rebuild().await.unwrap();
    assert_eq!(world.tables(LIVE).await["notes"][0]["title"], "Dreams");
}

#[tokio::test]
async fn a_check_without_tables_says_so() {
    let world = World::new().await;
    assert!(matches!(world.shadow_build(LIVE).check().await, Err(ShadowBuildError::Missing)));
}

#[tokio::test]
async fn what_a_killed_check_left_is_cleaned_by_the_next() {
    let world = built(a_bit_of_all(3)).await;
    let mut stuck = world.owner.begin().await.unwrap();
    sqlx::query("select from read_live.checkpoint for update").execute(&mut *stuck).await.unwrap();
    let shadow_build = world.shadow_build(LIVE);
    let task = tokio::spawn(async move { shadow_build.check().await });
    world.until_waiting().await;
    task.abort();
    assert!(task.await.is_err_and(|error| error.is_cancelled()));
    stuck.rollback().await.unwrap();
    assert!(schemas(&world).await.contains(&"read_live_check".to_owned()));
    until(async || !matches!(world.shadow_build(LIVE).check().await, Err(ShadowBuildError::Busy))).await;
    assert_eq!(schemas(&world).await, [LIVE]);
}

#[tokio::test]
async fn a_rebuild_that_was_killed_goes_on_and_a_second_one_says_that_there_is_a_first() {
    let mut world = built(vec![note_created(1, 10, "Dreams")]).await;
    let all = 2 * BATCH;
    world.append((0..all).map(|n| note_retitled(1, &format!("Title {n}"))).collect()).await;
    world.engine(LIVE).await.catch_up().await.unwrap();
    let shadow_build = world.shadow_build(LIVE);
    // It stops at the gate after its first batch: the live row that it wants to lock is held.
    read_schema::ensure(&world.pool("read_live_new"), "read_live_new").await.unwrap();
    let mut half = world.engine("read_live_new").await;
    half.catch_up_to(i64::try_from(BATCH).unwrap()).await.unwrap();
    let mut gate = world.owner.begin().await.unwrap();
    sqlx::query("select from read_live.checkpoint for update").execute(&mut *gate).await.unwrap();
    let first = tokio::spawn(async move { shadow_build.rebuild().await });
    world.until_waiting().await;
    assert!(matches!(world.shadow_build(LIVE).rebuild().await, Err(ShadowBuildError::Busy)));
    assert!(matches!(world.shadow_build(LIVE).check().await, Err(ShadowBuildError::Busy)));
    first.abort();
    assert!(first.await.is_err_and(|error| error.is_cancelled()));
    gate.rollback().await.unwrap();
    // A mark that only tables which are kept have.
    let mark = id(77);
    write(
        &world,
        &format!(
            "insert into read_live_new.members values ('note', '{mark}', '{mark}', 1, 1, null, 'a', now())"
        ),
    )
    .await;
    until(async || !matches!(world.shadow_build(LIVE).rebuild().await, Err(ShadowBuildError::Busy))).await;
    let report = world.shadow_build(LIVE).check().await.unwrap();
    assert_eq!((report.position, report.different, &report.first[0].what), (world.head(), 1, &What::TooMany));
}

#[tokio::test]
async fn a_stopped_rebuild_of_a_history_that_parted_begins_again() {
    let mut world = built(a_bit_of_all(3)).await;
    world.engine("read_live_new").await.catch_up().await.unwrap();
    let agreed = world.head() - 4;
    world.lose_after(agreed).await;
    world.begin_epoch(agreed).await;
    world.append((0..9).map(|_| note_retitled(1_000, "After the restore")).collect()).await;
    world.shadow_build(LIVE).rebuild().await.unwrap();
    assert_eq!(world.tables(LIVE).await, world.expected().await);
}

#[tokio::test]
async fn an_event_skipped_since_a_rebuild_was_stopped_is_not_in_its_tables() {
    let mut world = World::new().await;
    world.append(vec![note_created(1, 10, "Dreams"), note_retitled(1, "Plans")]).await;
    world.engine("read_live_new").await.catch_up().await.unwrap();
    write(&world, "insert into es.skip (position, why, by) values (2, 'a test', 'ada')").await;
    world.shadow_build(LIVE).rebuild().await.unwrap();
    assert_eq!(world.tables(LIVE).await["notes"][0]["title"], "Dreams");
}

/// Reads for ever with a prepared statement over three tables; every answer is that of one position.
async fn reader(pool: PgPool, stop: Arc<AtomicBool>, reads: Arc<AtomicU64>) {
    let mut last = 0;
    while !stop.load(Ordering::Relaxed) {
        let (position, title, events, version): (i64, String, i64, i64) = sqlx::query_as(
            "select c.position, n.title, (select max(f.position) from feed f where f.scope = 'everything:'), n.version
               from checkpoint c left join notes n on n.id = $1",
        )
        .bind(id(1))
        .fetch_one(&pool)
        .await
        .expect("no read fails");
        assert_eq!(
            (position.to_string(), position, position),
            (title, events, version),
            "parts of two positions"
        );
        assert!(position >= last, "{position} after {last}");
        last = position;
        reads.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_and_the_projector_go_on_while_tables_are_swapped() {
    const READERS: u32 = 20;
    let mut world = World::new().await;
    world.append(vec![note_created(1, 10, "1")]).await;
    let schema = read_schema::name();
    let mut running = world.start(None);
    running.wait(|status| status.position == 1).await;
    let (stop, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let url = world.url();
    let readers: Vec<_> = (0..READERS)
        .map(|_| {
            let pool = pool(url, DatabaseRole::Query, Some(schema), 1).unwrap();
            tokio::spawn(reader(pool, Arc::clone(&stop), Arc::clone(&reads)))
        })
        .collect();
    for _ in 0..5 {
        let shadow_build = world.shadow_build(schema);
        let rebuild = tokio::spawn(async move { shadow_build.rebuild().await });
        while !rebuild.is_finished() {
            let next = world.head() + 1;
            world.append(vec![note_retitled(1, &next.to_string())]).await;
        }
        rebuild.await.unwrap().unwrap();
        let head = world.head();
        running.wait(|status| status.position == head).await;
    }
    let so_far = reads.load(Ordering::Relaxed);
    until(async || reads.load(Ordering::Relaxed) >= so_far + u64::from(READERS)).await;
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    assert_eq!(world.shadow_build(schema).check().await.unwrap().different, 0);
    assert_eq!(world.tables(schema).await, world.expected().await);
    running.stop().await;
}

#[tokio::test]
async fn a_schema_that_nobody_used_for_a_day_is_dropped_and_no_other() {
    let world = World::new().await;
    for schema in ["read_yesterday", "read_today", "read_ours"] {
        read_schema::ensure(&world.pool(schema), schema).await.unwrap();
    }
    // Ours is used from the moment that we lead.
    write(
        &world,
        "update es.read_schema set last_used = last_used - interval '1 day 1 minute' where name <> 'read_today'",
    )
    .await;
    // Somebody reads it still, and is not hurried.
    let mut slow = world.owner.begin().await.unwrap();
    sqlx::query("select from read_yesterday.notes").execute(&mut *slow).await.unwrap();
    let running = world.start_in("read_ours", None);
    until(async || !schemas(&world).await.contains(&"read_yesterday".to_owned())).await;
    sqlx::query("select from pg_class").execute(&mut *slow).await.unwrap();
    slow.rollback().await.unwrap();
    until(async || schemas(&world).await == ["read_ours", "read_today"]).await;
    running.stop().await;
}
