//! One attempt to decide a command: it remembers what it reads, so that the append can name it, and gathers what it
//! writes.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use shared::domain::id::UserId;
use shared::process::auth::Caller;
use shared::process::problem::{Problem, ProblemType};

use super::record::{Home, Written};
use super::{App, CommandMeta, Context, Decide, IfMatch, Loaded, problem};
use crate::log::{self, Append, Expect, Freed, RankSlot, SideRow};

/// One attempt at deciding a command.
pub struct UnitOfWork<'a> {
    /// What it works with.
    pub app: &'a App,
    /// Who asks; `None` for those who have no account yet.
    pub caller: Option<Caller>,
    /// For whom a policy asks.
    pub on_behalf_of: Option<UserId>,
    /// The condition that the client sets.
    if_match: Option<IfMatch>,
    trust: Trust,
    /// Whether anything was taken for new that was not looked up.
    assumed: bool,
    /// Whether anything came from memory, and so may be stale.
    cached: bool,
    /// What was loaded: each aggregate once, so that all is decided on one state of it.
    loaded: HashMap<(&'static str, String), Arc<dyn Any + Send + Sync>>,
    reads: Vec<Expect>,
    written: Vec<Written>,
    /// How many of those are recorded before all else.
    ahead: usize,
    rows: Rows,
}

/// What an attempt relies on without looking it up. The append finds out whether it was right; a refusal is decided again
/// with more look-ups, so that its words are about what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// That what is to be created is new, and that memory is current.
    New,
    /// That memory is current.
    Memory,
    /// Nothing.
    Nothing,
}

impl Trust {
    /// What the next attempt relies on after a conflict: what was taken for new may be what is in the way.
    pub(super) fn after_a_conflict(self) -> Self {
        match self {
            Self::New | Self::Memory => Self::Memory,
            Self::Nothing => Self::Nothing,
        }
    }
}

/// What is recorded besides events, in the same append.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Claims given up, before others are taken.
    pub released: Vec<log::Claim>,
    /// Claims taken.
    pub claims: Vec<Claim>,
    /// Items that leave their place, before others are taken.
    pub freed: Vec<Freed>,
    /// Places taken.
    pub places: Vec<RankSlot>,
    /// Rows that are no events, because they hold secrets.
    pub side: Vec<SideRow>,
}

/// Something that may exist once only, and the refusal if another has it.
#[derive(Clone, Debug)]
pub struct Claim {
    /// What is claimed, and by whom.
    pub claim: log::Claim,
    /// The answer if it is taken.
    pub taken: Problem,
}

/// What a command that may be asked brings besides its events.
#[derive(Clone, Debug, Default)]
pub struct Authorized<C = ()> {
    /// Where the events belong.
    pub home: Home,
    /// What is recorded with them, if there are any.
    pub rows: Rows,
    /// What the decision has to know.
    pub context: C,
}

impl<'a> UnitOfWork<'a> {
    pub(super) fn new(app: &'a App, meta: &CommandMeta, trust: Trust) -> Self {
        Self {
            app,
            caller: meta.caller,
            on_behalf_of: meta.on_behalf_of,
            if_match: meta.if_match.clone(),
            trust,
            assumed: false,
            cached: false,
            loaded: HashMap::new(),
            reads: Vec::new(),
            written: Vec::new(),
            ahead: 0,
            rows: Rows::default(),
        }
    }

    /// Whose rights are asked, or 401.
    pub fn user(&self) -> Result<UserId, Problem> {
        let user = self.caller.map(|caller| caller.user).or(self.on_behalf_of);
        user.ok_or_else(|| Problem::new(ProblemType::TokenMissing, "Log in first."))
    }

    /// Reads an aggregate to decide by: the append will be refused if it has moved.
    pub async fn read<A: Decide>(&mut self, id: &str) -> Result<Arc<Loaded<A>>, Problem> {
        let loaded = self.look_up::<A>(id).await?;
        self.expect::<A>(id, loaded.sequence);
        Ok(loaded)
    }

    /// Reads where a container is, and its state: the append will be refused if that has changed, but not because the
    /// container has another name.
    pub async fn read_access<A: Decide>(&mut self, id: &str) -> Result<Arc<Loaded<A>>, Problem> {
        let loaded = self.look_up::<A>(id).await?;
        self.reads.push(Expect { access_only: true, ..expect::<A>(id, loaded.sequence) });
        Ok(loaded)
    }

    /// Looks at an aggregate that may turn out not to matter. One that is decided by must be [`Self::expect`]ed.
    pub async fn look_up<A: Decide>(&mut self, id: &str) -> Result<Arc<Loaded<A>>, Problem> {
        if let Some(loaded) = self.remembered::<A>(id) {
            return Ok(loaded);
        }
        let loaded = self.app.load::<A>(id).await?;
        let loaded = self.remember(id, loaded);
        // Memory does not fill with ids that somebody made up.
        if loaded.sequence > 0 {
            self.app.cache.put(id, loaded.clone());
        }
        Ok(loaded)
    }

    /// The same for several of one kind, in their order: those that are not in memory are read together. That there is none
    /// is kept in memory too: most people have no grant of their own on what they may edit by another one.
    pub async fn look_up_all<A: Decide>(&mut self, ids: &[String]) -> Result<Vec<Arc<Loaded<A>>>, Problem> {
        let known: Vec<_> = ids.iter().map(|id| self.remembered::<A>(id)).collect();
        let others = ids.iter().zip(&known).filter(|(_, known)| known.is_none());
        let others: Vec<String> = others.map(|(id, _)| id.clone()).collect();
        let mut read = self.app.load_all::<A>(&others).await?;
        let loaded = ids.iter().zip(known).map(|(id, known)| {
            known.unwrap_or_else(|| {
                let loaded = self.remember(id, read.remove(id).unwrap_or_default());
                self.app.cache.put(id, loaded.clone());
                loaded
            })
        });
        Ok(loaded.collect())
    }

    /// All of one kind whose ids begin with this, as the log has them now.
    pub async fn look_up_under<A: Decide>(&self, prefix: &str) -> Result<Vec<(String, Loaded<A>)>, Problem> {
        self.app.load_under(prefix).await
    }

    /// Names an aggregate that was read otherwise: the append will be refused if it has moved.
    pub fn expect<A: Decide>(&mut self, id: &str, sequence: i64) {
        self.reads.push(expect::<A>(id, sequence));
    }

    /// What was read so far to decide by, which the append will name.
    pub fn reads(&self) -> &[Expect] {
        &self.reads
    }

    /// Loads an aggregate that is to be changed; 404 if it was deleted for ever.
    pub async fn load_to_change<A: Decide>(&mut self, id: &str) -> Result<Arc<Loaded<A>>, Problem> {
        let loaded = self.look_up::<A>(id).await?;
        if loaded.erased {
            return Err(gone());
        }
        Ok(loaded)
    }

    /// What is to be carried out on: if the commands create it, it is taken for new at the first attempt.
    pub async fn load_for<A: Decide>(
        &mut self,
        id: &str,
        commands: &[A::Command],
    ) -> Result<Arc<Loaded<A>>, Problem> {
        // With a condition, what there is has to be known.
        if self.trust == Trust::New && self.if_match.is_none() && A::creates(commands) {
            self.assumed = true;
            return Ok(Arc::default());
        }
        self.load_to_change(id).await
    }

    /// The same for several of one kind, in their order: those that are not in memory are read together.
    pub async fn load_all_to_change<A: Decide>(
        &mut self,
        ids: &[String],
    ) -> Result<Vec<Arc<Loaded<A>>>, Problem> {
        let all = self.look_up_all::<A>(ids).await?;
        let is_there = |loaded: &Loaded<A>| loaded.sequence > 0 && !loaded.erased;
        all.into_iter().map(|loaded| Some(loaded).filter(|one| is_there(one)).ok_or_else(gone)).collect()
    }

    /// Carries out commands on what was loaded; its version afterwards.
    pub fn change<A: Decide>(
        &mut self,
        id: &str,
        loaded: &Loaded<A>,
        commands: Vec<A::Command>,
        authorized: Authorized<Context<A>>,
    ) -> Result<i64, Problem> {
        let Authorized { home, rows, context } = authorized;
        let written = self.decided(id, loaded, commands, (home, &context))?;
        let version = written.version();
        if version > loaded.sequence {
            self.rows.extend(rows);
        }
        self.written.push(written);
        Ok(version)
    }

    /// Carries out commands on an aggregate whose id should be new. It is not looked up: if there is one already,
    /// the answer is `clash`.
    pub fn create<A: Decide>(
        &mut self,
        id: &str,
        commands: Vec<A::Command>,
        authorized: Authorized<Context<A>>,
        clash: Problem,
    ) -> Result<i64, Problem> {
        let version = self.change(id, &Loaded::<A>::default(), commands, authorized)?;
        if let Some(written) = self.written.pop() {
            self.written.push(written.taken_for_new(clash));
        }
        Ok(version)
    }

    /// Carries out commands on what was loaded, which is recorded before all else that this command changes.
    pub fn change_ahead<A: Decide>(
        &mut self,
        id: &str,
        loaded: &Loaded<A>,
        commands: Vec<A::Command>,
        authorized: Authorized<Context<A>>,
    ) -> Result<(), Problem> {
        self.change(id, loaded, commands, authorized)?;
        self.written[self.ahead..].rotate_right(1);
        self.ahead += 1;
        Ok(())
    }

    /// 412 if the client's condition does not hold for a thing at this version.
    pub fn if_match(&self, version: i64) -> Result<(), Problem> {
        let holds = self.if_match.as_ref().is_none_or(|condition| condition.matches(version));
        if holds { Ok(()) } else { Err(version_moved(version)) }
    }

    fn decided<A: Decide>(
        &self,
        id: &str,
        loaded: &Loaded<A>,
        commands: Vec<A::Command>,
        (home, context): (Home, &Context<A>),
    ) -> Result<Written, Problem> {
        let mut state = loaded.state.clone();
        let mut events = Vec::new();
        for command in commands {
            for event in state.decide(command, context).map_err(|refusal| problem(&refusal))? {
                state.apply(event.clone());
                events.push(event);
            }
        }
        Ok(Written::new(self.app, id, loaded, events, home))
    }

    /// Puts what was written last before what else follows: a block comes before those that make room for it.
    pub(super) fn last_first(&mut self) {
        self.written[self.ahead..].rotate_right(1);
    }

    /// What was loaded before in this attempt, or is in memory if that may be relied on.
    fn remembered<A: Decide>(&mut self, id: &str) -> Option<Arc<Loaded<A>>> {
        let key = (A::TYPE, id.to_owned());
        if let Some(loaded) = self.loaded.get(&key) {
            return loaded.clone().downcast().ok();
        }
        let loaded = self.app.cache.get::<A>(id).filter(|_| self.trust != Trust::Nothing)?;
        self.cached = true;
        self.loaded.insert(key, loaded.clone());
        Some(loaded)
    }

    fn remember<A: Decide>(&mut self, id: &str, loaded: Loaded<A>) -> Arc<Loaded<A>> {
        let loaded = Arc::new(loaded);
        self.loaded.insert((A::TYPE, id.to_owned()), loaded.clone());
        loaded
    }

    /// What the next attempt relies on, if this one is refused; none if it looked everything up.
    pub(super) fn less_trust(&self) -> Option<Trust> {
        match (self.assumed, self.cached) {
            (true, _) => Some(Trust::Memory),
            (false, true) => Some(Trust::Nothing),
            (false, false) => None,
        }
    }

    /// Whether it is taken for new, and its key with it.
    pub(super) fn has_no_key_yet(&self, key_owner: &str, aggregate_type: &str, id: &str) -> bool {
        self.assumed
            && key_owner.strip_prefix(aggregate_type).and_then(|rest| rest.strip_prefix(':')) == Some(id)
    }

    /// What is to be written.
    pub(super) fn written(&self) -> &[Written] {
        &self.written
    }

    /// Adds to an append what was read, each thing once, and the rows; and gives what was written, and the refusals of
    /// claims by their kinds.
    pub(super) fn into_append(self, append: Append) -> (Append, Vec<Written>, Vec<(&'static str, Problem)>) {
        let mut expects = self.reads;
        // Of two for one thing the stricter.
        let order =
            |expect: &Expect| (expect.aggregate_type, expect.aggregate_id.clone(), expect.access_only);
        expects.sort_by_cached_key(order);
        expects.dedup_by(|a, b| (a.aggregate_type, &a.aggregate_id) == (b.aggregate_type, &b.aggregate_id));
        let Rows { released, claims, freed, places, side } = self.rows;
        let taken = claims.iter().map(|claim| (claim.claim.kind, claim.taken.clone())).collect();
        let claims = claims.into_iter().map(|claim| claim.claim).collect();
        (Append { expects, released, claims, freed, places, side, ..append }, self.written, taken)
    }
}

fn expect<A: Decide>(id: &str, sequence: i64) -> Expect {
    Expect { aggregate_type: A::TYPE, aggregate_id: id.to_owned(), sequence, access_only: false }
}

impl Rows {
    fn extend(&mut self, more: Self) {
        let Self { released, claims, freed, places, side } = more;
        self.released.extend(released);
        self.claims.extend(claims);
        self.freed.extend(freed);
        self.places.extend(places);
        self.side.extend(side);
    }
}

pub(super) fn gone() -> Problem {
    Problem::new(ProblemType::Gone, "It was deleted for ever.")
}

fn version_moved(version: i64) -> Problem {
    let detail = if version > 0 {
        format!(
            "It is now at version {version}, which If-Match does not name. Read it again before you change it."
        )
    } else {
        "There is no such thing yet, so no If-Match can hold. Leave it out to create something.".to_owned()
    };
    Problem { version: Some(version), ..Problem::new(ProblemType::VersionMoved, detail) }
}
