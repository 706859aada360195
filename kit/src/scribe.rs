//! Events put into the log past `es.append`: of any time and form, and such as no rule lets anybody append.

use std::collections::HashMap;
use std::fmt::Display;

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use shared::domain::Event;
use shared::domain::access::{Effect, Scopes};
use shared::domain::clock::Clock;
use shared::log::encryption::{DataKey, MasterKey, about};
use shared::log::event::{AggregateRef, Meta, Recorded};
use shared::log::server_keys::{self, ServerKeys};
use shared::log::stored_event::{Payload, StoredEvent};
use sqlx::{Connection, PgConnection, PgExecutor};

/// An event before it is stored.
#[derive(Clone, Debug)]
pub struct Fact {
    /// What kind of thing changed, such as `note`.
    pub aggregate: String,
    /// Its id.
    pub id: String,
    /// Its sequence after the event; its position if none is given, which grows as well.
    pub sequence: Option<i64>,
    /// What happened, such as `NoteRetitled`.
    pub event_type: String,
    /// The version of the form of `data`.
    pub event_version: String,
    /// The facts, in clear.
    pub data: Value,
    /// Whether they are stored in clear as well, and not encrypted under the key of the thing.
    pub in_clear: bool,
    /// The containers that it belonged to, and the persons whom it concerns.
    pub scopes: Vec<String>,
    /// What it does to containers and grants, as that is stored; if not given, what this release says that it does.
    pub effects: Option<Value>,
    /// The actor and the causes.
    pub meta: Meta,
    /// When it was recorded; if not given, by the clock of Postgres, or with the last event if that is later.
    pub at: Option<DateTime<Utc>>,
}

impl Fact {
    /// An event by Ada in the first version of its form, whose only scope is the thing itself.
    pub fn new(aggregate: &str, id: impl Display, event_type: &str, data: Value) -> Self {
        let meta = Meta { actor: "ada".to_owned(), correlation: "c".to_owned(), causation: "c".to_owned() };
        Self {
            aggregate: aggregate.to_owned(),
            id: id.to_string(),
            sequence: None,
            event_type: event_type.to_owned(),
            event_version: "1.0".to_owned(),
            data,
            in_clear: false,
            scopes: vec![format!("{aggregate}:{id}")],
            effects: None,
            meta,
            at: None,
        }
    }

    fn key_owner(&self) -> String {
        self.scopes.first().cloned().unwrap_or_default()
    }
}

/// Stores facts as `es.append` stores events. The one place outside the log's writer that knows their stored form.
#[derive(Clone)]
pub struct Scribe {
    master: MasterKey,
}

impl Scribe {
    /// A scribe for the databases of that master key.
    pub fn new(master: MasterKey) -> Self {
        Self { master }
    }

    /// Stores facts at the end of the log, all of them or none; gives the position of the last one. The connection is the
    /// owner's. Things that have no key yet get one.
    pub async fn store(&self, owner: &mut PgConnection, facts: Vec<Fact>) -> Result<i64> {
        let mut transaction = owner.begin().await?;
        // Whoever else appends waits.
        sqlx::query("select from es.head for update").execute(&mut *transaction).await?;
        let keys = self.keys(&mut transaction, &facts).await?;
        let mut head: i64 = sqlx::query_scalar("select coalesce(max(position), 0) from es.event")
            .fetch_one(&mut *transaction)
            .await?;
        ServerKeys::make(&mut transaction, &self.master).await?;
        let mac_key = server_keys::mac_key(&mut *transaction, &self.master).await?;
        let (mut rows, mut payloads, mut macs) = (Vec::new(), Vec::new(), Vec::new());
        for fact in facts {
            head += 1;
            let at = fact.at;
            let StoredEvent { recorded, payload, mac, .. } = event(fact, head, &keys, &mac_key)?;
            rows.push(json!({"event": recorded, "at": at}));
            payloads.push(payload.as_bytes().to_vec());
            macs.push(mac.to_vec());
        }
        sqlx::query(
            "insert into es.event (position, event_id, aggregate_type, aggregate_id, sequence, event_type,
                                   event_version, payload, metadata, scopes, effects, mac, recorded_at)
             select e.position, e.id, e.aggregate->>'type', e.aggregate->>'id', (e.aggregate->>'version')::bigint,
                    e.type, e.event_version, r.payload, e.meta, e.scopes, e.effects, r.mac,
                    coalesce((r.row->>'at')::timestamptz, greatest(clock_timestamp(), last.at))
               from (select max(recorded_at) as at from es.event) last,
                    unnest($1::jsonb[], $2::bytea[], $3::bytea[]) r (row, payload, mac)
              cross join lateral jsonb_to_record(r.row->'event')
                             e (position bigint, id uuid, aggregate jsonb, type text, event_version text,
                                scopes text[], effects jsonb, meta jsonb)",
        )
        .bind(rows)
        .bind(payloads)
        .bind(macs)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(head)
    }

    /// The keys of those whose facts are to be encrypted, made where there are none.
    async fn keys(&self, connection: &mut PgConnection, facts: &[Fact]) -> Result<HashMap<String, DataKey>> {
        let mut owners: Vec<String> =
            facts.iter().filter(|fact| !fact.in_clear).map(Fact::key_owner).collect();
        owners.sort_unstable();
        owners.dedup();
        let stored: Vec<(String, Option<Vec<u8>>)> =
            sqlx::query_as("select key_owner, wrapped from es.key where key_owner = any($1)")
                .bind(&owners)
                .fetch_all(&mut *connection)
                .await?;
        let mut keys = HashMap::with_capacity(owners.len());
        for (owner, wrapped) in stored {
            let wrapped = wrapped.with_context(|| format!("the key of {owner} was destroyed"))?;
            let key = self.master.unwrap(&owner, &wrapped)?;
            keys.insert(owner, key);
        }
        owners.retain(|owner| !keys.contains_key(owner));
        let mut made = Vec::with_capacity(owners.len());
        for owner in &owners {
            let (key, wrapped) = self.master.make(owner);
            keys.insert(owner.clone(), key);
            made.push(wrapped);
        }
        sqlx::query(
            "insert into es.key (key_owner, wrapped, made_at)
             select key_owner, wrapped, clock_timestamp() from unnest($1::text[], $2::bytea[]) k (key_owner, wrapped)",
        )
        .bind(owners)
        .bind(made)
        .execute(connection)
        .await?;
        Ok(keys)
    }
}

fn event(
    fact: Fact,
    position: i64,
    keys: &HashMap<String, DataKey>,
    mac_key: &DataKey,
) -> Result<StoredEvent> {
    let sequence = fact.sequence.unwrap_or(position);
    let payload = if fact.in_clear {
        Payload::clear(&fact.data)
    } else {
        let key = keys.get(&fact.key_owner()).context("every key was read or made")?;
        key.encrypt(&about(&fact.event_type, &fact.id, sequence), &fact.data)
    };
    let effects = fact.effects.clone().or_else(|| effects(&fact));
    let recorded = Recorded {
        position,
        id: Clock::System.new_id(),
        at: Clock::System.now(),
        aggregate: AggregateRef { kind: fact.aggregate, id: fact.id, version: sequence },
        event_type: fact.event_type,
        event_version: fact.event_version,
        data: Value::Null,
        scopes: fact.scopes,
        effects,
        meta: fact.meta,
    };
    Ok(StoredEvent::new(recorded, payload, mac_key))
}

/// What an event of this release says that it does.
fn effects(fact: &Fact) -> Option<Value> {
    let event = Event::parse(&fact.event_type, fact.data.clone()).ok()?;
    Effect::to_json(&event.effects(&Scopes::parse(&fact.scopes)))
}

/// Destroys a key, as erasure does.
pub async fn destroy_key<'c>(owner: impl PgExecutor<'c>, key_owner: &str) -> sqlx::Result<()> {
    let destroy = "update es.key set wrapped = null, destroyed_at = now() where key_owner = $1 returning 1";
    sqlx::query(destroy).bind(key_owner).fetch_one(owner).await.map(|_| ())
}

/// Runs a statement that changes or deletes events, as somebody with the rights of the database's owner might.
pub async fn rewrite(owner: &mut PgConnection, statement: &str) -> sqlx::Result<()> {
    let mut transaction = owner.begin().await?;
    for statement in [
        "alter table es.event disable trigger event_stays",
        statement,
        "alter table es.event enable always trigger event_stays",
    ] {
        sqlx::query(statement).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}
