//! Read your writes: a read waits until the read tables have reached the position that the client names.

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::{Deserialize, Deserializer, de};
use shared::process::http::Query;
use shared::process::problem::{Problem, ProblemType};
use tokio::time::Instant;
use utoipa::IntoParams;

use crate::answer::building;
use crate::app::QueryApp;
use crate::watermark::{After, WaitError, Watermark};

/// How long a read waits. If it waited longer, clients would give up.
const PATIENCE: Duration = Duration::from_secs(2);

/// When to read one thing. As an argument of a handler it waits, so it stands after those that refuse.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct When {
    /// Wait until reads are at this position: `<epoch>-<n>` as the header `Position` gave it, or `<n>`.
    #[serde(default, deserialize_with = "read")]
    #[param(value_type = Option<String>, pattern = "^([0-9a-f]{8}-)?[0-9]{1,18}$")]
    after: Option<After>,
}

impl FromRequestParts<QueryApp> for When {
    type Rejection = Problem;

    /// Waits before anything is read; see [`wait`].
    async fn from_request_parts(parts: &mut Parts, app: &QueryApp) -> Result<Self, Problem> {
        let Query(when) = Query::<Self>::from_request_parts(parts, app).await?;
        wait(&app.watermark, when.after.as_ref()).await?;
        Ok(when)
    }
}

/// Waits for what the caller has seen, if it says so. Nobody holds a connection meanwhile. Refused while the tables are
/// being built.
pub(crate) async fn wait(watermark: &Watermark, after: Option<&After>) -> Result<(), Problem> {
    if let Some(mark) = watermark.building() {
        return Err(building(Some(&mark)));
    }
    let Some(after) = after else { return Ok(()) };
    watermark.wait(after, Instant::now() + PATIENCE).await.map_err(|refused| match refused {
        WaitError::TooLate => not_yet("The read tables have not reached the position in `after` yet. Try again."),
        WaitError::EpochChanged => Problem::new(
            ProblemType::EpochChanged,
            "`after` is a position of another history, because this server was restored. Discard what you have, and read without `after`.",
        ),
    })
}

/// 503 for what the log holds and the tables do not hold yet.
pub(crate) fn not_yet(detail: &str) -> Problem {
    Problem::passing(ProblemType::NotYet, detail, 1)
}

/// Reads the parameter `after`.
pub(crate) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<After>, D::Error> {
    String::deserialize(deserializer)?.parse().map(Some).map_err(de::Error::custom)
}
