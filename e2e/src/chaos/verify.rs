//! Compares what was acknowledged with what is there.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use super::carrier;
use super::history::{Acknowledged, History};
use super::load::Client;
use super::report::Report;
use super::rows;
use super::sockets::{Socket, Sockets};
use super::world::World;

type Keyed = HashMap<(String, String), Acknowledged>;

/// An event of the log, as far as it is compared.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct Stored {
    pub(super) position: i64,
    pub(super) event_id: String,
    pub(super) aggregate_id: String,
    pub(super) sequence: i64,
    pub(super) event_type: String,
    pub(super) scopes: Vec<String>,
    pub(super) actor: Option<String>,
    pub(super) key: Option<String>,
}

/// Fills in the report.
pub(super) async fn verify(
    report: &mut Report,
    world: &World,
    history: &History,
    clients: &[Client],
    sockets: Sockets,
) -> Result<()> {
    let acknowledged = history.by_key();
    report.acknowledged(acknowledged.len(), history.repeats());
    let mut owner = world.owner().await?;
    let epoch = carrier::epoch(&mut owner).await?;
    let log = log(&mut owner).await?;
    positions(report, &log);
    let ours = clients.iter().map(|client| client.id.as_str()).collect();
    commands(report, &log, &acknowledged, &ours, epoch.as_str());
    answers(report, &mut owner, &acknowledged).await?;
    received(report, &log, clients, sockets).await?;

    let head = log.last().map_or(0, |event| event.position);
    let stream = carrier::reached(&world.nats.url(), &epoch, head).await?;
    carrier::stream(report, &stream, &log).await?;
    carrier::folded(&mut owner, &epoch, head).await?;
    rows::compare(report, world, clients, &format!("{epoch}-{head}")).await?;
    rows::check(report, world).await;
    Ok(())
}

async fn log(owner: &mut PgConnection) -> Result<Vec<Stored>> {
    let rows = sqlx::query_as(
        "select position, event_id::text as event_id, aggregate_id, sequence, event_type, scopes,
                metadata->>'actor' as actor, metadata->>'key' as key
           from es.event order by position",
    );
    rows.fetch_all(owner).await.context("the log cannot be read")
}

/// Positions are 1..N.
fn positions(report: &mut Report, log: &[Stored]) {
    for (expected, event) in (1..).zip(log) {
        if event.position != expected {
            report.gaps += 1;
            report.tell(format!("position {} stands where {expected} should", event.position));
            return;
        }
    }
}

/// Every acknowledged command is in the log exactly once, where the answer said, and nobody else's is.
fn commands(report: &mut Report, log: &[Stored], acknowledged: &Keyed, ours: &HashSet<&str>, epoch: &str) {
    let mut found: HashMap<(String, String), Vec<&Stored>> = HashMap::new();
    for event in log {
        let (Some(actor), Some(key)) = (&event.actor, &event.key) else { continue };
        let of = (actor.clone(), key.clone());
        if ours.contains(actor.as_str()) && event.event_type != "UserRegistered" {
            if !acknowledged.contains_key(&of) {
                report.doubled += 1;
                report.tell(format!("nobody was told of {event:?}"));
            }
            found.entry(of).or_default().push(event);
        }
    }
    for (of, told) in acknowledged {
        let events = found.get(of).map_or(&[][..], Vec::as_slice);
        if events.len() > told.events {
            report.doubled += 1;
            report.tell(format!("more events than asked for: {told:?} {events:?}"));
            continue;
        }
        let last = events.last().filter(|_| events.len() == told.events);
        let is_there = last.is_some_and(|last| {
            (last.position, last.sequence) == (told.position, told.version)
                && last.aggregate_id == told.id
                && told.epoch.as_deref().is_none_or(|told| told == epoch)
        });
        if !is_there {
            report.lost += 1;
            report.tell(format!("acknowledged otherwise than it is in the log: {told:?} {events:?}"));
        }
    }
}

/// What is kept of each answer is the answer.
async fn answers(report: &mut Report, owner: &mut PgConnection, acknowledged: &Keyed) -> Result<()> {
    let kept = "select hash, id, version, position from es.command";
    let kept: Vec<(Uuid, String, i64, i64)> = sqlx::query_as(kept).fetch_all(owner).await?;
    let mut kept: HashMap<_, _> =
        kept.into_iter().map(|(hash, id, version, position)| (hash, (id, version, position))).collect();
    for ((actor, key), told) in acknowledged {
        let answer = (told.id.clone(), told.version, told.position);
        if kept.remove(&hash(actor, key)) != Some(answer) {
            report.lost += 1;
            report.tell(format!("es.command does not know this answer: {told:?}"));
        }
    }
    Ok(())
}

/// What es.command knows a key of an actor by.
fn hash(actor: &str, key: &str) -> Uuid {
    let digest: [u8; 32] = Sha256::digest(format!("{actor}\0{key}")).into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    if let Some(id) = Uuid::parse_str(key).ok().filter(|id| id.get_version_num() == 7) {
        bytes[..6].copy_from_slice(&id.as_bytes()[..6]);
    }
    Uuid::from_bytes(bytes)
}

/// Every socket got every event after its beginning that its person may see, in order, once, and no other.
async fn received(report: &mut Report, log: &[Stored], clients: &[Client], sockets: Sockets) -> Result<()> {
    let people: HashMap<&str, HashSet<String>> =
        clients.iter().map(|client| (client.id.as_str(), scopes(client))).collect();
    let sees = |person: &str, event: &Stored| {
        people.get(person).is_some_and(|scopes| event.scopes.iter().any(|scope| scopes.contains(scope)))
    };
    for person in people.keys() {
        let last = log.iter().rfind(|event| sees(person, event)).map_or(0, |event| event.position);
        if !sockets.reach(person, last).await {
            report.tell(format!("the socket of {person} does not come to {last}"));
        }
    }
    for socket in sockets.close().await? {
        let due = log.iter().filter(|event| event.position > socket.from && sees(&socket.person, event));
        compare(report, &socket, &due.map(|event| (event.position, event)).collect());
    }
    Ok(())
}

fn compare(report: &mut Report, socket: &Socket, due: &BTreeMap<i64, &Stored>) {
    report.received += socket.events.len();
    report.resumed += socket.resumed;
    report.doubled += socket.complaints.len();
    socket.complaints.iter().for_each(|complaint| report.tell(complaint.clone()));
    let got: BTreeMap<i64, &String> = socket.events.iter().map(|(position, id)| (*position, id)).collect();
    for (position, event) in due {
        if got.get(position) != Some(&&event.event_id) {
            report.missed += 1;
            report.tell(format!("{} was not sent {event:?}", socket.person));
        }
    }
    for position in got.keys().filter(|position| !due.contains_key(position)) {
        report.leaked += 1;
        report.tell(format!("{} was sent {position}, which is none of theirs", socket.person));
    }
}

/// What a person may see: nobody shares anything yet.
fn scopes(client: &Client) -> HashSet<String> {
    let notebooks = client.notebooks.keys().map(|id| format!("notebook:{id}"));
    std::iter::once(format!("user:{}", client.id)).chain(notebooks).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn stored(position: i64, key: &str) -> Stored {
        Stored {
            position,
            event_id: format!("event {position}"),
            aggregate_id: "a".to_owned(),
            sequence: position,
            event_type: "NoteRetitled".to_owned(),
            scopes: Vec::new(),
            actor: Some("ada".to_owned()),
            key: Some(key.to_owned()),
        }
    }

    fn told(position: i64, key: &str) -> ((String, String), Acknowledged) {
        let (actor, key) = ("ada".to_owned(), key.to_owned());
        let of = (actor.clone(), key.clone());
        let (id, epoch) = ("a".to_owned(), Some("0000000a".to_owned()));
        (of, Acknowledged { actor, key, events: 1, id, version: position, position, epoch })
    }

    /// What is lost and doubled.
    fn found(log: &[Stored], told: Vec<((String, String), Acknowledged)>) -> (usize, usize) {
        let mut report = Report::new(0, &[], Duration::ZERO);
        commands(&mut report, log, &told.into_iter().collect(), &HashSet::from(["ada"]), "0000000a");
        (report.lost, report.doubled)
    }

    #[test]
    fn what_was_acknowledged_as_it_is_in_the_log_is_well() {
        assert_eq!(found(&[stored(1, "k1"), stored(2, "k2")], vec![told(1, "k1"), told(2, "k2")]), (0, 0));
    }

    #[test]
    fn what_is_not_there_or_stands_elsewhere_is_lost() {
        assert_eq!(found(&[stored(1, "k1")], vec![told(1, "k1"), told(2, "k2")]), (1, 0));
        assert_eq!(found(&[stored(1, "k1")], vec![told(2, "k1")]), (1, 0));
    }

    #[test]
    fn what_is_there_twice_or_unasked_is_doubled() {
        assert_eq!(found(&[stored(1, "k1"), stored(2, "k1")], vec![told(1, "k1")]), (0, 1));
        assert_eq!(found(&[stored(1, "k1"), stored(2, "k2")], vec![told(1, "k1")]), (0, 1));
    }

    #[test]
    fn a_missing_position_is_a_gap() {
        let mut report = Report::new(0, &[], Duration::ZERO);
        positions(&mut report, &[stored(1, "k1"), stored(3, "k2")]);
        assert_eq!(report.gaps, 1);
    }
}
