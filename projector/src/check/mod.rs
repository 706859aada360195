//! Compares the live tables with the log: builds the tables beside them up to the same position, and compares every
//! column of every row, both ways, in one snapshot.

mod compare;

use sqlx::{Executor, PgPool};

use crate::engine::Engine;
use crate::engine::checkpoint::{Checkpoint, Standing};
use crate::shadow_build::{ShadowBuild, ShadowBuildError};
use compare::{compare, tables};

pub use compare::{Difference, What};

/// This few events may be folded while the projector waits.
const NEAR: i64 = 1_000;
/// How long the projector may take to end its batch.
const LOCK: &str = "set local lock_timeout = '30s'";

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The position at which both were compared.
    pub position: i64,
    /// How many rows the log makes.
    pub rows: i64,
    /// How many rows are not as they should be.
    pub different: i64,
    /// The first of them, of each table.
    pub first: Vec<Difference>,
}

impl ShadowBuild {
    /// Compares the live tables with the log. They are fed and served meanwhile; what was built is dropped in the end,
    /// or by the next run.
    pub async fn check(&self) -> Result<Report, ShadowBuildError> {
        let session = self.enter().await?;
        let side = format!("{}_check", self.schema);
        let live = self.pool(&self.schema);
        if !self.has(&live, &self.schema).await? {
            return Err(ShadowBuildError::Missing);
        }
        self.clear(&live, &side).await?;
        let report = self.compare_with(&live, &side).await;
        self.remove(&live, &side).await?;
        self.leave(session).await?;
        report
    }

    async fn compare_with(&self, live: &PgPool, side: &str) -> Result<Report, ShadowBuildError> {
        let mut engine = self.engine(side).await?;
        self.approach(live, side, &mut engine).await?;
        self.complete(side).await?;
        self.approach(live, side, &mut engine).await?;
        // The projector waits from here until there is a snapshot in which both are at one position.
        let mut pause = live.begin().await?;
        pause.execute(LOCK).await?;
        let position = Checkpoint::lock(&mut pause).await?.position;
        engine.catch_up_to(position).await?;
        let mut snapshot = live.begin().await?;
        snapshot.execute("set transaction isolation level repeatable read, read only").await?;
        let tables = tables(&mut snapshot, side).await?;
        pause.rollback().await?;
        let mut report = Report { position, ..Report::default() };
        for table in &tables {
            tracing::info!(table = table.name, "Comparing");
            compare(&mut snapshot, &self.schema, side, table, &mut report).await?;
        }
        Ok(report)
    }

    /// Comes near to where the live tables are, which goes on meanwhile.
    async fn approach(&self, live: &PgPool, side: &str, engine: &mut Engine) -> Result<(), ShadowBuildError> {
        loop {
            let checkpoint = Checkpoint::read(live).await?;
            if checkpoint.standing(live, engine.epoch()).await? == Standing::Parted {
                return Err(ShadowBuildError::Parted);
            }
            if checkpoint.position - engine.position() <= NEAR {
                return Ok(());
            }
            self.fold(live, engine, side, checkpoint.position).await?;
        }
    }

    async fn remove(&self, live: &PgPool, side: &str) -> Result<(), ShadowBuildError> {
        crate::tables::retire(live, side).await?;
        self.sweep(live).await;
        Ok(())
    }
}
