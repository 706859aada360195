//! Whatever happens to stream and log, the relay ends with a stream that is the log; a new epoch begins exactly
//! when the histories have parted.

use kit::master;
use serde_json::Value;
use shared::log::event_log;
use shared::log::keyring::Keyring;
use shared::process::jetstream;

use crate::world::{World, until};

#[tokio::test]
async fn events_come_in_order_with_their_positions_as_sequences() {
    let world = World::new().await;
    let before = world.epoch().await;
    let relay = world.relay().await;
    world.stream_made().await;
    world.append(3_000).await;
    assert_eq!(world.carried().await, 1);
    let head = world.append(1).await;
    relay.tell(head);
    world.carried().await;
    assert_eq!(world.epoch().await, before);
    let message = world.stream().await.unwrap().get_raw_message(7).await.unwrap();
    let event = event_log::at(&world.owner, 7).await.unwrap().unwrap();
    assert_eq!(jetstream::event(Some(&message.headers), &message.payload).unwrap(), event);
    assert_eq!(message.subject.as_str(), format!("daybook.{}.event.note.NoteRetitled", before.epoch));
    relay.stop().await;
}

#[tokio::test]
async fn an_event_has_its_effects_in_the_stream_too() {
    let world = World::new().await;
    let relay = world.relay().await;
    world.stream_made().await;
    let position = world.append_with_effects().await;
    relay.tell(position);
    world.carried().await;
    let stored = event_log::at(&world.owner, position).await.unwrap().unwrap();
    assert_eq!(stored.recorded.effects.as_ref().and_then(Value::as_array).map(Vec::len), Some(3));
    let stream = world.stream().await.unwrap();
    let message = stream.get_raw_message(u64::try_from(position).unwrap()).await.unwrap();
    assert_eq!(*message.payload, *jetstream::payload(&stored));
    let carried = jetstream::event(Some(&message.headers), &message.payload).unwrap();
    assert_eq!((carried.leaf(), &carried), (stored.leaf(), &stored));
    let keyring = Keyring::new(master(), world.owner.clone());
    keyring.open(vec![carried]).await.expect("it is as it was recorded");
    relay.stop().await;
}

#[tokio::test]
async fn a_log_without_an_epoch_gets_its_first() {
    let world = World::new().await;
    sqlx::query("delete from es.epoch").execute(&world.owner).await.unwrap();
    let relay = world.relay().await;
    until("an epoch", async || shared::log::epoch::current(&world.owner).await.unwrap()).await;
    world.append(10).await;
    world.carried().await;
    relay.stop().await;
}

#[tokio::test]
async fn a_stream_that_is_gone_is_made_again_from_the_next_position() {
    let mut world = World::new().await;
    let before = world.epoch().await;
    let relay = world.relay().await;
    world.append(10).await;
    world.carried().await;
    relay.stop().await;

    world.nats.wipe().await.unwrap();
    let relay = world.relay().await;
    assert_eq!(world.carried().await, 11);
    world.append(5).await;
    assert_eq!(world.carried().await, 11);

    // Under the feet of a relay that runs, and with NATS away for a while.
    world.nats.kill9().await.unwrap();
    world.append(5).await;
    world.nats.wipe().await.unwrap();
    world.append(5).await;
    assert!(world.carried().await > 15);
    assert_eq!(world.epoch().await, before);
    relay.stop().await;
}

#[tokio::test]
async fn a_stream_that_lost_messages_goes_on_and_a_shorter_one_is_topped_up() {
    let world = World::new().await;
    let before = world.epoch().await;
    let relay = world.relay().await;
    world.stream_made().await;
    world.append(20).await;
    world.carried().await;

    let stream = world.stream().await.unwrap();
    stream.delete_message(20).await.unwrap();
    stream.delete_message(10).await.unwrap();
    world.append(1).await;
    world.carried().await;
    stream.purge().await.unwrap();
    world.append(1).await;
    assert_eq!(world.carried().await, 22);
    relay.stop().await;

    // What a server that lost its last seconds comes back with.
    world.context().delete_stream(jetstream::stream_name(&before.epoch)).await.unwrap();
    let config = jetstream::stream_config(&before.epoch, 1, &jetstream::Retention::default());
    world.context().create_stream(config).await.unwrap();
    for event in shared::log::event_log::after(&world.owner, 0, 7).await.unwrap() {
        let subject =
            jetstream::subject(&before.epoch, &event.recorded.aggregate.kind, &event.recorded.event_type);
        world.context().send_publish(subject, jetstream::message(&event)).await.unwrap().await.unwrap();
    }
    let relay = world.relay().await;
    assert_eq!(world.carried().await, 1);
    assert_eq!(world.epoch().await, before);
    relay.stop().await;
}

#[tokio::test]
async fn a_foreign_message_parts_the_histories() {
    let world = World::new().await;
    let before = world.epoch().await;
    let relay = world.relay().await;
    world.stream_made().await;
    world.append(10).await;
    world.carried().await;
    world.foreign(&before.epoch).await;
    world.append(10).await;
    let after = until("a new epoch", async || Some(world.epoch().await).filter(|now| *now != before)).await;
    world.carried().await;
    assert_eq!(after.agreed_position, 10);
    world.append(5).await;
    world.carried().await;
    assert_eq!(world.epoch().await, after);
    relay.stop().await;

    // Left behind by a leader that did not live to see it: it was refused one and got the next ones through.
    world.foreign(&after.epoch).await;
    world.append(40).await;
    for event in shared::log::event_log::after(&world.owner, 26, 30).await.unwrap() {
        let subject =
            jetstream::subject(&after.epoch, &event.recorded.aggregate.kind, &event.recorded.event_type);
        world.context().send_publish(subject, jetstream::message(&event)).await.unwrap().await.unwrap();
    }
    let relay = world.relay().await;
    let last = until("a new epoch", async || Some(world.epoch().await).filter(|now| *now != after)).await;
    assert_eq!(last.agreed_position, 25);
    relay.stop().await;
}

#[tokio::test]
async fn an_older_copy_restored_parts_the_histories() {
    let world = World::new().await;
    let before = world.epoch().await;
    let relay = world.relay().await;
    world.stream_made().await;
    world.append(100).await;
    world.carried().await;
    relay.stop().await;
    world.restore(60).await;
    let relay = world.relay().await;
    let longer = until("a new epoch", async || Some(world.epoch().await).filter(|now| *now != before)).await;
    assert_eq!(longer.agreed_position, 60);
    world.stream_made().await;
    world.append(5).await;
    assert_eq!(world.carried().await, 61);
    relay.stop().await;

    // The restored log has already outgrown the stream when somebody looks.
    world.restore(62).await;
    world.append(30).await;
    let relay = world.relay().await;
    let other = until("a new epoch", async || Some(world.epoch().await).filter(|now| *now != longer)).await;
    assert_eq!(other.agreed_position, 62);
    world.carried().await;
    // The stream before is kept, the one before that has gone.
    let context = world.context();
    assert!(jetstream::stream(&context, &longer.epoch).await.unwrap().is_some());
    assert!(jetstream::stream(&context, &before.epoch).await.unwrap().is_none());

    // Under the feet of a relay that runs.
    world.restore(70).await;
    let last = until("a new epoch", async || Some(world.epoch().await).filter(|now| *now != other)).await;
    assert!(last.agreed_position <= 70);
    world.append(1).await;
    world.carried().await;
    assert_eq!(world.epoch().await, last);
    relay.stop().await;
}

#[tokio::test]
async fn another_timeline_parts_the_histories() {
    let world = World::new().await;
    let relay = world.relay().await;
    world.stream_made().await;
    world.append(10).await;
    world.carried().await;
    relay.stop().await;
    sqlx::query("update es.epoch set timeline = timeline + 1").execute(&world.owner).await.unwrap();
    let before = world.epoch().await;
    let relay = world.relay().await;
    let after = until("a new epoch", async || Some(world.epoch().await).filter(|now| *now != before)).await;
    assert_eq!(after.agreed_position, 10);
    world.append(10).await;
    world.carried().await;
    assert_eq!(world.epoch().await, after);
    relay.stop().await;
}
