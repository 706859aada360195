//! The one statement that appends: a batch as arrays in, an answer per command out.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use shared::domain::access::Effect;
use shared::log::event::Meta;
use sqlx::postgres::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::prepared::Prepared;
use super::{Append, NewEvent, Outcome, SideRow};

/// The end of a gap into which no rank fits.
const EMPTY: Option<&str> = Some("");

/// What is in the column `metadata`: a flat map of texts, as postgres-es wants it.
#[derive(Serialize)]
struct Metadata<'e> {
    #[serde(flatten)]
    meta: &'e Meta,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'e str>,
}

impl<'e> Metadata<'e> {
    fn of(event: &'e NewEvent) -> Json<Self> {
        Json(Self { meta: &event.meta, key: event.key.as_deref() })
    }
}

/// What is in the column `effects`.
fn effects(event: &NewEvent) -> Option<Json<&[Effect]>> {
    (!event.effects.is_empty()).then_some(Json(&event.effects))
}

/// One row of `es.answer`.
#[derive(Debug, Default)]
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

/// What a batch was told.
#[derive(Debug)]
pub(super) struct Answers {
    /// In the order of the commands.
    pub(super) answers: Vec<Answer>,
    /// By how many seconds the log is ahead of the clock.
    pub(super) ahead: i64,
}

/// Appends a batch. `now` is this process' clock.
pub(super) async fn append(
    connection: &mut PgConnection,
    batch: &[&Prepared],
    now: DateTime<Utc>,
) -> sqlx::Result<Answers> {
    let commands: Vec<(i32, &Append)> = (1..).zip(batch.iter().map(|command| &command.append)).collect();
    let (events, scopes) = (rows(batch, |p| &p.append.events), rows(batch, |p| &p.scopes));
    let expected = expected(batch);
    let (released, taken) = (rows(batch, |p| &p.append.released), rows(batch, |p| &p.append.claims));
    let (freed, places) = (rows(batch, |p| &p.append.freed), rows(batch, |p| &p.append.places));
    let (destroyed, made) = keys(batch);
    let answered = sqlx::query_as!(
        Row,
        r#"select cmd as "cmd!", outcome as "outcome!", last, kind, id, sequence, fingerprint, recorded_at
             from es.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
                            $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36,
                            $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48, $49, $50)"#,
        &column(&commands, |a| a.key.hash())[..],
        &column(&commands, Append::is_kept)[..],
        &column(&commands, |a| a.key.fingerprint.as_slice()) as &[&[u8]],
        &column(&commands, |a| a.answer_id.as_str()) as &[&str],
        &column(&commands, |a| a.answer_version)[..],
        &column(&commands, |a| i32::try_from(a.events.len()).unwrap_or(i32::MAX))[..],
        &cmds(&events)[..],
        &column(&events, |e| e.event_id)[..],
        &column(&events, |e| e.aggregate_type) as &[&str],
        &column(&events, |e| e.aggregate_id.as_str()) as &[&str],
        &column(&events, |e| e.sequence)[..],
        &column(&events, |e| e.event_type.as_str()) as &[&str],
        &column(&events, |e| e.event_version.as_str()) as &[&str],
        &column(&events, |e| e.payload.as_bytes()) as &[&[u8]],
        &column(&events, Metadata::of) as &[Json<Metadata<'_>>],
        &column(&scopes, String::as_str) as &[&str],
        &column(&events, effects) as &[Option<Json<&[Effect]>>],
        &column(&events, |e| e.mac.as_slice()) as &[&[u8]],
        &cmds(&expected)[..],
        &column(&expected, |x| x.0) as &[&str],
        &column(&expected, |x| x.1) as &[&str],
        &column(&expected, |x| x.2)[..],
        &column(&expected, |x| x.3)[..],
        &cmds(&released)[..],
        &column(&released, |c| c.kind) as &[&str],
        &column(&released, |c| c.value.as_slice()) as &[&[u8]],
        &column(&released, |c| c.owner.as_str()) as &[&str],
        &cmds(&taken)[..],
        &column(&taken, |c| c.kind) as &[&str],
        &column(&taken, |c| c.value.as_slice()) as &[&[u8]],
        &column(&taken, |c| c.owner.as_str()) as &[&str],
        &cmds(&freed)[..],
        &column(&freed, |f| f.container.as_str()) as &[&str],
        &column(&freed, |f| f.item.as_str()) as &[&str],
        &column(&freed, |f| f.rank.as_str()) as &[&str],
        &cmds(&places)[..],
        &column(&places, |p| p.container.as_str()) as &[&str],
        &column(&places, |p| p.rank.as_str()) as &[&str],
        &column(&places, |p| p.item.as_str()) as &[&str],
        &column(&places, |p| p.beside.as_ref().map(|b| b.item.as_str())) as &[Option<&str>],
        &column(&places, |p| p.beside.as_ref().map(|b| b.rank.as_str())) as &[Option<&str>],
        &column(&places, |p| p.guards.as_ref().and_then(|gap| gap.after.as_deref())) as &[Option<&str>],
        &column(&places, |p| p.guards.as_ref().map_or(EMPTY, |gap| gap.before.as_deref())) as &[Option<&str>],
        &cmds(&destroyed)[..],
        &column(&destroyed, |d| d) as &[&str],
        &cmds(&made)[..],
        &column(&made, |m| m.0) as &[&str],
        &column(&made, |m| m.1) as &[&[u8]],
        modules(batch),
        now
    )
    .fetch_all(connection)
    .await?;
    answers(answered, batch).ok_or_else(|| sqlx::Error::Protocol("es.append gave another answer".into()))
}

/// The events that are in the places where the first events of these commands belong.
pub(super) async fn firsts(
    connection: &mut PgConnection,
    commands: &[&Prepared],
) -> sqlx::Result<HashMap<Uuid, (i64, DateTime<Utc>)>> {
    let firsts: Vec<&NewEvent> =
        commands.iter().filter_map(|command| command.append.events.first()).collect();
    let rows = sqlx::query!(
        r#"select e.event_id, e.position, e.recorded_at
             from unnest($1::text[], $2::text[], $3::bigint[]) u(type, id, sequence)
             join es.event e on e.aggregate_type = u.type and e.aggregate_id = u.id and e.sequence = u.sequence"#,
        &firsts.iter().map(|event| event.aggregate_type).collect::<Vec<_>>() as &[&str],
        &firsts.iter().map(|event| event.aggregate_id.as_str()).collect::<Vec<_>>() as &[&str],
        &firsts.iter().map(|event| event.sequence).collect::<Vec<_>>()[..],
    );
    let rows = rows.fetch_all(connection).await?;
    Ok(rows.into_iter().map(|row| (row.event_id, (row.position, row.recorded_at))).collect())
}

/// Counts the positions of recorded commands from the head before them, which is in the row of command 0.
fn answers(rows: Vec<Row>, batch: &[&Prepared]) -> Option<Answers> {
    let mut answers: Vec<Option<Answer>> = vec![None; batch.len()];
    let mut whole = None;
    for row in rows {
        match usize::try_from(row.cmd).ok()?.checked_sub(1) {
            None => whole = Some((row.last?, row.recorded_at?, row.sequence?)),
            Some(nth) => *answers.get_mut(nth)? = Some(row.refusal()?),
        }
    }
    let (mut head, recorded_at, ahead) = whole?;
    let mut stands = |command: &Prepared| {
        let first = head + 1;
        head += i64::try_from(command.append.events.len()).ok()?;
        let outcome = Outcome::Appended { first, last: head, recorded_at };
        Some(Answer { outcome, recorded_at: Some(recorded_at) })
    };
    let answers = answers.into_iter().zip(batch);
    let answers: Option<_> = answers.map(|(refused, command)| refused.or_else(|| stands(command))).collect();
    Some(Answers { answers: answers?, ahead })
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
    /// If this says that the very same command, which has no events, was recorded before: as what. It may have been
    /// another's of the same key; the effect and the answer are the same.
    pub(super) fn seen_as(&self, command: &Prepared) -> Option<Outcome> {
        let Outcome::Seen { fingerprint, id, version, position } = &self.outcome else { return None };
        let append = &command.append;
        let same = fingerprint == &append.key.fingerprint
            && id == &append.answer_id
            && *version == append.answer_version;
        let recorded_at = self.recorded_at?;
        same.then_some(Outcome::Appended { first: *position + 1, last: *position, recorded_at })
    }
}

/// All rows of one kind, each with its command's index from 1.
fn rows<'b, T>(batch: &[&'b Prepared], of: impl Fn(&'b Prepared) -> &'b [T]) -> Vec<(i32, &'b T)> {
    batch.iter().zip(1..).flat_map(|(&command, cmd)| of(command).iter().map(move |row| (cmd, row))).collect()
}

/// One column of rows, as `es.append` takes it. One of texts or bytes is cast to what it is: `query!` expects owned ones.
fn column<T: Copy, V>(rows: &[(i32, T)], of: impl Fn(T) -> V) -> Vec<V> {
    rows.iter().map(|(_, row)| of(*row)).collect()
}

fn cmds<T>(rows: &[(i32, T)]) -> Vec<i32> {
    rows.iter().map(|(cmd, _)| *cmd).collect()
}

/// Type, id and last sequence of an aggregate, and whether only its place and state matter.
type Expected<'b> = (&'static str, &'b str, i64, bool);

/// The aggregates that are written or only read, with the sequence each must have.
fn expected<'b>(batch: &[&'b Prepared]) -> Vec<(i32, Expected<'b>)> {
    let mut expected = Vec::new();
    for (&command, cmd) in batch.iter().zip(1..) {
        let reads = command.append.expects.iter();
        let reads = reads.map(|e| (e.aggregate_type, e.aggregate_id.as_str(), e.sequence, e.access_only));
        let writes = command.writes().map(|(kind, id, sequence)| (kind, id, sequence, false));
        expected.extend(writes.chain(reads).map(|aggregate| (cmd, aggregate)));
    }
    expected
}

/// Keys destroyed, by their key owners; and keys made, with what is stored.
type Keys<'b> = (Vec<(i32, &'b str)>, Vec<(i32, (&'b str, &'b [u8]))>);

fn keys<'b>(batch: &[&'b Prepared]) -> Keys<'b> {
    let (mut destroyed, mut made) = (Vec::new(), Vec::new());
    for (cmd, row) in rows(batch, |p| &p.append.side) {
        match row {
            SideRow::KeyDestroyed { key_owner } => destroyed.push((cmd, key_owner.as_str())),
            SideRow::KeyMade { key_owner, wrapped } => {
                made.push((cmd, (key_owner.as_str(), wrapped.as_slice())));
            }
            SideRow::Module(_) => {}
        }
    }
    (destroyed, made)
}

/// The rows of modules, which few commands have.
fn modules(batch: &[&Prepared]) -> Value {
    let row = |(cmd, row): (i32, &SideRow)| {
        let SideRow::Module(row) = row else { return None };
        let mut columns = row.columns.clone();
        columns["cmd"] = json!(cmd);
        columns["op"] = json!(row.operation);
        Some(columns)
    };
    rows(batch, |p| &p.append.side).into_iter().filter_map(row).collect()
}
