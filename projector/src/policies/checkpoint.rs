//! How far a policy has come, and which of its commands were refused: both are written in one statement.

use shared::log::epoch::{self, EpochId};
use shared::log::event::Recorded;
use shared::process::problem::Problem;
use sqlx::PgPool;

use super::run::Stopped;

/// Up to where a policy has seen the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checkpoint {
    policy: &'static str,
    pub(super) position: i64,
    epoch: EpochId,
}

/// A refused command of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The event that it reacted to.
    pub(super) position: i64,
    /// The id of the thing that it wanted to change.
    pub(super) aggregate: String,
    /// Who caused the event, and for whom it acted.
    pub(super) person: String,
    /// The refusal.
    pub(super) problem: Problem,
}

impl Refusal {
    pub(super) fn new(event: &Recorded, problem: Problem) -> Self {
        let (aggregate, person) = (event.aggregate.id.clone(), event.meta.actor.clone());
        Self { position: event.position, aggregate, person, problem }
    }
}

impl Checkpoint {
    /// The policy's checkpoint in the current history. A policy that has never run begins at the beginning. After a
    /// restore it goes back to the last position at which the histories agree.
    pub(super) async fn read(pool: &PgPool, policy: &'static str) -> Result<Self, Stopped> {
        let now = epoch::current(pool).await?.ok_or(Stopped::NoEpoch)?;
        let row = sqlx::query!("select position, epoch from es.policy where name = $1", policy);
        let position = match row.fetch_optional(pool).await? {
            Some(row) if row.epoch == now.epoch.as_str() => row.position,
            Some(row) => row.position.min(now.agreed_position),
            None => 0,
        };
        sqlx::query!(
            "insert into es.policy (name, position, epoch) values ($1, $2, $3)
             on conflict (name) do update set position = excluded.position, epoch = excluded.epoch
               where policy.epoch <> excluded.epoch",
            policy,
            position,
            now.epoch.as_str()
        )
        .execute(pool)
        .await?;
        Ok(Self { policy, position, epoch: now.epoch })
    }

    /// Moves the checkpoint, and records which commands were refused. A policy that goes back is refused again, which is
    /// recorded only once.
    pub(super) async fn moved(&mut self, pool: &PgPool, to: i64, refused: &[Refusal]) -> Result<(), Stopped> {
        let moved = sqlx::query_scalar!(
            r#"with moved as (
                 update es.policy set position = $1 where name = $2 and position = $3 and epoch = $4
                 returning name
               ), recorded as (
                 insert into es.refusal (policy, position, aggregate_id, person, slug, detail)
                 select m.name, r.position, r.aggregate_id, r.person, r.slug, r.detail
                   from moved m
                   cross join unnest($5::bigint[], $6::text[], $7::text[], $8::text[], $9::text[])
                     r (position, aggregate_id, person, slug, detail)
                 on conflict do nothing
               )
               select count(*) as "count!" from moved"#,
            to,
            self.policy,
            self.position,
            self.epoch.as_str(),
            &refused.iter().map(|refusal| refusal.position).collect::<Vec<_>>()[..],
            &refused.iter().map(|refusal| refusal.aggregate.clone()).collect::<Vec<_>>()[..],
            &refused.iter().map(|refusal| refusal.person.clone()).collect::<Vec<_>>()[..],
            &refused.iter().map(|refusal| refusal.problem.kind.slug().to_owned()).collect::<Vec<_>>()[..],
            &refused.iter().map(|refusal| words(&refusal.problem)).collect::<Vec<_>>()[..]
        );
        if moved.fetch_one(pool).await? == 0 {
            return Err(Stopped::Overtaken);
        }
        for Refusal { position, aggregate, problem, .. } in refused {
            let (slug, detail) = (problem.kind.slug(), words(problem));
            tracing::warn!(policy = self.policy, position, aggregate, slug, detail, "A policy was refused");
        }
        self.position = to;
        Ok(())
    }
}

/// The words of the rule, and the part of the request that it is about.
fn words(problem: &Problem) -> String {
    let parts = problem.errors.iter().map(|part| format!("{}: {}", part.pointer, part.detail));
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() { problem.detail.clone() } else { parts.join("; ") }
}
