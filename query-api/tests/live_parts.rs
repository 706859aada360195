//! Live news of what notes are made of: what happened to a block or a task is seen with the note it happened in.

#[expect(dead_code, reason = "it is for the gateway's other tests too")]
mod live_world;

use live_world::{ADA, BOB, Client, LAB, NOTE, SAFE, World, moved, note, notebook, small};
use query_api::live::Settings;
use serde_json::{Value, json};
use shared::domain::id::{BlockId, NoteId, NotebookId, TaskId, UserId};
use uuid::Uuid;

const DIARY: NoteId = NoteId(Uuid::from_u128(0xd1a7));
const BLOCK: BlockId = BlockId(Uuid::from_u128(0xb10c));
const TASK: TaskId = TaskId(Uuid::from_u128(0x7a5c));

fn text() -> Value {
    json!({"type": "text", "content": {"text": "Milk", "spans": []}})
}

/// The scopes of an event of a part of a note.
fn part_of(note: NoteId, notebook: NotebookId) -> Value {
    json!([format!("note:{note}"), format!("notebook:{notebook}")])
}

/// Both ends of a move, the new one first.
fn parts_of(from: (NoteId, NotebookId), to: (NoteId, NotebookId)) -> Value {
    let ends = [to, from].map(|(note, notebook)| [format!("note:{note}"), format!("notebook:{notebook}")]);
    json!(ends.concat())
}

fn block(id: BlockId, note: NoteId, notebook: NotebookId) -> Value {
    json!({"aggregate": "block", "id": id, "type": "BlockAdded",
           "data": {"note_id": note, "block": text(), "rank": "a0"}, "scopes": part_of(note, notebook)})
}

fn edited(id: BlockId, note: NoteId, notebook: NotebookId) -> Value {
    json!({"aggregate": "block", "id": id, "type": "BlockEdited", "data": {"note_id": note, "block": text()},
           "scopes": part_of(note, notebook)})
}

/// A block goes from a note to another one.
fn carried(id: BlockId, from: (NoteId, NotebookId), to: (NoteId, NotebookId)) -> Value {
    let whole = json!({"block": text(), "added_by": ADA, "added_at": "2026-01-31T12:00:00Z"});
    json!({"aggregate": "block", "id": id, "type": "BlockMoved",
           "data": {"from": from.0, "to": to.0, "rank": "a0", "whole": whole}, "scopes": parts_of(from, to)})
}

/// A task of a note.
fn task(id: TaskId, note: NoteId, notebook: NotebookId) -> Value {
    json!({"aggregate": "task", "id": id, "type": "TaskAdded",
           "data": {"note_id": note, "owner": ADA, "title": "Call", "completed": false},
           "scopes": part_of(note, notebook)})
}

fn completed(id: TaskId, note: NoteId, notebook: NotebookId) -> Value {
    json!({"aggregate": "task", "id": id, "type": "TaskCompleted", "data": {}, "scopes": part_of(note, notebook)})
}

/// A task goes from a note to another one.
fn carried_task(id: TaskId, from: (NoteId, NotebookId), to: (NoteId, NotebookId)) -> Value {
    let whole = json!({"owner": ADA, "title": "Call", "completed_at": null, "added_by": ADA,
                       "added_at": "2026-01-31T12:00:00Z"});
    json!({"aggregate": "task", "id": id, "type": "TaskMoved",
           "data": {"from": from.0, "to": to.0, "whole": whole}, "scopes": parts_of(from, to)})
}

/// A person's own task.
fn own_task(id: TaskId, owner: UserId) -> Value {
    json!({"aggregate": "task", "id": id, "type": "TaskAdded",
           "data": {"note_id": null, "owner": owner, "title": "Call", "completed": false},
           "scopes": [format!("user:{owner}")]})
}

fn own_completed(id: TaskId, owner: UserId) -> Value {
    json!({"aggregate": "task", "id": id, "type": "TaskCompleted", "data": {}, "scopes": [format!("user:{owner}")]})
}

/// Bob has the lab with a note, Ada the safe with a diary.
async fn world(settings: Settings) -> World {
    let world = World::start(settings).await;
    let head =
        world.append(&[notebook(BOB, LAB), notebook(ADA, SAFE), note(NOTE, LAB), note(DIARY, SAFE)]).await;
    world.reaches(head).await;
    world
}

/// A live socket with one topic.
async fn listening(world: &World, user: UserId, topic: String) -> Client {
    let mut client = world.hello(user, json!({"topics": [topic]})).await;
    assert_eq!(client.next().await["type"], "welcome");
    assert_eq!(client.next().await["type"], "live");
    client
}

/// The positions of what a person receives, from the beginning, of these topics.
async fn past(world: &World, user: UserId, topics: Value) -> Vec<i64> {
    let resume = json!({"epoch": world.epoch, "after": 0});
    let mut client = world.hello(user, json!({"topics": topics, "resume": resume})).await;
    assert_eq!(client.next().await["type"], "welcome");
    let (positions, live) = client.events().await;
    assert_eq!(live["type"], "live");
    positions
}

#[tokio::test]
async fn a_blocks_events_reach_the_members_by_every_topic_and_nobody_else() {
    let mut world = world(Settings::default()).await;
    let mut members = vec![
        world.live(BOB).await,
        listening(&world, BOB, format!("note:{NOTE}")).await,
        listening(&world, BOB, format!("notebook:{LAB}")).await,
    ];
    let mut elsewhere = listening(&world, BOB, format!("user:{BOB}")).await;
    let mut stranger = world.live(ADA).await;
    let refused = world.hello(ADA, json!({"topics": [format!("note:{NOTE}")]})).await.bye().await;
    assert_eq!(refused, "topic-unseen");
    let events = [
        block(BLOCK, NOTE, LAB),
        edited(BLOCK, NOTE, LAB),
        task(TASK, NOTE, LAB),
        completed(TASK, NOTE, LAB),
    ];
    // In one batch, and each on its own.
    let (first, second) = events.split_at(2);
    world.append(first).await;
    for event in second {
        world.append(std::slice::from_ref(event)).await;
    }
    world.reaches(8).await;
    for member in &mut members {
        assert_eq!(member.events_until_pong().await, [5, 6, 7, 8]);
    }
    assert!(elsewhere.events_until_pong().await.is_empty());
    assert!(stranger.events_until_pong().await.is_empty());
    // From the ring, and from the database by processes that were not there.
    for _ in 0..2 {
        assert_eq!(world.resume(BOB, 0).await.events().await.0, [1, 3, 5, 6, 7, 8]);
        assert_eq!(past(&world, BOB, json!([format!("note:{NOTE}")])).await, [3, 5, 6, 7, 8]);
        assert_eq!(world.resume(ADA, 0).await.events().await.0, [2, 4]);
        world.serve(small(), None).await;
        world.reaches(8).await;
    }
}

#[tokio::test]
async fn a_part_that_went_to_another_note_leaves_its_past_behind_and_says_so() {
    let mut world = world(Settings::default()).await;
    let (lab, safe) = ((NOTE, LAB), (DIARY, SAFE));
    world.append(&[block(BLOCK, NOTE, LAB), edited(BLOCK, NOTE, LAB), task(TASK, NOTE, LAB)]).await;
    world.reaches(7).await;
    let (mut ada, mut bob) = (world.live(ADA).await, world.live(BOB).await);
    let mut of_note = listening(&world, BOB, format!("note:{NOTE}")).await;
    let mut of_diary = listening(&world, ADA, format!("note:{DIARY}")).await;
    world.append(&[carried(BLOCK, lab, safe), carried_task(TASK, lab, safe)]).await;
    world.append(&[edited(BLOCK, DIARY, SAFE), completed(TASK, DIARY, SAFE)]).await;
    world.reaches(11).await;
    for client in [&mut bob, &mut of_note] {
        assert_eq!(client.events_until_pong().await, [8, 9]);
    }
    for client in [&mut ada, &mut of_diary] {
        assert_eq!(client.events_until_pong().await, [8, 9, 10, 11]);
    }
    for _ in 0..2 {
        assert_eq!(world.resume(BOB, 0).await.events().await.0, [1, 3, 5, 6, 7, 8, 9]);
        assert_eq!(past(&world, BOB, json!([format!("note:{NOTE}")])).await, [3, 5, 6, 7, 8, 9]);
        assert_eq!(past(&world, BOB, json!(["*", format!("notebook:{LAB}")])).await, [1, 3, 5, 6, 7, 8, 9]);
        assert_eq!(world.resume(ADA, 0).await.events().await.0, [2, 4, 8, 9, 10, 11]);
        assert_eq!(past(&world, ADA, json!([format!("note:{DIARY}")])).await, [4, 8, 9, 10, 11]);
        world.serve(small(), None).await;
        world.reaches(11).await;
    }
}

#[tokio::test]
async fn that_a_part_came_and_went_on_is_told_where_it_was_for_a_while() {
    let mut world = world(Settings::default()).await;
    let third = NoteId(Uuid::from_u128(0x3d));
    let (lab, safe, next) = ((NOTE, LAB), (DIARY, SAFE), (third, SAFE));
    let mut bob = world.live(BOB).await;
    world.append(&[note(third, SAFE), block(BLOCK, DIARY, SAFE), carried(BLOCK, safe, lab)]).await;
    world.append(&[carried(BLOCK, lab, next), edited(BLOCK, third, SAFE)]).await;
    world.reaches(9).await;
    // Told while it was there, and when it left.
    assert_eq!(bob.events_until_pong().await, [7, 8]);
    for _ in 0..2 {
        assert_eq!(world.resume(BOB, 0).await.events().await.0, [1, 3, 7, 8]);
        assert_eq!(world.resume(ADA, 0).await.events().await.0, [2, 4, 5, 6, 7, 8, 9]);
        world.serve(small(), None).await;
        world.reaches(9).await;
    }
}

#[tokio::test]
async fn a_note_that_moves_takes_its_parts_with_it() {
    let mut world = world(Settings::default()).await;
    world.append(&[block(BLOCK, NOTE, LAB), task(TASK, NOTE, LAB)]).await;
    world.reaches(6).await;
    let (mut ada, mut bob) = (world.live(ADA).await, world.live(BOB).await);
    world.append(&[moved(NOTE, LAB, SAFE), edited(BLOCK, NOTE, SAFE), completed(TASK, NOTE, SAFE)]).await;
    world.reaches(9).await;
    assert_eq!(bob.events_until_pong().await, [7]);
    assert_eq!(ada.events_until_pong().await, [7, 8, 9]);
    for _ in 0..2 {
        assert_eq!(world.resume(BOB, 0).await.events().await.0, [1, 7]);
        assert_eq!(world.resume(ADA, 0).await.events().await.0, [2, 4, 7, 8, 9]);
        world.serve(small(), None).await;
        world.reaches(9).await;
    }
}

#[tokio::test]
async fn a_task_without_a_note_reaches_its_owner_only() {
    let mut world = world(Settings::default()).await;
    let (mut ada, mut bob) = (world.live(ADA).await, world.live(BOB).await);
    let mut own = listening(&world, ADA, format!("user:{ADA}")).await;
    let bobs = TaskId(Uuid::from_u128(0xb7));
    world.append(&[own_task(TASK, ADA), own_task(bobs, BOB), own_completed(TASK, ADA)]).await;
    world.append(&[own_completed(bobs, BOB)]).await;
    world.reaches(8).await;
    for client in [&mut ada, &mut own] {
        assert_eq!(client.events_until_pong().await, [5, 7]);
    }
    assert_eq!(bob.events_until_pong().await, [6, 8]);
    for _ in 0..2 {
        assert_eq!(world.resume(ADA, 0).await.events().await.0, [2, 4, 5, 7]);
        assert_eq!(world.resume(BOB, 0).await.events().await.0, [1, 3, 6, 8]);
        world.serve(small(), None).await;
        world.reaches(8).await;
    }
}

#[tokio::test]
async fn a_note_and_its_blocks_made_at_once_arrive_in_order() {
    let mut world = world(Settings::default()).await;
    let (mut bob, mut ada) = (world.live(BOB).await, world.live(ADA).await);
    let new = NoteId(Uuid::from_u128(0x2e3));
    let mut events = vec![note(new, LAB)];
    events.extend((0..40).map(|nth| block(BlockId(Uuid::from_u128(0xb000 + nth)), new, LAB)));
    let head = world.append(&events).await;
    world.reaches(head).await;
    let all: Vec<i64> = (5..=head).collect();
    assert_eq!(bob.events_until_pong().await, all);
    assert!(ada.events_until_pong().await.is_empty());
    for _ in 0..2 {
        assert_eq!(past(&world, BOB, json!([format!("note:{new}")])).await, all);
        assert_eq!(world.resume(BOB, 4).await.events().await.0, all);
        assert!(world.resume(ADA, 4).await.events().await.0.is_empty());
        world.serve(small(), None).await;
        world.reaches(head).await;
    }
}

#[tokio::test]
async fn what_is_remembered_of_places_may_be_little() {
    let little = Settings { places: 8, ..small() };
    let mut world = world(little.clone()).await;
    let (mut bob, mut ada) = (world.live(BOB).await, world.live(ADA).await);
    let one = |nth: u128| BlockId(Uuid::from_u128(0xb000 + nth));
    let (lab, safe) = ((NOTE, LAB), (DIARY, SAFE));
    for nth in 0..12 {
        world.append(&[block(one(nth), NOTE, LAB), block(one(100 + nth), DIARY, SAFE)]).await;
    }
    // Moved and edited long after they were heard of.
    world.append(&[carried(one(0), lab, safe)]).await;
    world.append(&[edited(one(0), DIARY, SAFE), edited(one(1), NOTE, LAB)]).await;
    let head = 31;
    world.reaches(head).await;
    let added = |from: i64| (from..=28).step_by(2);
    let bobs: Vec<i64> = added(5).chain([29, 31]).collect();
    let adas: Vec<i64> = added(6).chain([29, 30]).collect();
    assert_eq!(heard(&mut bob, 31).await, bobs);
    assert_eq!(heard(&mut ada, 30).await, adas);
    for _ in 0..2 {
        // The first block has gone; what was said of it here stays.
        let expected: Vec<i64> = [1, 3].into_iter().chain(bobs.iter().copied()).collect();
        assert_eq!(world.resume(BOB, 0).await.events().await.0, expected);
        world.serve(little.clone(), None).await;
        world.reaches(head).await;
    }
}

/// The positions of what a slow socket hears up to `last`.
async fn heard(client: &mut Client, last: i64) -> Vec<i64> {
    let mut positions = Vec::new();
    while positions.last().is_none_or(|position| *position < last) {
        if let Ok(position) = client.event_or_live().await {
            positions.push(position);
        }
    }
    positions
}
