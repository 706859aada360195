//! Reading one's own writes: a read waits until the tables have come as far as the caller has seen.

use std::time::Duration;

use axum::http::StatusCode;
use serde::{Deserialize, Deserializer, de};
use shared::problem::Problem;
use tokio::time::Instant;
use utoipa::IntoParams;

use crate::answer::building;
use crate::watermark::{After, WaitError, Watermark};

/// How long a read waits. Longer, and callers think that nobody is there.
const PATIENCE: Duration = Duration::from_secs(2);

/// When to read one thing.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct When {
    /// Wait until reads are at this position: `<epoch>-<n>` as the header `Position` gave it, or `<n>`.
    #[serde(default, deserialize_with = "read")]
    #[param(value_type = Option<String>)]
    pub(crate) after: Option<After>,
}

/// Waits for what the caller has seen, if it says so. Nobody holds a connection meanwhile. Refused while the tables are
/// being built.
pub(crate) async fn wait(watermark: &Watermark, after: Option<&After>) -> Result<(), Problem> {
    if let Some(mark) = watermark.building() {
        return Err(building(Some(&mark)));
    }
    let Some(after) = after else { return Ok(()) };
    watermark.wait(after, Instant::now() + PATIENCE).await.map_err(|refused| match refused {
        WaitError::TooLate => not_yet("The tables have not come as far as `after` says yet. Try again."),
        WaitError::EpochChanged => Problem::new(
            StatusCode::CONFLICT,
            "epoch-changed",
            "`after` is a position of another history: this server was restored. Read without it, and begin anew.",
        ),
    })
}

/// 503 for what the log holds and the tables do not hold yet.
pub(crate) fn not_yet(detail: &str) -> Problem {
    Problem::unavailable("not-yet", detail, 1)
}

/// Reads the parameter `after`.
pub(crate) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<After>, D::Error> {
    String::deserialize(deserializer)?.parse().map(Some).map_err(de::Error::custom)
}
