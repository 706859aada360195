//! A row whose fold fails is quarantined with its later events; everything else goes on as if nothing had happened.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod world;

use projector::engine::sift::Carried;
use projector::engine::{Engine, Project};
use projector::projections::{
    Blocks, Entry, Feed, FoldError, Members, NoteRow, Notebooks, Notes, Projection, Sessions, Tasks, Users,
    project,
};
use projector::quarantine::Quarantine;
use serde_json::{Value, json};
use shared::domain::notes::NoteEvent;
use shared::log::event::Recorded;
use sqlx::PgConnection;
use uuid::Uuid;
use world::{World, a_bit_of_all, fact, id, note_created, note_retitled};

const LIVE: &str = "read_live";

/// Notes, folded by a release that cannot bear one title.
struct Fragile;

impl Projection for Fragile {
    const VERSION: u32 = Notes::VERSION;
    type Event = NoteEvent;
    type Key = Uuid;
    type Row = NoteRow;

    fn keys(recorded: &Recorded, event: &NoteEvent) -> Result<Vec<Uuid>, FoldError> {
        Notes::keys(recorded, event)
    }

    fn apply(key: &Uuid, row: Option<NoteRow>, recorded: &Recorded, event: &NoteEvent) -> Option<NoteRow> {
        let row = Notes::apply(key, row, recorded, event);
        assert!(row.as_ref().is_none_or(|row| row.title != "Poison"), "a title that nobody bears");
        row
    }
}

async fn project_fragile(
    connection: &mut PgConnection,
    batch: &[Entry],
    quarantine: &mut Quarantine,
) -> sqlx::Result<()> {
    project::<Users>(connection, batch, quarantine).await?;
    project::<Sessions>(connection, batch, quarantine).await?;
    project::<Notebooks>(connection, batch, quarantine).await?;
    project::<Fragile>(connection, batch, quarantine).await?;
    project::<Blocks>(connection, batch, quarantine).await?;
    project::<Tasks>(connection, batch, quarantine).await?;
    Members::project(connection, batch, quarantine).await?;
    Feed::append(connection, batch).await
}

const FRAGILE: Project =
    |connection, batch, quarantine| Box::pin(project_fragile(connection, batch, quarantine));

async fn fragile(world: &World, schema: &str) -> Engine {
    world.engine(schema).await.with(FRAGILE)
}

/// Table, key, position and why of everything that is quarantined.
async fn quarantined(world: &World, schema: &str) -> Vec<(String, String, i64, Option<String>)> {
    let statement =
        format!("select table_name, key, position, why from {schema}.quarantine order by 3, 1, 2");
    sqlx::query_as(&statement).fetch_all(&world.owner).await.unwrap()
}

/// The tables without the notes of these ids.
fn without(mut tables: Value, notes: &[Uuid]) -> Value {
    let of = |row: &Value| notes.iter().any(|note| row["id"] == note.to_string());
    tables["notes"].as_array_mut().unwrap().retain(|row| !of(row));
    tables
}

fn title(tables: &Value, note: u128) -> &Value {
    let rows = tables["notes"].as_array().unwrap();
    rows.iter().find(|row| row["id"] == id(note).to_string()).map_or(&Value::Null, |row| &row["title"])
}

/// A little of everything, and one note whose second of four events is poison.
async fn poisoned(world: &mut World) {
    world.append(vec![note_created(1, 10, "Dreams"), note_created(2, 10, "Other")]).await;
    world.append(vec![note_retitled(1, "Poison"), note_retitled(1, "Plans")]).await;
    world.append(a_bit_of_all(5)).await;
    world.append(vec![fact("note", 1, "NoteMoved", json!({"from": id(10), "to": id(11)}))]).await;
}

#[tokio::test]
async fn a_fold_that_panics_quarantines_its_row_and_no_other() {
    let mut world = World::new().await;
    poisoned(&mut world).await;
    let mut engine = fragile(&world, LIVE).await;
    engine.catch_up().await.unwrap();
    assert_eq!(engine.position(), world.head());
    let tables = world.tables(LIVE).await;
    assert_eq!(without(tables.clone(), &[id(1)]), without(world.expected().await, &[id(1)]));
    assert_eq!(title(&tables, 1), "Dreams");

    let quarantined = quarantined(&world, LIVE).await;
    let why = Some("the fold panicked: a title that nobody bears".to_owned());
    let row = |position, why| ("notes".to_owned(), id(1).to_string(), position, why);
    assert_eq!(quarantined, [row(3, why), row(4, None), row(world.head(), None)]);
}

#[tokio::test]
async fn wherever_batches_are_cut_the_same_is_quarantined() {
    let mut world = World::new().await;
    poisoned(&mut world).await;
    world
        .append(vec![fact("notebook", 10, "NotebookRenamed", json!({})), note_created(3, 10, "Poison")])
        .await;
    world.append(vec![note_retitled(3, "Plans"), note_retitled(2, "Poison")]).await;
    let log = world.log().await;
    let mut seen = Vec::new();
    for size in [1, 2, 3, 5, log.len()] {
        let schema = format!("read_by_{size}");
        for batch in log.chunks(size) {
            // A new engine for each: what is quarantined is known from the tables alone.
            fragile(&world, &schema).await.apply(batch.to_vec()).await.unwrap();
        }
        seen.push((world.tables(&schema).await, quarantined(&world, &schema).await));
    }
    for one in &seen {
        assert_eq!(one, &seen[0]);
    }
    assert_eq!(title(&seen[0].0, 3), &Value::Null);
    assert_eq!(title(&seen[0].0, 2), "Other");
}

#[tokio::test]
async fn a_crash_between_leaves_no_trace_of_what_was_quarantined() {
    let mut world = World::new().await;
    poisoned(&mut world).await;
    world.engine(LIVE).await;
    // The feed is written after the fold of notes has failed.
    let mut gate = world.owner.begin().await.unwrap();
    sqlx::query("lock table read_live.feed in share mode").execute(&mut *gate).await.unwrap();
    let mut dying = fragile(&world, LIVE).await;
    let task = tokio::spawn(async move { dying.catch_up().await });
    world.until_waiting().await;
    task.abort();
    assert!(task.await.is_err_and(|error| error.is_cancelled()));
    gate.rollback().await.unwrap();
    assert_eq!(quarantined(&world, LIVE).await, []);

    fragile(&world, LIVE).await.catch_up().await.unwrap();
    assert_eq!(quarantined(&world, LIVE).await.len(), 3);
    assert_eq!(title(&world.tables(LIVE).await, 1), "Dreams");
}

#[tokio::test]
async fn who_leads_knows_how_many_rows_are_quarantined() {
    let mut world = World::new().await;
    poisoned(&mut world).await;
    fragile(&world, LIVE).await.catch_up().await.unwrap();
    let tools = world.tools(LIVE);
    let status = tools.status.subscribe();
    Engine::resume(tools).await.unwrap();
    assert_eq!(status.borrow().quarantined, 1);
    assert_eq!(status.borrow().fault, None);
}

#[tokio::test]
async fn a_note_that_does_not_open_is_quarantined() {
    let mut world = World::new().await;
    poisoned(&mut world).await;
    world.put_payload(2, 1).await;
    world.engine(LIVE).await.catch_up().await.unwrap();
    let quarantined = quarantined(&world, LIVE).await;
    let why = "the data of the event at position 2 cannot be decrypted with its owner's key".to_owned();
    // Its event may have taken access to it from somebody.
    let grants = ("members".to_owned(), format!("note:{}/*", id(2)), 2, Some(why.clone()));
    assert_eq!(quarantined, [grants, ("notes".to_owned(), id(2).to_string(), 2, Some(why))]);
    let tables = world.tables(LIVE).await;
    assert_eq!((title(&tables, 1), title(&tables, 2)), (&json!("Plans"), &Value::Null));
    // That something happened is in clear.
    assert!(tables["feed"].as_array().unwrap().iter().any(|row| row["position"] == 2));
}

#[tokio::test]
async fn a_broken_copy_in_the_stream_quarantines_nothing() {
    let mut world = World::new().await;
    poisoned(&mut world).await;
    let mut log = world.log().await;
    log[1].payload = log[0].payload.clone();
    log[3].recorded.event_type = "NoteSung".to_owned();
    let mut engine = world.engine(LIVE).await;
    for copies in log.chunks(2) {
        let copies = copies.iter().map(|event| Carried::Event(Box::new(event.clone()))).collect();
        engine.take(copies).await.unwrap();
    }
    assert_eq!(quarantined(&world, LIVE).await, []);
    assert_eq!(world.tables(LIVE).await, world.expected().await);
}

#[tokio::test]
async fn an_event_of_a_notebook_that_may_be_forged_closes_it_for_everybody() {
    let mut world = World::new().await;
    let created = |book, owner: u128| {
        let mut created =
            fact("notebook", book, "NotebookCreated", json!({"owner": id(owner), "name": "Lab"}));
        created.scopes.push(format!("user:{}", id(owner)));
        created
    };
    world.append(vec![created(10, 1), created(11, 2)]).await;
    // As it was recorded, but not readable: its effects, which are in clear, hold.
    world.append(vec![fact("notebook", 10, "NotebookRenamed", json!({"nam": "Laboratory"}))]).await;
    world.append(vec![fact("notebook", 11, "NotebookRenamed", json!({"name": "Laboratory"}))]).await;
    world.put_payload(2, 1).await;
    world.engine(LIVE).await.catch_up().await.unwrap();
    let keys: Vec<_> = quarantined(&world, LIVE).await.into_iter().map(|row| (row.2, row.0, row.1)).collect();
    let row = |position, table: &str, key: String| (position, table.to_owned(), key);
    let expected = [
        row(2, "members", format!("notebook:{}/*", id(11))),
        row(2, "members", format!("notebook:{}/{}", id(11), id(2))),
        row(2, "notebooks", id(11).to_string()),
        row(3, "notebooks", id(10).to_string()),
        row(4, "notebooks", id(11).to_string()),
    ];
    assert_eq!(keys, expected);
}

#[tokio::test]
async fn a_skipped_event_is_left_out_when_the_tables_are_built_anew() {
    let mut world = World::new().await;
    poisoned(&mut world).await;
    fragile(&world, LIVE).await.catch_up().await.unwrap();
    sqlx::query("insert into es.skip (position, why, by) values (3, 'nobody bears it', 'ada')")
        .execute(&world.owner)
        .await
        .unwrap();
    fragile(&world, "read_anew").await.catch_up().await.unwrap();
    assert_eq!(quarantined(&world, "read_anew").await, []);
    assert_eq!(title(&world.tables("read_anew").await, 1), "Plans");
    assert_eq!(world.tables("read_anew").await, world.expected().await);
}
