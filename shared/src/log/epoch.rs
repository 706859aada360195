//! Epochs: each one names a history of the log. When a restore or a failover makes histories differ, a new epoch
//! begins.

use std::fmt;

use serde::{Deserialize, Serialize};
use sqlx::{PgExecutor, PgPool};

use crate::domain::clock::random;

/// The name of a history: 8 hex digits. The stream carries it in its name, so two histories never share one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(try_from = "String")]
#[sqlx(transparent)]
pub struct EpochId(String);

/// The text is not the name of an epoch.
#[derive(Debug, thiserror::Error)]
#[error("an epoch is named by 8 hex digits in lower case")]
pub struct NotAnEpoch;

impl EpochId {
    /// A new random name.
    pub fn fresh() -> Self {
        Self(hex::encode(random::<4>()))
    }

    /// The 8 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for EpochId {
    type Error = NotAnEpoch;

    fn try_from(text: String) -> Result<Self, NotAnEpoch> {
        let hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if hex && text.len() == 8 { Ok(Self(text)) } else { Err(NotAnEpoch) }
    }
}

impl fmt::Display for EpochId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which Postgres wrote a history. A failover changes the timeline, another cluster has another identifier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The timeline; `None` if the server does not say.
    pub timeline: Option<i32>,
    /// The identifier of the cluster; `None` if the server does not say.
    pub system_identifier: Option<String>,
}

impl Origin {
    /// Whether `self` is known to be another server than `other`. Missing values count as equal.
    pub fn differs(&self, other: &Self) -> bool {
        fn apart<T: PartialEq>(one: Option<&T>, two: Option<&T>) -> bool {
            one.is_some() && two.is_some() && one != two
        }
        apart(self.timeline.as_ref(), other.timeline.as_ref())
            || apart(self.system_identifier.as_ref(), other.system_identifier.as_ref())
    }
}

/// A row of `es.epoch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// Its name.
    pub epoch: EpochId,
    /// Its place in the order of epochs.
    pub seq: i64,
    /// Up to this position it certainly equals the history before it.
    pub agreed_position: i64,
    /// Why it began.
    pub reason: String,
    /// Where it is written.
    pub origin: Origin,
}

/// The epoch in force; `None` before the first.
pub async fn current(executor: impl PgExecutor<'_>) -> sqlx::Result<Option<Epoch>> {
    let row = sqlx::query!(
        r#"select epoch as "epoch: EpochId", seq, agreed_position, reason, timeline, system_identifier
             from es.epoch order by seq desc limit 1"#
    )
    .fetch_optional(executor)
    .await?;
    Ok(row.map(|row| Epoch {
        epoch: row.epoch,
        seq: row.seq,
        agreed_position: row.agreed_position,
        reason: row.reason,
        origin: Origin { timeline: row.timeline, system_identifier: row.system_identifier },
    }))
}

/// The names of the epochs that are at least two behind the one in force.
pub async fn bygone(executor: impl PgExecutor<'_>) -> sqlx::Result<Vec<EpochId>> {
    sqlx::query_scalar!(r#"select epoch as "epoch: EpochId" from es.epoch order by seq desc offset 2"#)
        .fetch_all(executor)
        .await
}

/// Which Postgres this is, as far as it says.
pub async fn origin(pool: &PgPool) -> sqlx::Result<Origin> {
    // From the name of the segment being written: the control file names the timeline of the last checkpoint,
    // which after a promotion is still the old one for a while.
    let timeline = sqlx::query_scalar!(
        r#"select ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int as "timeline!""#
    );
    let system =
        sqlx::query_scalar!(r#"select system_identifier::text as "system!" from pg_control_system()"#);
    Ok(Origin {
        timeline: permitted(timeline.fetch_one(pool).await)?,
        system_identifier: permitted(system.fetch_one(pool).await)?,
    })
}

/// Managed servers may refuse to say this.
fn permitted<T>(answer: sqlx::Result<T>) -> sqlx::Result<Option<T>> {
    const INSUFFICIENT_PRIVILEGE: &str = "42501";
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(INSUFFICIENT_PRIVILEGE) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Begins a new epoch after `before`; `false` if another one already did, and then nothing is written.
pub async fn begin(
    pool: &PgPool,
    before: Option<&Epoch>,
    agreed_position: i64,
    reason: &str,
    origin: &Origin,
) -> sqlx::Result<bool> {
    /// Any number, the same in all processes: of two that see a parting at once, one begins the epoch.
    const LOCK: i64 = 0x6461_7962_6f6f_6b02;
    let mut transaction = pool.begin().await?;
    sqlx::query!("select pg_advisory_xact_lock($1)", LOCK).execute(&mut *transaction).await?;
    let begun = sqlx::query!(
        "insert into es.epoch (epoch, agreed_position, reason, timeline, system_identifier)
         select $1, $2, $3, $4, $5
          where (select max(seq) from es.epoch) is not distinct from $6",
        EpochId::fresh() as _,
        agreed_position,
        reason,
        origin.timeline,
        origin.system_identifier.as_deref(),
        before.map(|epoch| epoch.seq)
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(begun.rows_affected() == 1)
}

#[cfg(test)]
mod tests {
    use super::{EpochId, Origin};

    #[test]
    fn a_name_is_8_hex_digits() {
        assert!(EpochId::try_from(EpochId::fresh().as_str().to_owned()).is_ok());
        for wrong in ["", "0123456", "0123456G", "0123456A", "012345678", "a.*.>", "ééé12"] {
            assert!(EpochId::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_known_does_not_differ() {
        let origin = |timeline, system: Option<&str>| Origin {
            timeline,
            system_identifier: system.map(str::to_owned),
        };
        assert!(!origin(None, None).differs(&origin(Some(2), Some("7"))));
        assert!(!origin(Some(2), None).differs(&origin(Some(2), Some("7"))));
        assert!(origin(Some(1), Some("7")).differs(&origin(Some(2), Some("7"))));
        assert!(origin(Some(1), Some("7")).differs(&origin(Some(1), Some("8"))));
    }
}
