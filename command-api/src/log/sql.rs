//! The one statement that appends: a batch as arrays in, an answer per command out.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::Postgres;
use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::query::QueryAs;
use sqlx::types::Json;
use uuid::Uuid;

use super::prepared::Prepared;
use super::{Claim, Outcome, SideRow};

const APPEND: &str = "select cmd, outcome, last, kind, id, sequence, fingerprint, recorded_at from es.append(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
    $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42)";

/// One row of `es.answer`.
#[derive(Debug, Default, sqlx::FromRow)]
struct Row {
    cmd: i32,
    outcome: String,
    last: Option<i64>,
    kind: Option<String>,
    id: Option<String>,
    sequence: Option<i64>,
    fingerprint: Option<Vec<u8>>,
    recorded_at: Option<DateTime<Utc>>,
}

/// What one command was told.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    /// When what the outcome speaks of was recorded; none if nothing was.
    recorded_at: Option<DateTime<Utc>>,
}

type Query<'q> = QueryAs<'q, Postgres, Row, PgArguments>;

/// Appends a batch; the answers are in the order of the commands.
pub(super) async fn append(connection: &mut PgConnection, batch: &[&Prepared]) -> sqlx::Result<Vec<Answer>> {
    let query = bind_commands(sqlx::query_as(APPEND), batch);
    let query = bind_events(query, batch);
    let query = bind_aggregates(query, batch);
    let query = bind_claims(query, &rows(batch, |p| &p.append.released));
    let query = bind_claims(query, &rows(batch, |p| &p.append.claims));
    let query = bind_places(query, batch);
    let query = bind_keys(query, batch).bind(accounts(batch));
    let answered = query.fetch_all(connection).await?;
    answers(answered, batch).ok_or_else(|| sqlx::Error::Protocol("es.append gave another answer".into()))
}

/// The events at these positions: position, id and time.
pub(super) async fn events_at(
    connection: &mut PgConnection,
    positions: &[i64],
) -> sqlx::Result<Vec<(i64, Uuid)>> {
    sqlx::query_as("select position, event_id from es.event where position = any($1)")
        .bind(positions)
        .fetch_all(connection)
        .await
}

/// Counts the positions of those that stand from the head before them, which is in the row of command 0.
fn answers(rows: Vec<Row>, batch: &[&Prepared]) -> Option<Vec<Answer>> {
    let mut answers: Vec<Option<Answer>> = vec![None; batch.len()];
    let mut whole = None;
    for row in rows {
        match usize::try_from(row.cmd).ok()?.checked_sub(1) {
            None => whole = Some((row.last?, row.recorded_at?)),
            Some(nth) => *answers.get_mut(nth)? = Some(row.refusal()?),
        }
    }
    let (mut head, recorded_at) = whole?;
    let mut stands = |command: &Prepared| {
        let first = head + 1;
        head += i64::try_from(command.append.events.len()).ok()?;
        let outcome = Outcome::Appended { first, last: head, recorded_at };
        Some(Answer { outcome, recorded_at: Some(recorded_at) })
    };
    answers.into_iter().zip(batch).map(|(refused, command)| refused.or_else(|| stands(command))).collect()
}

impl Row {
    /// What a command of its own row was told; none if it is nothing this program knows.
    fn refusal(self) -> Option<Answer> {
        let outcome = match self.outcome.as_str() {
            "seen" => Outcome::Seen {
                fingerprint: self.fingerprint?,
                id: self.id?,
                version: self.sequence?,
                position: self.last?,
            },
            "conflict" => {
                Outcome::Conflict { aggregate_type: self.kind?, id: self.id?, sequence: self.sequence? }
            }
            "claimed" => Outcome::Claimed { kind: self.kind? },
            "placed" => Outcome::Placed { container: self.kind?, rank: self.id? },
            _ => return None,
        };
        Some(Answer { outcome, recorded_at: self.recorded_at })
    }
}

impl Answer {
    /// If this says that the very same command was recorded before: as what.
    ///
    /// Without events it may have been another's of the same key; the effect and the answer are the same.
    pub(super) fn seen_as(&self, command: &Prepared) -> Option<Outcome> {
        let Outcome::Seen { fingerprint, id, version, position } = &self.outcome else { return None };
        let append = &command.append;
        let same = fingerprint == &append.key.fingerprint
            && id == &append.answer_id
            && *version == append.answer_version;
        let events = i64::try_from(append.events.len()).ok()?;
        let (last, recorded_at) = (*position, self.recorded_at?);
        same.then_some(Outcome::Appended { first: last - events + 1, last, recorded_at })
    }
}

/// All rows of one kind, each with its command's index from 1.
fn rows<'b, T>(batch: &[&'b Prepared], of: impl Fn(&'b Prepared) -> &'b [T]) -> Vec<(i32, &'b T)> {
    batch.iter().zip(1..).flat_map(|(&command, cmd)| of(command).iter().map(move |row| (cmd, row))).collect()
}

fn column<'b, T, V>(rows: &[(i32, &'b T)], of: impl Fn(&'b T) -> V) -> Vec<V> {
    rows.iter().map(|(_, row)| of(row)).collect()
}

fn cmds<T>(rows: &[(i32, T)]) -> Vec<i32> {
    rows.iter().map(|(cmd, _)| *cmd).collect()
}

fn bind_commands<'q>(query: Query<'q>, batch: &[&'q Prepared]) -> Query<'q> {
    let appends = || batch.iter().map(|command| &command.append);
    query
        .bind(appends().map(|a| a.key.actor.as_str()).collect::<Vec<_>>())
        .bind(appends().map(|a| a.key.key.as_str()).collect::<Vec<_>>())
        .bind(appends().map(|a| a.key.ours).collect::<Vec<_>>())
        .bind(appends().map(|a| a.key.fingerprint.as_slice()).collect::<Vec<_>>())
        .bind(appends().map(|a| a.answer_id.as_str()).collect::<Vec<_>>())
        .bind(appends().map(|a| a.answer_version).collect::<Vec<_>>())
        .bind(appends().map(|a| i32::try_from(a.events.len()).unwrap_or(i32::MAX)).collect::<Vec<_>>())
}

fn bind_events<'q>(query: Query<'q>, batch: &[&'q Prepared]) -> Query<'q> {
    let events = rows(batch, |p| &p.append.events);
    let scopes = rows(batch, |p| &p.scopes);
    query
        .bind(cmds(&events))
        .bind(column(&events, |e| e.event_id))
        .bind(column(&events, |e| e.aggregate_type))
        .bind(column(&events, |e| e.aggregate_id.as_str()))
        .bind(column(&events, |e| e.sequence))
        .bind(column(&events, |e| e.event_type.as_str()))
        .bind(column(&events, |e| e.event_version.as_str()))
        .bind(column(&events, |e| Json(&*e.payload)))
        .bind(column(&events, |e| Json(&*e.metadata)))
        .bind(column(&scopes, String::as_str))
}

fn bind_aggregates<'q>(query: Query<'q>, batch: &[&'q Prepared]) -> Query<'q> {
    let mut aggregates = Vec::new();
    for (&command, cmd) in batch.iter().zip(1..) {
        let reads = command.append.expects.iter();
        let reads = reads.map(|e| (e.aggregate_type, e.aggregate_id.as_str(), e.sequence));
        aggregates.extend(command.writes().chain(reads).map(|aggregate| (cmd, aggregate)));
    }
    query
        .bind(cmds(&aggregates))
        .bind(aggregates.iter().map(|(_, (aggregate_type, ..))| *aggregate_type).collect::<Vec<_>>())
        .bind(aggregates.iter().map(|(_, (_, id, _))| *id).collect::<Vec<_>>())
        .bind(aggregates.iter().map(|(_, (.., sequence))| *sequence).collect::<Vec<_>>())
}

fn bind_claims<'q>(query: Query<'q>, claims: &[(i32, &'q Claim)]) -> Query<'q> {
    query
        .bind(cmds(claims))
        .bind(column(claims, |c| c.kind))
        .bind(column(claims, |c| c.value.as_slice()))
        .bind(column(claims, |c| c.owner.as_str()))
}

fn bind_places<'q>(query: Query<'q>, batch: &[&'q Prepared]) -> Query<'q> {
    let freed = rows(batch, |p| &p.append.freed);
    let places = rows(batch, |p| &p.append.places);
    query
        .bind(cmds(&freed))
        .bind(column(&freed, |f| f.container.as_str()))
        .bind(column(&freed, |f| f.item.as_str()))
        .bind(cmds(&places))
        .bind(column(&places, |p| p.container.as_str()))
        .bind(column(&places, |p| p.rank.as_str()))
        .bind(column(&places, |p| p.item.as_str()))
}

fn bind_keys<'q>(query: Query<'q>, batch: &[&'q Prepared]) -> Query<'q> {
    let (mut destroyed, mut made) = (Vec::new(), Vec::new());
    for (cmd, row) in rows(batch, |p| &p.append.side) {
        match row {
            SideRow::KeyDestroyed { holder } => destroyed.push((cmd, holder.as_str())),
            SideRow::KeyMade { holder, wrapped } => made.push((cmd, (holder.as_str(), wrapped.as_slice()))),
            SideRow::Credential { .. } | SideRow::Session { .. } | SideRow::SessionEnd { .. } => {}
        }
    }
    query
        .bind(cmds(&destroyed))
        .bind(destroyed.iter().map(|(_, holder)| *holder).collect::<Vec<_>>())
        .bind(cmds(&made))
        .bind(made.iter().map(|(_, (holder, _))| *holder).collect::<Vec<_>>())
        .bind(made.iter().map(|(_, (_, wrapped))| *wrapped).collect::<Vec<_>>())
}

/// The rows of accounts, which few commands have.
fn accounts(batch: &[&Prepared]) -> Value {
    rows(batch, |p| &p.append.side).into_iter().filter_map(|(cmd, row)| account(cmd, row)).collect()
}

fn account(cmd: i32, row: &SideRow) -> Option<Value> {
    match row {
        SideRow::Credential { user_id, hash } => {
            Some(json!({"cmd": cmd, "op": "credential", "user_id": user_id, "hash": hash}))
        }
        SideRow::Session { session_id, user_id, refresh, expires_at, device, address } => Some(json!({
            "cmd": cmd, "op": "session", "session_id": session_id, "user_id": user_id, "refresh": bytea(refresh),
            "expires_at": expires_at, "device": device, "address": address,
        })),
        SideRow::SessionEnd { session_id } => {
            Some(json!({"cmd": cmd, "op": "session_end", "session_id": session_id}))
        }
        SideRow::KeyMade { .. } | SideRow::KeyDestroyed { .. } => None,
    }
}

fn bytea(bytes: &[u8]) -> String {
    format!("\\x{}", hex::encode(bytes))
}
