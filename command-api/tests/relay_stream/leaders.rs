//! Lost acknowledgements, leaders that freeze and thaw, servers that are away: nothing is lost or doubled.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use crate::world::{World, start, until};
use async_nats::jetstream::context::PublishErrorKind;
use shared::process::jetstream;
use shared::process::leadership::LeaderRole;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A connection to NATS on which answers can be lost.
async fn lossy_connection(to: String) -> (String, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    let losing = Arc::new(AtomicBool::new(false));
    let lost = Arc::clone(&losing);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(to.trim_start_matches("nats://")).await.unwrap();
            tokio::spawn(drive(client, server, Arc::clone(&lost)));
        }
    });
    (url, losing)
}

/// Carries questions always, and answers while none get lost; after a loss the connection ends.
async fn drive(client: TcpStream, server: TcpStream, losing: Arc<AtomicBool>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let asking = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    let mut buffer = [0; 4096];
    let mut lost = false;
    while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
        lost |= losing.load(Ordering::Relaxed);
        if lost && !losing.load(Ordering::Relaxed) {
            break;
        }
        if !lost && to_client.write_all(buffer.get(..read).unwrap_or_default()).await.is_err() {
            break;
        }
    }
    asking.abort();
}

#[tokio::test]
async fn lost_acknowledgements_double_nothing() {
    let world = World::new().await;
    let before = world.epoch().await;
    let (lossy, losing) = lossy_connection(world.nats.url()).await;
    let relay = start(&world.database.url, &lossy).await;
    world.stream_made().await;
    for _ in 0..3 {
        let head = world.append(1).await;
        world.carried().await;
        losing.store(true, Ordering::Relaxed);
        // Arrives, and the relay is not told.
        world.append(2_000).await;
        until("unacknowledged messages", async || world.last().await.filter(|last| *last > head)).await;
        losing.store(false, Ordering::Relaxed);
        world.carried().await;
    }
    assert_eq!(world.epoch().await, before);
    relay.stop().await;
}

#[tokio::test]
async fn what_was_published_is_refused_the_second_time() {
    let world = World::new().await;
    let relay = world.relay().await;
    world.append(10).await;
    world.carried().await;
    let epoch = world.epoch().await.epoch;
    for position in [1, 5, 10] {
        let event = shared::log::event_log::at(&world.owner, position).await.unwrap().unwrap();
        let subject = jetstream::subject(&epoch, &event.recorded.aggregate.kind, &event.recorded.event_type);
        let answer = world.context().send_publish(subject, jetstream::message(&event)).await.unwrap().await;
        assert_eq!(answer.unwrap_err().kind(), PublishErrorKind::WrongLastSequence);
    }
    relay.stop().await;
}

/// A process of its own, as far as freezing goes: one thread that runs everything, or nothing.
struct Process {
    freeze: mpsc::Sender<mpsc::Receiver<()>>,
    thread: thread::JoinHandle<()>,
}

impl Process {
    fn start(database: String, nats: String) -> Self {
        let (freeze, frozen) = mpsc::channel::<mpsc::Receiver<()>>();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let relay = start(&database, &nats).await;
                until_frozen_for_the_last_time(&frozen).await;
                relay.stop().await;
            });
        });
        Self { freeze, thread }
    }

    /// Freezes the process until the answer is dropped.
    fn freeze(&self) -> mpsc::Sender<()> {
        let (thaw, thawed) = mpsc::channel();
        self.freeze.send(thawed).unwrap();
        thaw
    }

    async fn stop(self) {
        drop(self.freeze);
        tokio::task::spawn_blocking(|| self.thread.join().unwrap()).await.unwrap();
    }
}

async fn until_frozen_for_the_last_time(frozen: &mpsc::Receiver<mpsc::Receiver<()>>) {
    let mut looks = tokio::time::interval(std::time::Duration::from_millis(1));
    loop {
        looks.tick().await;
        match frozen.try_recv() {
            // Blocks the only thread: neither beats nor messages go out.
            Ok(thawed) => drop(thawed.recv()),
            Err(mpsc::TryRecvError::Empty) => {}
            Err(mpsc::TryRecvError::Disconnected) => return,
        }
    }
}

/// The process number of the session that holds the relay's lock.
async fn key_owner(world: &World) -> Option<i32> {
    let (high, low) = (LeaderRole::Relay.lock() >> 32, LeaderRole::Relay.lock() & 0xffff_ffff);
    sqlx::query_scalar(
        "select pid from pg_locks
          where locktype = 'advisory' and granted and classid::bigint = $1 and objid::bigint = $2
            and database = (select oid from pg_database where datname = current_database())",
    )
    .bind(high)
    .bind(low)
    .fetch_optional(&world.owner)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_freezes_is_succeeded_and_does_no_harm_when_it_thaws() {
    let world = World::new().await;
    let before = world.epoch().await;
    let first = Process::start(world.database.url.clone(), world.nats.url());
    let leader = until("a leader", async || key_owner(&world).await).await;
    let second = world.relay().await;
    world.stream_made().await;

    world.append(20_000).await;
    until("the first publishes", async || world.last().await.filter(|last| *last > 500)).await;
    let thaw = first.freeze();
    until("a successor", async || key_owner(&world).await.filter(|now| *now != leader)).await;
    world.append(1_000).await;
    world.carried().await;
    drop(thaw);
    world.append(1_000).await;
    world.carried().await;
    assert_eq!(world.epoch().await, before);
    first.stop().await;
    world.append(10).await;
    world.carried().await;
    second.stop().await;
}

#[tokio::test]
async fn the_lead_is_kept_while_idle_and_passed_on_when_its_session_ends() {
    let world = World::new().await;
    let (first, second) = (world.relay().await, world.relay().await);
    let leader = until("a leader", async || key_owner(&world).await).await;
    // Longer than a silent session lives, by the server's own clock.
    sqlx::query("select pg_sleep(4)").execute(&world.owner).await.unwrap();
    assert_eq!(key_owner(&world).await, Some(leader));
    sqlx::query("select pg_terminate_backend($1)").bind(leader).execute(&world.owner).await.unwrap();
    until("a successor", async || key_owner(&world).await.filter(|now| *now != leader)).await;
    world.append(10).await;
    world.carried().await;
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn nats_may_come_late_and_go_and_hang() {
    let mut world = World::new().await;
    let before = world.epoch().await;
    world.nats.stop().await.unwrap();
    let relay = world.relay().await;
    world.append(10).await;
    until("a leader", async || key_owner(&world).await).await;
    world.nats.restart().await.unwrap();
    world.carried().await;

    world.nats.freeze().await.unwrap();
    world.append(1_000).await;
    world.nats.thaw().unwrap();
    world.carried().await;
    world.nats.kill9().await.unwrap();
    world.append(1_000).await;
    world.nats.restart().await.unwrap();
    world.carried().await;
    assert_eq!(world.epoch().await, before);
    relay.stop().await;
}
