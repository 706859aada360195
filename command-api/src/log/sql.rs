//! The one statement that appends: a batch as arrays in, an answer per command out.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::Postgres;
use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::query::QueryAs;
use uuid::Uuid;

use super::prepared::Prepared;
use super::{Claim, Outcome, SideRow};

const APPEND: &str =
    "select cmd, outcome, first, last, kind, id, sequence, fingerprint, recorded_at from es.append(
    $1, $2, $3, $4, $5, $6,
    $7, $8, $9, $10, $11, $12, $13, $14::text[]::jsonb[], $15::text[]::jsonb[], $16,
    $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36)";

/// One row of `es.answer`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct Answer {
    cmd: i32,
    outcome: String,
    first: Option<i64>,
    last: Option<i64>,
    kind: Option<String>,
    id: Option<String>,
    sequence: Option<i64>,
    fingerprint: Option<Vec<u8>>,
    recorded_at: Option<DateTime<Utc>>,
}

type Query<'q> = QueryAs<'q, Postgres, Answer, PgArguments>;

/// Appends a batch; the answers are in the order of the commands.
pub(super) async fn append(connection: &mut PgConnection, batch: &[&Prepared]) -> sqlx::Result<Vec<Answer>> {
    let query = bind_commands(sqlx::query_as(APPEND), batch);
    let query = bind_events(query, batch);
    let query = bind_expects(query, batch);
    let query = bind_claims(query, &rows(batch, |p| &p.append.released));
    let query = bind_claims(query, &rows(batch, |p| &p.append.claims));
    let query = bind_places(query, batch).bind(sides(batch));
    let mut answers = query.fetch_all(connection).await?;
    answers.sort_unstable_by_key(|answer| answer.cmd);
    let whole =
        answers.len() == batch.len() && answers.iter().zip(1..).all(|(answer, cmd)| answer.cmd == cmd);
    if whole { Ok(answers) } else { Err(sqlx::Error::Protocol("es.append left a command out".into())) }
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

impl Answer {
    /// The outcome it stands for; none if it is not one this program knows.
    pub(super) fn outcome(self) -> Option<Outcome> {
        match self.outcome.as_str() {
            "appended" => Some(Outcome::Appended {
                first: self.first?,
                last: self.last?,
                recorded_at: self.recorded_at?,
            }),
            "seen" => Some(Outcome::Seen {
                fingerprint: self.fingerprint?,
                id: self.id?,
                version: self.sequence?,
                position: self.last?,
            }),
            "conflict" => {
                Some(Outcome::Conflict { aggregate_type: self.kind?, id: self.id?, sequence: self.sequence? })
            }
            "claimed" => Some(Outcome::Claimed { kind: self.kind? }),
            "placed" => Some(Outcome::Placed { container: self.kind?, rank: self.id? }),
            _ => None,
        }
    }

    /// If this says that the very same command was recorded before: as what.
    ///
    /// Without events it may have been another's of the same key; the effect and the answer are the same.
    pub(super) fn seen_as(&self, command: &Prepared) -> Option<Outcome> {
        let append = &command.append;
        let same = self.outcome == "seen"
            && self.fingerprint.as_deref() == Some(&append.key.fingerprint)
            && self.id.as_deref() == Some(append.answer_id.as_str())
            && self.sequence == Some(append.answer_version);
        let (last, recorded_at) = (self.last?, self.recorded_at?);
        let events = i64::try_from(append.events.len()).ok()?;
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

fn cmds<T>(rows: &[(i32, &T)]) -> Vec<i32> {
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
}

fn bind_events<'q>(query: Query<'q>, batch: &[&'q Prepared]) -> Query<'q> {
    let events = rows(batch, |p| &p.append.events);
    let written = rows(batch, |p| &p.written);
    query
        .bind(cmds(&events))
        .bind(column(&events, |e| e.event_id))
        .bind(column(&events, |e| e.aggregate_type))
        .bind(column(&events, |e| e.aggregate_id.as_str()))
        .bind(column(&events, |e| e.sequence))
        .bind(column(&events, |e| e.event_type.as_str()))
        .bind(column(&events, |e| e.event_version.as_str()))
        .bind(column(&written, |w| w.payload.as_str()))
        .bind(column(&written, |w| w.metadata.as_str()))
        .bind(column(&written, |w| w.scopes.as_str()))
}

fn bind_expects<'q>(query: Query<'q>, batch: &[&'q Prepared]) -> Query<'q> {
    let expects = rows(batch, |p| &p.append.expects);
    query
        .bind(cmds(&expects))
        .bind(column(&expects, |e| e.aggregate_type))
        .bind(column(&expects, |e| e.aggregate_id.as_str()))
        .bind(column(&expects, |e| e.sequence))
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

fn sides(batch: &[&Prepared]) -> Value {
    rows(batch, |p| &p.append.side).into_iter().map(|(cmd, row)| side(cmd, row)).collect()
}

fn side(cmd: i32, row: &SideRow) -> Value {
    match row {
        SideRow::Credential { user_id, hash } => {
            json!({"cmd": cmd, "op": "credential", "user_id": user_id, "hash": hash})
        }
        SideRow::Session { session_id, user_id, refresh, expires_at, device, address } => json!({
            "cmd": cmd, "op": "session", "session_id": session_id, "user_id": user_id, "refresh": bytea(refresh),
            "expires_at": expires_at, "device": device, "address": address,
        }),
        SideRow::SessionEnd { session_id } => {
            json!({"cmd": cmd, "op": "session_end", "session_id": session_id})
        }
        SideRow::KeyMade { holder, wrapped } => {
            json!({"cmd": cmd, "op": "key", "holder": holder, "wrapped": bytea(wrapped)})
        }
        SideRow::KeyDestroyed { holder } => json!({"cmd": cmd, "op": "key_end", "holder": holder}),
    }
}

fn bytea(bytes: &[u8]) -> String {
    format!("\\x{}", hex::encode(bytes))
}
