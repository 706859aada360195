//! The whole projector: leading, following, catching up, with NATS and without.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod world;

use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::Context;
use async_nats::jetstream::message::PublishMessage;
use futures::StreamExt;
use projector::Status;
use serde_json::json;
use servers::testing::nats;
use shared::log::epoch::{self, EpochId};
use shared::log::event::Recorded;
use shared::log::stored_event::{Payload, StoredEvent};
use shared::process::jetstream::{self, Notice, Retention};
use shared::process::read_schema;
use tokio::time::timeout;
use world::{World, a_bit_of_all, fact, id, note_created, note_retitled, until};

const PATIENCE: Duration = Duration::from_secs(5);

async fn stream(world: &World, client: &Client) -> (Context, EpochId) {
    let epoch = epoch::current(&world.owner).await.unwrap().unwrap().epoch;
    let context = jetstream::context(client, PATIENCE);
    context.create_stream(jetstream::stream_config(&epoch, 1, &Retention::default())).await.unwrap();
    (context, epoch)
}

async fn publish(context: &Context, epoch: &EpochId, event: &StoredEvent) {
    let Recorded { aggregate, event_type, .. } = &event.recorded;
    let subject = jetstream::subject(epoch, &aggregate.kind, event_type);
    context.send_publish(subject, jetstream::message(event)).await.unwrap().await.unwrap();
}

#[tokio::test]
async fn without_nats_the_log_is_followed() {
    let mut world = World::new().await;
    world.append(a_bit_of_all(3)).await;
    let mut running = world.start(None);
    let head = world.head();
    assert!(running.wait(|status| status.is_ready() && status.position == head).await.leading);
    world.append(vec![note_created(1, 10, "Dreams")]).await;
    let head = world.head();
    running.wait(|status| status.position == head).await;
    assert_eq!(world.tables(read_schema::name()).await, world.expected().await);
    running.stop().await;
}

#[tokio::test]
async fn a_standby_watches_and_takes_over() {
    let mut world = World::new().await;
    let mut first = world.start(None);
    first.wait(|status| status.leading).await;
    let mut second = world.start(None);
    world.append(a_bit_of_all(3)).await;
    let head = world.head();
    assert!(!second.wait(|status| status.is_ready() && status.position == head).await.leading);
    first.stop().await;
    world.append(vec![note_created(1, 10, "Dreams")]).await;
    assert!(second.wait(|status| status.position == head + 1).await.leading);
    assert_eq!(world.tables(read_schema::name()).await, world.expected().await);
    second.stop().await;
}

#[tokio::test]
async fn an_event_of_the_stream_is_folded_and_the_watermark_told() {
    let mut world = World::new().await;
    let nats = nats().await.unwrap();
    let client = async_nats::connect(nats.url()).await.unwrap();
    let (context, epoch) = stream(&world, &client).await;
    world.append(a_bit_of_all(1)).await;
    let head = world.head();
    // Only the stream will have this one: were it to come from the log, it would not come.
    world.append(vec![note_retitled(1_000, "Carried")]).await;
    let event = world.log().await.pop().unwrap();
    world.lose_after(head).await;
    for event in world.log().await {
        publish(&context, &epoch, &event).await;
    }
    let mut marks = client.subscribe(jetstream::WATERMARK).await.unwrap();
    let mut running = world.start(Some(client.clone()));
    running.wait(|status| status.is_ready() && status.position == head).await;
    publish(&context, &epoch, &event).await;
    let told = async {
        while let Some(mark) = marks.next().await {
            if Notice::from_bytes(&mark.payload) == Some(Notice { epoch: epoch.clone(), position: head + 1 })
            {
                return;
            }
        }
    };
    timeout(Duration::from_mins(2), told).await.expect("the event of the stream is folded");

    // And what the log does not have is taken back.
    running.wait(|status| status.is_ready() && status.position == head).await;
    assert_eq!(world.tables(read_schema::name()).await, world.expected().await);
    running.stop().await;
}

#[tokio::test]
async fn a_stream_whose_sequences_are_not_positions_is_not_believed() {
    let mut world = World::new().await;
    let nats = nats().await.unwrap();
    let client = async_nats::connect(nats.url()).await.unwrap();
    let (context, epoch) = stream(&world, &client).await;
    let mut running = world.start(Some(client.clone()));
    running.wait(Status::is_ready).await;
    world.append(vec![note_created(1, 10, "Dreams"), note_retitled(1, "Plans")]).await;
    let log = world.log().await;
    // The second event's content at the first event's place, under its own position and under the first one's.
    let mac = hex::encode(log[1].mac);
    let moved =
        PublishMessage::build().payload(jetstream::payload(&log[1]).into()).header(jetstream::MAC, mac);
    let subject = jetstream::subject(&epoch, "notes", "NoteRetitled");
    context.send_publish(subject.clone(), moved).await.unwrap().await.unwrap();
    context.publish(subject, "no event".into()).await.unwrap().await.unwrap();
    running.wait(|status| status.position == 2).await;
    assert_eq!(world.tables(read_schema::name()).await, world.expected().await);
    running.stop().await;
}

#[tokio::test]
async fn a_nats_that_comes_back_empty_is_followed_again() {
    let mut world = World::new().await;
    let mut nats = nats().await.unwrap();
    let client = jetstream::connect(&nats.url(), "test").await.unwrap();
    stream(&world, &client).await;
    world.append(a_bit_of_all(1)).await;
    let mut running = world.start(Some(client.clone()));
    let head = world.head();
    running.wait(|status| status.position == head).await;
    nats.wipe().await.unwrap();
    world.append(vec![note_retitled(1_000, "Meanwhile")]).await;
    running.wait(|status| status.position == head + 1).await;
    assert_eq!(world.tables(read_schema::name()).await, world.expected().await);
    running.stop().await;
}

#[tokio::test]
async fn an_event_of_a_newer_release_is_left_to_it() {
    let mut world = World::new().await;
    world.append(vec![note_created(1, 10, "Dreams")]).await;
    let mut old = world.start(None);
    old.wait(|status| status.leading && status.position == 1).await;
    world.append(vec![note_retitled(1, "Plans"), fact("note", 1, "NoteSung", json!({}))]).await;
    world.append(vec![note_retitled(1, "Songs")]).await;
    let stopped = old.wait(|status| status.fault.is_some() && !status.leading).await;
    let fault = stopped.fault.clone().unwrap();
    assert_eq!((stopped.position, fault.position, stopped.is_ready()), (2, 3, false));
    assert_eq!(fault.why, "the event at position 3: this release does not know events of type NoteSung");

    // The lead is free, and a newer release folds what it knows.
    until(async || world.lead_is_free().await).await;
    let mut newer = world.engine(read_schema::name()).await;
    let mut known = world.log().await.split_off(2);
    known[0] = as_known(&world, known[0].recorded.clone()).await;
    newer.apply(known).await.unwrap();
    let passed = old.wait(|status| status.position == 4).await;
    assert!(passed.fault.is_none() && passed.is_ready());
    assert_eq!(world.tables(read_schema::name()).await["notes"][0]["title"], "Songs");
    old.stop().await;
}

/// As a release sees it that knows what a song is.
async fn as_known(world: &World, song: Recorded) -> StoredEvent {
    assert_eq!(song.event_type, "NoteSung");
    let known = Recorded { event_type: "NoteRetitled".to_owned(), ..song };
    world.genuine(known, Payload::clear(&json!({"title": "Sung"}))).await
}

#[tokio::test]
async fn a_version_of_a_newer_release_is_left_to_it_until_it_is_skipped() {
    let mut world = World::new().await;
    world.append(vec![note_created(1, 10, "Dreams"), note_retitled(1, "Plans")]).await;
    world.put_version(2, "2.0").await;
    world.append(vec![note_retitled(1, "Songs")]).await;
    let mut running = world.start(None);
    let stopped = running.wait(|status| status.fault.is_some() && !status.leading).await;
    let why =
        "the event at position 2: this release does not know version 2.0 of events of type NoteRetitled";
    assert_eq!((stopped.position, stopped.fault.unwrap().why.as_str()), (1, why));
    sqlx::query("insert into es.skip (position, why, by) values (2, 'nobody knows it', 'ada')")
        .execute(&world.owner)
        .await
        .unwrap();
    assert!(running.wait(|status| status.position == 3).await.fault.is_none());
    assert_eq!(world.tables(read_schema::name()).await["notes"][0]["title"], "Songs");
    running.stop().await;
}

#[tokio::test]
async fn of_a_type_with_several_versions_only_the_next_is_left_to_a_newer_release() {
    let mut world = World::new().await;
    let described = |text| fact("notebook", 10, "NotebookDescribed", json!({ "description": text }));
    world
        .append(vec![
            fact("notebook", 10, "NotebookCreated", json!({"owner": id(1), "name": "Lab"})),
            described(Some("")),
            described(Some("What we tried")),
            described(None),
            described(Some("What only a newer release reads")),
        ])
        .await;
    world.put_version(4, "2.0").await;
    world.put_version(5, "3.0").await;
    let mut running = world.start(None);
    let stopped = running.wait(|status| status.fault.is_some() && !status.leading).await;
    let why =
        "the event at position 5: this release does not know version 3.0 of events of type NotebookDescribed";
    assert_eq!((stopped.position, stopped.fault.unwrap().why.as_str()), (4, why));
    let row = &world.tables(read_schema::name()).await["notebooks"][0];
    assert_eq!((&row["description"], &row["version"]), (&json!(""), &json!(4)));
    running.stop().await;
}

#[tokio::test]
async fn two_releases_lead_at_once_each_its_own_tables() {
    let mut world = World::new().await;
    world.append(a_bit_of_all(1)).await;
    let (mut old, mut new) = (world.start_in("read_old", None), world.start_in("read_new", None));
    for _ in 0..2 {
        let head = world.head();
        for release in [&mut old, &mut new] {
            release.wait(|status| status.leading && status.is_ready() && status.position == head).await;
        }
        world.append(vec![note_created(1, 10, "Dreams")]).await;
    }
    old.stop().await;
    new.stop().await;
}
