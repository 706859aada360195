//! What clients wish for, in small numbers so that they meet, and what they believe of the world.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use command_api::log::{
    Append, Beside, Claim, Expect, Freed, Gap, IdempotencyKey, LogError, ModuleRow, Outcome, RankSlot,
    SideRow,
};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::sample::{Index, select};
use serde_json::json;
use shared::domain::clock::Clock;

use crate::world::event;

const CLIENTS: usize = 16;
const COMMANDS: usize = 40;

/// One client's next command.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    /// One that somebody has sent before, with events of its own.
    Again(Index),
    /// One with nothing to do, which only records its key.
    Nothing,
    /// A new one.
    New(Box<New>),
}

/// A command's content; what was not drawn it does not have.
#[derive(Clone, Debug)]
pub(crate) struct New {
    fingerprint: u8,
    ours: bool,
    /// Data that Postgres refuses.
    bad: bool,
    streams: Vec<Stream>,
    released: Option<Claim>,
    claimed: Option<Claim>,
    /// Container, item and rank.
    freed: Option<(u8, u8, u8)>,
    placed: Option<Placed>,
    side: Option<Side>,
}

#[derive(Clone, Debug)]
struct Placed {
    container: u8,
    rank: u8,
    item: u8,
    beside: Option<(u8, u8)>,
    guards: Option<Gap>,
}

/// Events of one note, perhaps decided on another that was read.
#[derive(Clone, Debug)]
struct Stream {
    note: u8,
    events: i64,
    read: Option<u8>,
}

#[derive(Clone, Debug)]
enum Side {
    KeyMade(u8),
    KeyDestroyed(u8),
    Credential(u8),
    Session,
    SessionEnd(Index),
}

/// What every client does, one wish after the other.
pub(crate) fn plan() -> impl Strategy<Value = Vec<Vec<Wish>>> {
    let wish = prop_oneof![
        4 => any::<Index>().prop_map(Wish::Again),
        2 => select(vec![Wish::Nothing]),
        18 => new().prop_map(Box::new).prop_map(Wish::New),
    ];
    vec(vec(wish, COMMANDS), CLIENTS)
}

fn new() -> impl Strategy<Value = New> {
    let claim = || weighted(0.33, claim());
    let key = (1..=3_u8, any::<bool>(), odds(20));
    let rows = (claim(), claim(), weighted(0.33, (small(2), small(6), small(4))), weighted(0.33, placed()));
    (key, vec(stream(), 1..=2), rows, weighted(0.6, side())).prop_map(|(key, streams, rows, side)| {
        let (fingerprint, ours, bad) = key;
        let (released, claimed, freed, placed) = rows;
        New { fingerprint, ours, bad, streams, released, claimed, freed, placed, side }
    })
}

fn placed() -> impl Strategy<Value = Placed> {
    let beside = weighted(0.2, (small(6), small(4)));
    let drawn = (small(2), small(4), small(6), beside, weighted(0.5, gap()));
    drawn.prop_map(|(container, rank, item, beside, guards)| Placed { container, rank, item, beside, guards })
}

fn gap() -> impl Strategy<Value = Gap> {
    let rank = || weighted(0.7, small(4).prop_map(rank));
    (rank(), rank()).prop_map(|(after, before)| Gap { after, before })
}

fn rank(n: u8) -> String {
    format!("a{n}")
}

fn stream() -> impl Strategy<Value = Stream> {
    let drawn = (small(12), select(vec![1, 1, 3]), weighted(0.5, small(12)));
    drawn.prop_map(|(note, events, read)| Stream { note, events, read })
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![
        small(4).prop_map(Side::KeyMade),
        small(4).prop_map(Side::KeyDestroyed),
        small(4).prop_map(Side::Credential),
        select(vec![Side::Session]),
        any::<Index>().prop_map(Side::SessionEnd),
    ]
}

fn claim() -> impl Strategy<Value = Claim> {
    (select(vec!["email", "handle"]), 1..=3_u8, small(3)).prop_map(|(kind, value, owner)| Claim {
        kind,
        value: vec![value],
        owner: format!("user-{owner}"),
    })
}

fn small(limit: u8) -> Range<u8> {
    0..limit
}

fn odds(one_in: u8) -> impl Strategy<Value = bool> {
    small(one_in).prop_map(|drawn| drawn == 0)
}

/// What the clients believe; often stale, as they do not wait for each other.
#[derive(Default)]
pub(crate) struct World {
    sequences: Mutex<HashMap<String, i64>>,
    sent: Mutex<Vec<Append>>,
    pub(crate) head: AtomicI64,
    pub(crate) answers: AtomicU64,
}

impl World {
    pub(crate) fn learn(&self, append: &Append, outcome: &Result<Outcome, LogError>) {
        let mut sequences = self.sequences.lock().expect("no client panics with the lock");
        if let Ok(Outcome::Appended { last, .. }) = outcome {
            self.head.fetch_max(*last, Ordering::SeqCst);
            sequences.extend(append.events.iter().map(|e| (e.aggregate_id.clone(), e.sequence)));
        }
        if let Ok(Outcome::Conflict { id, sequence, .. }) = outcome {
            sequences.insert(id.clone(), *sequence);
        }
    }

    /// The command that is wished for, and whether it is one that Postgres refuses.
    pub(crate) fn command(&self, wish: Wish) -> (Append, bool) {
        let mut sent = self.sent.lock().expect("no client panics with the lock");
        let new = match wish {
            Wish::Again(which) if !sent.is_empty() => {
                let mut again = which.get(&sent).clone();
                for event in &mut again.events {
                    event.event_id = Clock::System.new_id();
                }
                return (again, false);
            }
            Wish::Again(_) | Wish::Nothing => {
                sent.push(key_only(1, false));
                return (sent[sent.len() - 1].clone(), false);
            }
            Wish::New(new) => new,
        };
        let mut append = key_only(new.fingerprint, new.ours);
        for stream in &new.streams {
            self.add_stream(&mut append, stream);
        }
        add_rows(&mut append, &new, &sent);
        if new.bad
            && let Some(event) = append.events.first_mut()
        {
            "\u{0}".clone_into(&mut event.meta.actor);
            return (append, true);
        }
        sent.push(append.clone());
        (append, false)
    }

    fn add_stream(&self, append: &mut Append, stream: &Stream) {
        let touched = |append: &Append, id: &String| append.events.iter().any(|e| e.aggregate_id == *id);
        let id = format!("note-{}", stream.note);
        if touched(append, &id) {
            return;
        }
        let sequences = self.sequences.lock().expect("no client panics with the lock");
        let known = |id: &String| sequences.get(id).copied().unwrap_or(0);
        append.events.extend((1..=stream.events).map(|next| event(&id, known(&id) + next)));
        let read = stream.read.map(|note| format!("note-{note}"));
        if let Some(read) = read.filter(|read| !touched(append, read)) {
            let sequence = known(&read);
            append.expects.push(Expect {
                aggregate_type: "note",
                aggregate_id: read,
                sequence,
                access_only: false,
            });
        }
    }
}

fn add_rows(append: &mut Append, new: &New, sent: &[Append]) {
    append.released.extend(new.released.clone());
    append.claims.extend(new.claimed.clone());
    let (container, item) = (|n: u8| format!("in-{n}"), |n: u8| format!("block-{n}"));
    append.freed.extend(new.freed.map(|(at, what, nth)| Freed {
        container: container(at),
        item: item(what),
        rank: rank(nth),
    }));
    append.places.extend(new.placed.clone().map(|placed| RankSlot {
        container: container(placed.container),
        rank: rank(placed.rank),
        item: item(placed.item),
        beside: placed.beside.map(|(what, nth)| Beside { item: item(what), rank: rank(nth) }),
        guards: placed.guards,
    }));
    append.side.extend(new.side.as_ref().map(|side| row(side, &append.key.key, sent)));
}

fn row(side: &Side, key: &str, sent: &[Append]) -> SideRow {
    let key_owner = |n: &u8| format!("key_owner-{n}");
    match side {
        Side::KeyMade(n) => SideRow::KeyMade { key_owner: key_owner(n), wrapped: vec![1] },
        Side::KeyDestroyed(n) => SideRow::KeyDestroyed { key_owner: key_owner(n) },
        Side::Credential(n) => {
            module("credential", "credential", &key_owner(n), json!({"user_id": key_owner(n), "hash": key}))
        }
        Side::Session => module(
            "session",
            "session",
            key,
            json!({
                "session_id": key, "user_id": "someone", "refresh": "\\x02", "lifetime": 0,
                "device": "a test", "address": "::1",
            }),
        ),
        Side::SessionEnd(which) => {
            let begun = |sent: &&Append| {
                matches!(sent.side.first(), Some(SideRow::Module(ModuleRow { operation: "session", .. })))
            };
            let sessions: Vec<_> = sent.iter().filter(begun).collect();
            let session_id = if sessions.is_empty() { key } else { which.get(&sessions).key.key.as_str() };
            module("session_end", "session", session_id, json!({"session_id": session_id}))
        }
    }
}

fn module(operation: &'static str, table: &'static str, row: &str, columns: serde_json::Value) -> SideRow {
    SideRow::Module(ModuleRow { operation, writes: (table, row.to_owned()), columns })
}

fn key_only(fingerprint: u8, ours: bool) -> Append {
    let key = Clock::System.new_id().to_string();
    let fingerprint = [fingerprint; 32];
    Append::new(IdempotencyKey { actor: "someone".into(), key: key.clone(), ours, fingerprint }, key, 1)
}
