//! Our side: commands as the command API makes them, through the one writer of `command_api::log`.

use anyhow::{Context, Result, ensure};
use command_api::log::{Append, Claim, Expect, IdempotencyKey, Log, NewEvent, Outcome, SideRow};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shared::domain::clock::Clock;
use shared::log::encryption::{DataKey, MasterKey, about};
use shared::log::event::Meta;
use shared::log::server_keys;
use shared::log::stored_event::{Mac, Payload};
use shared::process::postgres::{DatabaseRole, options, refuse_forgetful};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{EVENTS_EACH, PAYLOAD, check};
use crate::measure::Writer;

/// Every so many commands one takes a claim.
const CLAIM_EVERY: u64 = 10;
const EVENT: &str = "NoteRetitled";

/// Our log, and what it has acknowledged.
pub(super) struct Ours {
    log: Log,
    master: MasterKey,
    mac_key: DataKey,
    /// How many events were acknowledged.
    pub(super) acknowledged: u64,
}

impl Ours {
    /// Starts the writer on a migrated database.
    pub(super) async fn start(url: &str, master: MasterKey) -> Result<Self> {
        let mac_key = server_keys::mac_key(&PgPool::connect(url).await?, &master).await?;
        let (log, _) = Log::start(&options(url, DatabaseRole::Command, None)?, CancellationToken::new());
        Ok(Self { log, master, mac_key, acknowledged: 0 })
    }

    /// Makes writers, each with a notebook that its commands read.
    pub(super) async fn writers(&mut self, count: usize) -> Result<Vec<OurWriter>> {
        let mut writers = Vec::with_capacity(count);
        for _ in 0..count {
            let mut writer = OurWriter::new(self.log.clone(), self.master.clone(), self.mac_key.clone());
            writer.make_notebook().await?;
            self.acknowledged += 1;
            writers.push(writer);
        }
        Ok(writers)
    }

    /// Compares what was acknowledged with what is there.
    pub(super) async fn verify(&self, owner_url: &str) -> Result<()> {
        let owner = PgPool::connect(owner_url).await?;
        refuse_forgetful(&owner).await?;
        let (events, last, commands): (i64, Option<i64>, i64) =
            sqlx::query_as("select count(*), max(position), (select count(*) from es.command) from es.event")
                .fetch_one(&owner)
                .await?;
        owner.close().await;
        ensure!(
            last.unwrap_or(0) == events && commands == events,
            "positions or keys are missing: {events} events, last {last:?}, {commands} keys"
        );
        check("ours", self.acknowledged, events)
    }
}

/// One client, with a note at hand.
pub(super) struct OurWriter {
    log: Log,
    master: MasterKey,
    mac_key: DataKey,
    actor: String,
    notebook: String,
    note: String,
    key_owner: String,
    key: DataKey,
    wrapped: Vec<u8>,
    sequence: i64,
    commands: u64,
    data: Value,
}

impl OurWriter {
    fn new(log: Log, master: MasterKey, mac_key: DataKey) -> Self {
        let note = id();
        let key_owner = format!("note:{note}");
        let (key, wrapped) = master.make(&key_owner);
        // Encryption adds a byte, a nonce and a tag.
        let names = json!({ "type": EVENT, "title": "" }).to_string().len();
        let data = json!({ "type": EVENT, "title": "x".repeat(PAYLOAD - names - 41) });
        let (actor, notebook) = (id(), id());
        Self {
            log,
            master,
            mac_key,
            actor,
            notebook,
            note,
            key_owner,
            key,
            wrapped,
            sequence: 0,
            commands: 0,
            data,
        }
    }

    async fn make_notebook(&mut self) -> Result<()> {
        let mut append = Append::new(self.idempotency_key(&[]), &self.notebook, 1);
        append.events.push(self.event("notebook", self.notebook.clone(), 1, Payload::clear(&json!({}))));
        self.record(append).await
    }

    fn next_note(&mut self) {
        self.note = id();
        self.key_owner = format!("note:{}", self.note);
        (self.key, self.wrapped) = self.master.make(&self.key_owner);
        self.sequence = 0;
    }

    fn command(&self) -> Append {
        let payload = self.key.encrypt(&about(EVENT, &self.note, self.sequence), &self.data);
        debug_assert_eq!(payload.as_bytes().len(), PAYLOAD);
        let request = serde_json::to_vec(&self.data).expect("a JSON value always serializes");
        let mut append = Append::new(self.idempotency_key(&request), &self.note, self.sequence);
        append.events.push(self.event("note", self.note.clone(), self.sequence, payload));
        append.expects.push(Expect {
            aggregate_type: "notebook",
            aggregate_id: self.notebook.clone(),
            sequence: 1,
            access_only: true,
        });
        if self.sequence == 1 {
            let (key_owner, wrapped) = (self.key_owner.clone(), self.wrapped.clone());
            append.side.push(SideRow::KeyMade { key_owner, wrapped });
        }
        if self.commands.is_multiple_of(CLAIM_EVERY) {
            let value = Sha256::digest(self.note.as_bytes()).to_vec();
            append.claims.push(Claim { kind: "handle", value, owner: self.key_owner.clone() });
        }
        append
    }

    fn idempotency_key(&self, request: &[u8]) -> IdempotencyKey {
        let fingerprint = Sha256::digest(request).into();
        IdempotencyKey { actor: self.actor.clone(), key: id(), ours: false, fingerprint }
    }

    fn event(&self, aggregate_type: &'static str, id: String, sequence: i64, payload: Payload) -> NewEvent {
        NewEvent {
            event_id: Clock::System.new_id(),
            aggregate_type,
            scopes: vec![format!("{aggregate_type}:{id}"), format!("notebook:{}", self.notebook)],
            aggregate_id: id,
            sequence,
            event_type: EVENT.into(),
            event_version: "1.0".into(),
            payload,
            meta: Meta { actor: self.actor.clone(), correlation: self::id(), causation: self::id() },
            key: None,
            effects: Vec::new(),
            mac: Mac::default(),
        }
        .with_mac(&self.mac_key)
    }

    async fn record(&self, append: Append) -> Result<()> {
        let outcome = self.log.append(append).await.context("our log gave no outcome")?;
        ensure!(matches!(outcome, Outcome::Appended { .. }), "our log refused: {outcome:?}");
        Ok(())
    }
}

impl Writer for OurWriter {
    async fn step(&mut self) -> Result<()> {
        if self.sequence == EVENTS_EACH {
            self.next_note();
        }
        self.sequence += 1;
        let append = self.command();
        self.commands += 1;
        self.record(append).await
    }
}

fn id() -> String {
    Clock::System.new_id().to_string()
}
