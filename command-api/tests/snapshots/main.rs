//! Snapshots of long aggregates: they change nothing but the time that loading takes.

mod edits;
mod said;
mod world;

use command_api::app::Decide;
use command_api::notes::{Note, NoteCommand};
use futures::future::join_all;
use kit::master;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use world::{CANARY, World, retitle};

#[tokio::test]
async fn one_is_written_when_it_is_due_and_holds_nothing_in_clear() {
    let world = World::start().await;
    let app = world.app(200);
    let note = world.note(&app, 199).await;
    app.snapshots.settled().await;
    assert_eq!(world.row(&note).await, None);
    world.change(&app, &note, vec![retitle(200)]).await;
    app.snapshots.settled().await;
    let row = world.row(&note).await.expect("it is due");
    assert_eq!((row.sequence, row.snapshot_version), (200, Note::SNAPSHOT_VERSION));
    let dump =
        "select coalesce(string_agg(encode(encrypted, 'escape') || s::text, ''), '') from es.snapshot s";
    let dump: String = sqlx::query_scalar(dump).fetch_one(&world.owner).await.expect("text");
    assert!(!dump.is_empty() && !dump.contains(CANARY) && !dump.contains("Live"), "{dump}");

    world.change(&app, &note, (201..=399).map(retitle).collect()).await;
    app.snapshots.settled().await;
    assert_eq!(world.row(&note).await, Some(row), "199 events later there is no other");
    let loaded = world.agrees(&world.app(200), &note).await;
    assert_eq!((loaded.sequence, loaded.snapshot), (399, 200), "it was of use");
}

#[tokio::test]
async fn a_long_aggregate_without_one_gets_one_when_it_is_loaded() {
    let world = World::start().await;
    let note = world.note(&world.app(1_000), 250).await;
    assert_eq!(world.row(&note).await, None);
    assert_eq!(world.agrees(&world.app(200), &note).await.sequence, 250);
    assert_eq!(world.row(&note).await.map(|row| row.sequence), Some(250));
}

/// What may befall a snapshot, as the owner of the database does it.
const DAMAGES: &[(&str, &[&str])] = &[
    (
        "bytes changed",
        &[
            "update es.snapshot set encrypted = set_byte(encrypted, 40, get_byte(encrypted, 40) # 1) where aggregate_id = $1",
        ],
    ),
    ("bytes lost", &["update es.snapshot set encrypted = '\\x07' where aggregate_id = $1"]),
    (
        "another snapshot_version",
        &["update es.snapshot set snapshot_version = snapshot_version + 1 where aggregate_id = $1"],
    ),
    ("another event's", &["update es.snapshot set sequence = sequence - 1 where aggregate_id = $1"]),
    ("beyond the end", &["update es.snapshot set sequence = 1000 where aggregate_id = $1"]),
    (
        "another aggregate's",
        &[
            "update es.snapshot s set encrypted = o.encrypted from es.snapshot o where s.aggregate_id = $1 and o.aggregate_id <> $1",
        ],
    ),
    (
        "lost events",
        &[
            "alter table es.event disable trigger event_stays",
            "delete from es.event where aggregate_id = $1 and sequence > 7",
            "alter table es.event enable always trigger event_stays",
        ],
    ),
];

#[tokio::test]
async fn a_damaged_one_is_passed_over_and_replaced() {
    said::listen();
    let world = World::start().await;
    let app = world.app(10);
    world.note(&app, 10).await;
    for (damage, statements) in DAMAGES {
        let note = world.note(&app, 10).await;
        app.snapshots.settled().await;
        world.as_owner(statements, &note).await;
        let damaged = world.row(&note).await.expect(damage);
        assert_eq!(
            world.agrees(&world.app(10), &note).await.snapshot,
            world.row(&note).await.map_or(0, |row| row.sequence)
        );
        assert_ne!(world.row(&note).await, Some(damaged), "{damage}: it is replaced");
        let again = world.agrees(&world.app(10), &note).await;
        assert_eq!(again.snapshot, again.sequence, "{damage}: the new one is of use");
        assert_eq!(said::about(&note), 1, "{damage}: it is said once");
        world.change(&world.app(10), &note, vec![retitle(77)]).await;
    }
}

#[tokio::test]
async fn one_of_another_history_is_passed_over() {
    said::listen();
    let world = World::start().await;
    let app = world.app(10);
    let note = world.note(&app, 10).await;
    app.snapshots.settled().await;
    // A restore has undone the last events, others have come since, and the snapshot is that of before.
    let old = world.row(&note).await.expect("it is due");
    world.as_owner(DAMAGES[6].1, &note).await;
    world.as_owner(&["delete from es.snapshot where aggregate_id = $1"], &note).await;
    world.change(&world.app(1_000), &note, (100..110).map(retitle).collect()).await;
    sqlx::query("insert into es.snapshot values ('note', $1, $2, $3, $4)")
        .bind(&note)
        .bind(old.sequence)
        .bind(old.snapshot_version)
        .bind(&old.encrypted)
        .execute(&world.owner)
        .await
        .expect("the owner may");
    assert_eq!(world.agrees(&world.app(1_000), &note).await.sequence, 17);
    assert_eq!(world.row(&note).await.map(|row| row.sequence), Some(17), "it is replaced");
    assert_eq!(said::about(&note), 1);
}

#[tokio::test]
async fn one_that_is_not_of_its_shape_is_passed_over() {
    let world = World::start().await;
    let app = world.app(10);
    let note = world.note(&app, 10).await;
    app.snapshots.settled().await;
    let key_owner = format!("note:{note}");
    let wrapped: Vec<u8> = sqlx::query_scalar("select wrapped from es.key where key_owner = $1")
        .bind(&key_owner)
        .fetch_one(&world.owner)
        .await
        .expect("a key");
    let nonce: String = sqlx::query_scalar(
        "select encode(substr(payload, 2, 24), 'hex') from es.event where aggregate_id = $1 and sequence = 10",
    )
    .bind(&note)
    .fetch_one(&world.owner)
    .await
    .expect("an event");
    let key = master().unwrap(&key_owner, &wrapped).expect("it opens");
    for nonsense in ["{", r#"{"Live": {}}"#] {
        let about = format!("snapshot/note/{note}/10/{}/{nonce}", Note::SNAPSHOT_VERSION);
        sqlx::query("update es.snapshot set encrypted = $2, sequence = 10 where aggregate_id = $1")
            .bind(&note)
            .bind(key.encrypt_bytes(&about, nonsense.as_bytes()))
            .execute(&world.owner)
            .await
            .expect("the owner may");
        world.agrees(&world.app(10), &note).await;
        assert_eq!(world.agrees(&world.app(10), &note).await.snapshot, 10, "it was replaced by a good one");
    }
}

#[tokio::test]
async fn a_stream_that_lacks_an_event_is_not_loaded() {
    let world = World::start().await;
    for (lost, snapshots) in [(1, 1_000), (5, 1_000), (11, 10)] {
        let app = world.app(snapshots);
        let note = world.note(&app, 10).await;
        app.snapshots.settled().await;
        world.change(&app, &note, vec![retitle(11), retitle(12)]).await;
        let delete = format!("delete from es.event where aggregate_id = $1 and sequence = {lost}");
        let statements = [
            "alter table es.event disable trigger event_stays",
            &delete,
            "alter table es.event enable always trigger event_stays",
        ];
        world.as_owner(&statements, &note).await;
        let app = world.app(1_000);
        let loads = [app.load::<Note>(&note).await, app.load_whole::<Note>(&note).await];
        for loaded in loads {
            assert_eq!(loaded.expect_err("one is missing").status, 500, "without event {lost}");
        }
    }
}

#[tokio::test]
async fn what_is_erased_does_not_come_back_from_one() {
    let world = World::start().await;
    let app = world.app(10);
    let note = world.note(&app, 12).await;
    app.snapshots.settled().await;
    assert!(world.row(&note).await.is_some());
    world
        .as_owner(
            &["update es.key set wrapped = null, destroyed_at = now() where key_owner = 'note:' || $1"],
            &note,
        )
        .await;
    let app = world.app(10);
    let loaded = world.agrees(&app, &note).await;
    assert_eq!((loaded.erased, loaded.sequence, loaded.state), (true, 12, Note::default()));
    assert_eq!(world.row(&note).await, None, "nobody can ever read it");
    let refused = app.execute::<Note>(&world.command_meta(), &note, vec![retitle(1)], &()).await;
    assert_eq!(refused.err().map(|problem| problem.status), Some(404));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_one_never_takes_the_place_of_a_newer() {
    let world = World::start().await;
    world
        .as_owner(
            &[
                "create function es.never_back() returns trigger language plpgsql as
                   $$ begin raise exception 'back from % to %', old.sequence, new.sequence; end $$",
                "create trigger never_back before update on es.snapshot for each row
                   when (new.sequence <= old.sequence) execute function es.never_back()",
                "create table es.seen (sequence bigint)",
                "create function es.note_down() returns trigger language plpgsql security definer as
                   $$ begin insert into es.seen values (new.sequence); return new; end $$",
                "create trigger note_down after insert or update on es.snapshot for each row
                   execute function es.note_down()",
            ],
            "",
        )
        .await;
    let note = world.note(&world.app(1_000), 1).await;
    said::listen();
    join_all((0..4).map(async |writer| {
        let app = world.app(1);
        for number in 0..50 {
            let commands = vec![retitle(writer * 1_000 + number)];
            // Those who lost to the others too often are told to ask again.
            while app.execute::<Note>(&world.command_meta(), &note, commands.clone(), &()).await.is_err() {}
        }
        app.snapshots.settled().await;
    }))
    .await;
    let written: i64 =
        sqlx::query_scalar("select count(*) from es.seen").fetch_one(&world.owner).await.expect("n");
    assert!(written > 10, "{written} were written");
    assert_eq!(said::failures(), 0, "the trigger never fired");
    assert_eq!(world.agrees(&world.app(1_000), &note).await.sequence, 201);
}

/// Titles, or moves to the other notebook; whether to wait for the snapshot; whether another instance is asked.
type Batch = (Vec<Option<usize>>, bool, bool);

#[test]
fn loading_with_and_without_is_the_same_at_every_point_of_random_histories() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let world = runtime.block_on(World::start());
    let other = runtime.block_on(world.another_notebook());
    let step = prop_oneof![(0usize..3).prop_map(Some), Just(None)];
    let batch = (proptest::collection::vec(step, 1..5), any::<bool>(), any::<bool>());
    let history = (1i64..8, proptest::collection::vec(batch, 1..12));
    let mut runner = TestRunner::new(Config { cases: 40, failure_persistence: None, ..Config::default() });
    let law = |(every, batches): (i64, Vec<Batch>)| {
        runtime.block_on(async {
            let app = world.app(every);
            let note = world.note(&app, 1).await;
            let mut there = false;
            for (steps, settles, forgets) in batches {
                let commands = steps.into_iter().map(|step| {
                    step.map_or_else(
                        || {
                            there = !there;
                            let notebook = if there { &other } else { &world.notebook };
                            NoteCommand::Move { notebook_id: notebook.parse().expect("an id") }
                        },
                        retitle,
                    )
                });
                let commands = commands.collect();
                let used = if forgets { &world.app(every) } else { &app };
                world.change(used, &note, commands).await;
                if settles {
                    used.snapshots.settled().await;
                }
                world.agrees(&world.app(every), &note).await;
            }
        });
        Ok(())
    };
    runner.run(&history, law).expect("the law holds");
}
