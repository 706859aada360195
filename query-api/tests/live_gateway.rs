//! The gateway over real sockets and a real Postgres: what arrives, in what order, and what never does.

mod live_world;

use std::time::Duration;

use chrono::TimeDelta;
use live_world::*;
use query_api::live::Settings;
use serde_json::json;
use servers::testing;
use shared::domain::clock::Clock;
use shared::process::jetstream::{Notice, WATERMARK};
use tokio_tungstenite::tungstenite::Error;

#[tokio::test]
async fn a_client_is_welcomed_and_hears_in_order_what_is_its_own() {
    let world = World::start(Settings::default()).await;
    let mut ada = world.hello(ADA, json!({})).await;
    let welcome = ada.next().await;
    assert_eq!(welcome["protocol"], "daybook.v1");
    assert_eq!(welcome["epoch"], json!(world.epoch));
    assert_eq!(welcome["position"], 0);
    assert_eq!(welcome["limits"]["frame_bytes"], 65536);
    assert_eq!(ada.next().await, json!({"type": "live", "position": 0}));
    let mut bob = world.live(BOB).await;

    // One after the other and at once: the owner sees the notebook that did not exist at hello.
    world.append(&[notebook(ADA, LAB)]).await;
    world.append(&[note(NOTE, LAB), notebook(BOB, SAFE), retitled(NOTE, LAB), renamed(SAFE)]).await;
    let first = ada.next().await;
    assert_eq!(first["event"]["type"], "NotebookCreated");
    assert_eq!(first["event"]["aggregate"]["type"], "notebook");
    assert_eq!(first["event"]["data"]["name"], "Lab");
    for position in [2, 4] {
        assert_eq!(ada.next().await["event"]["position"], position);
    }
    for position in [3, 5] {
        assert_eq!(bob.next().await["event"]["position"], position);
    }
    assert!(ada.events_until_pong().await.is_empty());
    assert!(bob.events_until_pong().await.is_empty());
}

#[tokio::test]
async fn resumed_anywhere_each_event_comes_once_and_in_order() {
    let mut world = World::start(small()).await;
    world.append(&[notebook(ADA, LAB), notebook(BOB, SAFE), note(NOTE, LAB)]).await;
    for _ in 0..6 {
        world.append(&[retitled(NOTE, LAB), renamed(SAFE), preferences(ADA, 10), preferences(BOB, 10)]).await;
    }
    let head = 27;
    let adas = |position: &i64| [1, 3].contains(position) || (*position > 3 && position % 2 == 0);
    // From the ring's end, from the database alone, and from a ring that holds everything.
    for settings in [None, Some(small()), Some(Settings::default())] {
        if let Some(settings) = settings {
            world.serve(settings, None).await;
        }
        world.reaches(head).await;
        for after in 0..=head {
            let mut ada = world.resume(ADA, after).await;
            let (positions, live) = ada.events().await;
            let expected: Vec<i64> = (after + 1..=head).filter(adas).collect();
            assert_eq!(positions, expected, "after {after}");
            assert_eq!(live, json!({"type": "live", "position": head}));
        }
    }
}

#[tokio::test]
async fn a_reconnecting_client_misses_nothing_of_what_goes_on_meanwhile() {
    let world = World::start(small()).await;
    world.append(&[notebook(ADA, LAB)]).await;
    let (mut heard, mut after) = (Vec::new(), 0);
    let writing = async {
        for _ in 0..60 {
            world.append(&[renamed(LAB), preferences(BOB, 10)]).await;
        }
    };
    let reading = async {
        while after < 120 {
            let mut ada = world.resume(ADA, after).await;
            for _ in 0..4 {
                let frame = ada.next().await;
                if frame["type"] == "event" {
                    after = frame["event"]["position"].as_i64().expect("a position");
                    heard.push(after);
                }
                if after >= 120 {
                    break;
                }
            }
        }
    };
    tokio::join!(writing, reading);
    assert_eq!(heard, (1..=120).filter(|n| *n == 1 || n % 2 == 0).collect::<Vec<i64>>());
}

#[tokio::test]
async fn a_note_moved_away_leaves_its_past_behind_and_says_so() {
    let mut world = World::start(Settings::default()).await;
    world.append(&[notebook(BOB, LAB), notebook(ADA, SAFE), note(NOTE, LAB), retitled(NOTE, LAB)]).await;
    world.reaches(4).await;
    let (mut ada, mut bob) = (world.live(ADA).await, world.live(BOB).await);
    world.append(&[moved(NOTE, LAB, SAFE), retitled(NOTE, SAFE)]).await;
    assert_eq!(bob.next().await["event"]["type"], "NoteMoved");
    assert!(bob.events_until_pong().await.is_empty());
    assert_eq!(
        [ada.next().await["event"]["position"].clone(), ada.next().await["event"]["position"].clone()],
        [5, 6]
    );

    // From the ring, and from the database in a process that was not there.
    for _ in 0..2 {
        assert_eq!(world.resume(BOB, 0).await.events().await.0, [1, 5]);
        assert_eq!(world.resume(ADA, 0).await.events().await.0, [2, 5, 6]);
        world.serve(small(), None).await;
    }
    // Its past elsewhere cannot be asked for by name either.
    let resume = json!({"epoch": world.epoch, "after": 0});
    let topics = json!([format!("note:{NOTE}")]);
    let mut ada = world.hello(ADA, json!({"topics": topics, "resume": resume})).await;
    assert_eq!(ada.next().await["type"], "welcome");
    assert_eq!(ada.events().await.0, [5, 6]);
    assert_eq!(world.hello(BOB, json!({"topics": topics})).await.bye().await, "topic-unseen");
}

#[tokio::test]
async fn nothing_is_pushed_before_it_can_be_read() {
    let world = World::start(Settings::default()).await;
    let (mut ada, mut witness) = (world.live(ADA).await, world.live(BOB).await);
    world.append(&[preferences(BOB, 10)]).await;
    let hidden = world.append_unread(&[preferences(ADA, 10)]).await;
    assert_eq!(witness.next().await["event"]["position"], 1);
    assert!(ada.events_until_pong().await.is_empty());
    assert_eq!(world.resume(ADA, 0).await.events().await, (vec![], json!({"type": "live", "position": 1})));
    world.fold(hidden).await;
    assert_eq!(ada.next().await["event"]["position"], hidden);
}

#[tokio::test]
async fn a_slow_reader_loses_nothing_and_hurts_nobody() {
    let world = World::start(Settings { ring_events: 32, page: 16, queue: 8, ..Settings::default() }).await;
    let (mut slow, mut quick) = (world.live(ADA).await, world.live(BOB).await);
    // More than the kernel's buffers of both ends take.
    let (rounds, each) = (40, 25);
    for _ in 0..rounds {
        let events: Vec<_> =
            (0..each).map(|_| preferences(ADA, 30_000)).chain([preferences(BOB, 10)]).collect();
        world.append(&events).await;
        assert!(quick.event_or_live().await.is_ok());
    }
    let (mut positions, mut fell_back) = (Vec::new(), 0);
    while positions.len() < rounds * each {
        match slow.event_or_live().await {
            Ok(position) => positions.push(position),
            Err(frame) => {
                assert_eq!(frame["type"], "live");
                fell_back += 1;
            }
        }
    }
    let expected: Vec<i64> = (1..=i64::try_from(rounds * (each + 1)).expect("small"))
        .filter(|position| position % i64::try_from(each + 1).expect("small") != 0)
        .collect();
    assert_eq!(positions, expected);
    assert!(fell_back > 0, "it never fell behind: the test is too gentle");
}

#[tokio::test]
async fn what_waits_for_a_slow_reader_is_not_sent_once_it_is_out_of_sight() {
    let world = World::start(Settings::default()).await;
    world.append(&[notebook(ADA, LAB), notebook(BOB, SAFE), note(NOTE, LAB)]).await;
    world.reaches(3).await;
    let mut ada = world.live(ADA).await;
    // More than the kernel's buffers of both ends take, so that the last one waits here.
    let large: Vec<_> = (0..200).map(|_| preferences(ADA, 200_000)).chain([retitled(NOTE, LAB)]).collect();
    let waits = world.append(&large).await;
    let left = world.append(&[moved(NOTE, LAB, SAFE)]).await;
    world.reaches(left).await;
    let mut positions = Vec::new();
    while positions.last() != Some(&left) {
        positions.extend(ada.event_or_live().await.ok());
    }
    let expected: Vec<i64> = (4..waits).chain([left]).collect();
    assert_eq!(positions, expected);
}

#[tokio::test]
async fn who_says_no_hello_or_a_forged_one_is_shown_out() {
    let settings = Settings { hello_within: Duration::from_millis(200), ..Settings::default() };
    let world = World::start(settings).await;
    assert_eq!(world.dial("").await.expect("a socket").bye().await, "hello-timeout");
    let forged = json!({"type": "hello", "token": "a.b.c"});
    let frames = [
        (forged.to_string(), "token-invalid"),
        (json!({"type": "hello"}).to_string(), "token-missing"),
        (json!({"type": "ping"}).to_string(), "bad-frame"),
        ("{".to_owned(), "bad-frame"),
    ];
    for (frame, code) in frames {
        let mut client = world.dial("").await.expect("a socket");
        client.send_text(&frame).await;
        assert_eq!(client.bye().await, code, "{frame}");
    }
}

#[tokio::test]
async fn a_forged_resume_gets_a_reset_and_no_foreign_event() {
    let world = World::start(Settings::default()).await;
    world.append(&[preferences(ADA, 10), preferences(BOB, 10)]).await;
    world.reaches(2).await;
    for (epoch, after, reason) in [(world.epoch.as_str(), i64::MAX, "ahead"), ("ffffffff", 0, "epoch")] {
        let mut ada = world.hello(ADA, json!({"resume": {"epoch": epoch, "after": after}})).await;
        assert_eq!(ada.next().await["type"], "welcome");
        assert_eq!(ada.next().await, json!({"type": "reset", "reason": reason}));
        assert_eq!(ada.next().await["type"], "live");
    }
    let negative = json!({"resume": {"epoch": world.epoch, "after": -1}});
    assert_eq!(world.hello(ADA, negative).await.bye().await, "bad-frame");
}

#[tokio::test]
async fn a_frame_that_is_too_long_ends_the_socket_with_a_reason() {
    let world = World::start(Settings::default()).await;
    let mut ada = world.live(ADA).await;
    ada.send_text(&" ".repeat(64 * 1024 + 1)).await;
    assert_eq!(ada.bye().await, "frame-too-large");
}

#[tokio::test]
async fn topics_narrow_what_comes_and_foreign_ones_are_refused() {
    let world = World::start(Settings::default()).await;
    world.append(&[notebook(ADA, LAB), notebook(BOB, SAFE), note(NOTE, LAB)]).await;
    world.reaches(3).await;
    let mut ada = world.hello(ADA, json!({"topics": []})).await;
    assert_eq!(ada.events().await.1["type"], "welcome");
    assert_eq!(ada.next().await["type"], "live");
    let subscribe = |topic: String| json!({"type": "subscribe", "id": "s", "topics": [topic]});
    for foreign in [format!("notebook:{SAFE}"), format!("user:{BOB}"), format!("note:{LAB}"), "x".to_owned()]
    {
        ada.send(&subscribe(foreign)).await;
        assert_eq!(ada.next().await["code"], "topic-unseen");
    }
    world.append(&[renamed(LAB)]).await;
    assert!(ada.events_until_pong().await.is_empty());
    let mut typed = subscribe(format!("notebook:{LAB}"));
    typed["events"] = json!(["NoteRetitled"]);
    ada.send(&typed).await;
    let reply = ada.next().await;
    assert_eq!((&reply["type"], &reply["id"]), (&json!("reply"), &json!("s")));
    world.append(&[renamed(LAB), retitled(NOTE, LAB)]).await;
    assert_eq!(ada.next().await["event"]["type"], "NoteRetitled");
    ada.send(&json!({"type": "unsubscribe", "id": "u", "topics": [format!("notebook:{LAB}")]})).await;
    assert_eq!(ada.next().await["id"], "u");
    world.append(&[retitled(NOTE, LAB)]).await;
    assert!(ada.events_until_pong().await.is_empty());
}

#[tokio::test]
async fn a_ticket_opens_one_socket_and_a_token_in_the_address_none() {
    let world = World::start(Settings::default()).await;
    let (token, _) = world.token(ADA, Clock::System);
    let query = world.ticket(&token).await;
    let mut ada = world.dial(&query).await.expect("a socket");
    ada.send(&json!({"type": "hello"})).await;
    assert_eq!(ada.next().await["type"], "welcome");
    for (query, status) in [(query, 401), (format!("?token={token}"), 400), ("?ticket=x".to_owned(), 401)] {
        let Err(refused) = world.dial(&query).await else { panic!("{query} was let in") };
        assert!(matches!(*refused, Error::Http(ref answer) if answer.status() == status), "{refused}");
    }
    assert_eq!(world.ask_for_ticket("forged").await.status, 401);
}

#[tokio::test]
async fn an_ended_session_reaches_its_open_socket_and_no_other() {
    let world = World::start(Settings::default()).await;
    let (token, session) = world.token(ADA, Clock::System);
    let mut ended = world.dial("").await.expect("a socket");
    ended.send(&json!({"type": "hello", "token": token})).await;
    assert_eq!(ended.next().await["type"], "welcome");
    let mut other = world.live(ADA).await;
    sqlx::query(
        "insert into es.session (session_id, user_id, refresh, expires_at, ended_at, device, address)
         values ($1, $2, '', now(), now(), '', '')",
    )
    .bind(session.to_string())
    .bind(ADA.to_string())
    .execute(&world.owner)
    .await
    .expect("a row");
    let bye = tokio::time::timeout(Duration::from_secs(2), ended.bye()).await.expect("within a second or so");
    assert_eq!(bye, "session-ended");
    assert!(other.events_until_pong().await.is_empty());
}

#[tokio::test]
async fn a_socket_ends_with_its_token_unless_it_brings_a_newer_one() {
    let world = World::start(Settings::default()).await;
    let old =
        Clock::Fixed(Clock::System.now() - shared::process::auth::ACCESS_LIFETIME + TimeDelta::seconds(3));
    let mut sockets = Vec::new();
    for _ in 0..2 {
        let mut client = world.dial("").await.expect("a socket");
        client.send(&json!({"type": "hello", "token": world.token(ADA, old).0})).await;
        assert_eq!(client.next().await["type"], "welcome");
        assert_eq!(client.next().await["type"], "live");
        sockets.push(client);
    }
    let renew = |token: String| json!({"type": "token", "token": token});
    sockets[1].send(&renew(world.token(BOB, Clock::System).0)).await;
    assert_eq!(sockets[1].next().await["code"], "token-of-another");
    sockets[1].send(&renew(world.token(ADA, Clock::System).0)).await;
    assert_eq!(sockets[0].bye().await, "token-expired");
    assert!(sockets[1].events_until_pong().await.is_empty());
}

#[tokio::test]
async fn at_shutdown_every_socket_is_told_when_to_come_back() {
    let world = World::start(Settings::default()).await;
    let mut ada = world.live(ADA).await;
    world.shutdown.cancel();
    let bye = ada.next().await;
    assert_eq!((&bye["type"], &bye["code"]), (&json!("bye"), &json!("shutdown")));
    assert!(bye["reconnect_after_ms"].is_u64());
}

#[tokio::test]
async fn progress_comes_with_the_heartbeat_and_passes_what_is_not_ours() {
    let settings = Settings { heartbeat: Duration::from_millis(50), ..Settings::default() };
    let world = World::start(settings).await;
    let mut ada = world.live(ADA).await;
    world.append(&[preferences(BOB, 10)]).await;
    while ada.next().await != json!({"type": "progress", "position": 1}) {}
}

#[tokio::test]
async fn a_watermark_message_is_taken_before_the_poll_and_a_false_epoch_is_not() {
    let nats = testing::nats().await.expect("a NATS server");
    let client = async_nats::connect(nats.url()).await.expect("connected");
    let world = World::with(Settings::default(), Some(client.clone())).await;
    let mut ada = world.live(ADA).await;
    // The checkpoint stays at 0: only the message can have brought it.
    world.append_unread(&[preferences(ADA, 10)]).await;
    let publish = async |epoch: &str| {
        let notice = Notice { epoch: epoch.to_owned().try_into().expect("an epoch"), position: 1 };
        client.publish(WATERMARK, notice.to_bytes()).await.expect("published");
        client.flush().await.expect("flushed");
    };
    publish("ffffffff").await;
    assert!(ada.events_until_pong().await.is_empty());
    publish(&world.epoch).await;
    assert_eq!(ada.next().await["event"]["position"], 1);
}

#[tokio::test]
async fn another_history_ends_open_sockets_and_is_told_to_those_who_come_from_the_one_before() {
    let mut world = World::start(Settings::default()).await;
    let mut ada = world.live(ADA).await;
    world.append(&[preferences(ADA, 1)]).await;
    assert_eq!(ada.next().await["event"]["position"], 1);
    let before = std::mem::replace(&mut world.epoch, "0000beef".to_owned());
    let begin = "insert into es.epoch (epoch, agreed_position, reason) values ($1, 0, 'a copy was restored')";
    sqlx::query(begin).bind(&world.epoch).execute(&world.owner).await.expect("an epoch");
    assert_eq!(ada.bye().await, "epoch-changed");

    // What was read in the history before counts for nothing, and so does what the tables hold of it.
    let mut ada = world.hello(ADA, json!({"resume": {"epoch": before, "after": 1}})).await;
    let welcome = ada.next().await;
    assert_eq!((&welcome["epoch"], &welcome["position"]), (&json!("0000beef"), &json!(0)));
    assert_eq!(ada.next().await, json!({"type": "reset", "reason": "epoch"}));
    assert_eq!(ada.next().await, json!({"type": "live", "position": 0}));

    // The projector takes the new history up, with other tables.
    let taken = "with emptied as (delete from feed) update checkpoint set epoch = $1, position = 0";
    sqlx::query(taken).bind(&world.epoch).execute(&world.owner).await.expect("one row");
    world.fold(1).await;
    world.append(&[preferences(ADA, 2)]).await;
    for position in [1, 2] {
        assert_eq!(ada.next().await["event"]["position"], position);
    }
}
