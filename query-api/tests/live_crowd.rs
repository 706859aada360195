//! More sockets than the gateway takes: who is let in then, who is not, and what that does to those who are there.

#[expect(dead_code, reason = "it is for the gateway's other tests too")]
mod live_world;

use live_world::{ADA, BOB, Client, DEADLINE, World, preferences};
use query_api::live::Settings;
use serde_json::json;
use servers::until::until;
use shared::domain::clock::Clock;
use tokio_tungstenite::tungstenite::Error;

fn is_full(refused: &Error) -> bool {
    let Error::Http(answer) = refused else { return false };
    let body = String::from_utf8_lossy(answer.body().as_deref().unwrap_or_default());
    answer.status() == 503
        && answer.headers().contains_key("retry-after")
        && body.contains("too-many-sockets")
}

async fn refused(world: &World, query: &str) {
    let Err(refused) = world.dial(query).await else { panic!("it was let in") };
    assert!(is_full(&refused), "{refused:?}");
}

/// Knocks until there is room.
async fn let_in(world: &World, query: &str) -> Client {
    let knocking = until(DEADLINE, "a place", async || match world.dial(query).await {
        Ok(client) => Ok(Some(client)),
        Err(full) if is_full(&full) => Ok(None),
        Err(other) => Err(other.into()),
    });
    knocking.await.expect("a place becomes free")
}

#[tokio::test]
async fn there_are_so_many_sockets_and_a_closed_one_makes_room() {
    let world = World::start(Settings { sockets: 2, ..Settings::default() }).await;
    let (mut ada, bob) = (world.live(ADA).await, world.live(BOB).await);
    let ticket = world.ticket(&world.token(BOB, Clock::System).0).await;
    refused(&world, "").await;
    refused(&world, &ticket).await;
    // Those who are there do not notice.
    world.append(&[preferences(ADA, 1)]).await;
    assert_eq!(ada.next().await["event"]["position"], 1);
    drop(bob);
    // A ticket is not used up by a connection that was refused.
    let mut bob = let_in(&world, &ticket).await;
    bob.send(&json!({"type": "hello"})).await;
    assert_eq!(bob.next().await["type"], "welcome");
}

#[tokio::test]
async fn those_who_say_nothing_take_no_room_from_those_who_say_who_they_are() {
    let world = World::start(Settings { sockets: 3, ..Settings::default() }).await;
    // A stranger may have half of the room, rounded down.
    let silent = world.dial("").await.expect("a socket");
    refused(&world, "").await;
    let ticket = world.ticket(&world.token(ADA, Clock::System).0).await;
    let mut ada = world.dial(&ticket).await.expect("a ticket says who comes");
    ada.send(&json!({"type": "hello"})).await;
    assert_eq!(ada.next().await["type"], "welcome");
    drop(silent);
    let mut bob = let_in(&world, "").await;
    bob.send(&json!({"type": "hello", "token": world.token(BOB, Clock::System).0})).await;
    assert_eq!(bob.next().await["type"], "welcome");
    // He is known now, so there is room for the next stranger.
    world.dial("").await.expect("a socket");
}

#[tokio::test]
async fn one_person_cannot_take_all_the_room() {
    let world = World::start(Settings { sockets_each: 2, ..Settings::default() }).await;
    let (first, mut second) = (world.live(ADA).await, world.live(ADA).await);
    assert_eq!(world.hello(ADA, json!({})).await.bye().await, "too-many-sockets");
    drop(world.live(BOB).await);
    world.append(&[preferences(ADA, 1)]).await;
    assert_eq!(second.next().await["event"]["position"], 1);
    drop(first);
    let again = until(DEADLINE, "a seat", async || {
        let mut client = world.hello(ADA, json!({})).await;
        Ok((client.next().await["type"] == "welcome").then_some(client))
    });
    again.await.expect("a socket that closed gives its seat up");
}
