//! One attempt at a decision: everything it reads is remembered, so that the append can name it.

use std::sync::Arc;

use shared::auth::{Caller, session_ended};
use shared::problem::Problem;

use super::{App, Loaded};
use crate::aggregate::Decide;
use crate::log::{Claim, Expect, SideRow};
use crate::sessions::Session;

/// One attempt at deciding a command.
pub struct Work<'a> {
    /// What it works with.
    pub app: &'a App,
    /// Who asks; `None` for those who have no account yet.
    pub caller: Option<Caller>,
    /// Do not trust the cache: an earlier attempt refused, perhaps on something stale.
    fresh: bool,
    reads: Vec<Expect>,
    cached: bool,
}

/// What a command that may be asked brings besides its events.
#[derive(Clone, Debug, Default)]
pub struct Admitted {
    /// Under whose key the events are sealed, such as `note:<id>`.
    pub holder: String,
    /// The containers the events belong to, and the persons whom they concern.
    pub scopes: Vec<String>,
    /// Names taken.
    pub claims: Vec<Claim>,
    /// Rows beside the events.
    pub side: Vec<SideRow>,
}

impl<'a> Work<'a> {
    pub(super) fn new(app: &'a App, caller: Option<Caller>, fresh: bool) -> Self {
        Self { app, caller, fresh, reads: Vec::new(), cached: false }
    }

    /// The caller, or 401.
    pub fn caller(&self) -> Result<Caller, Problem> {
        self.caller.ok_or_else(|| Problem::unauthorized("token-missing", "Log in first."))
    }

    /// Reads an aggregate to decide by: the append will be refused if it has moved.
    pub async fn read<A: Decide>(&mut self, id: &str) -> Result<Arc<Loaded<A>>, Problem> {
        let loaded = self.load::<A>(id).await?;
        self.reads.push(Expect {
            aggregate_type: A::TYPE,
            aggregate_id: id.to_owned(),
            sequence: loaded.sequence,
        });
        Ok(loaded)
    }

    /// Refuses a caller whose session has ended, on whichever instance that was decided.
    pub(super) async fn check_session(&mut self) -> Result<(), Problem> {
        let Some(caller) = self.caller else { return Ok(()) };
        let session = self.read::<Session>(&caller.session.to_string()).await?;
        if session.state.is_open_for(caller.user) { Ok(()) } else { Err(session_ended()) }
    }

    /// Loads an aggregate, from memory if it may.
    pub(super) async fn load<A: Decide>(&mut self, id: &str) -> Result<Arc<Loaded<A>>, Problem> {
        if !self.fresh
            && let Some(loaded) = self.app.cache.get::<A>(id)
        {
            self.cached = true;
            return Ok(loaded);
        }
        let loaded = Arc::new(self.app.load::<A>(id).await?);
        if loaded.sequence > 0 {
            self.app.cache.put(id, loaded.clone());
        }
        Ok(loaded)
    }

    /// Whether anything came from memory, and so may be stale.
    pub(super) fn used_cache(&self) -> bool {
        self.cached
    }

    /// What was read, each thing once, but for the aggregate that is written.
    pub(super) fn expects(self, written: (&'static str, &str)) -> Vec<Expect> {
        let mut expects = self.reads;
        expects.sort_by(|a, b| (a.aggregate_type, &a.aggregate_id).cmp(&(b.aggregate_type, &b.aggregate_id)));
        expects.dedup_by(|a, b| (a.aggregate_type, &a.aggregate_id) == (b.aggregate_type, &b.aggregate_id));
        expects.retain(|expect| (expect.aggregate_type, expect.aggregate_id.as_str()) != written);
        expects
    }
}
