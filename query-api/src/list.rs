//! What the query of a list says: which things, and which page of them.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shared::process::auth::Caller;
use shared::process::http::Query;
use shared::process::problem::Problem;
use utoipa::IntoParams;

use crate::after;
use crate::app::QueryApp;
use crate::cursor::{CursorKey, Limit, Paging};
use crate::watermark::After;

/// The parameters that every list takes.
const EVERYWHERE: [&str; 3] = ["limit", "cursor", "after"];

/// What a list can be asked for; its cursors are good for the same filters only.
pub(crate) trait Filters: Serialize + DeserializeOwned + Send {
    /// The list, among those of the query API.
    const LIST: &'static str;
}

/// The query of a list: its filters, and the page.
///
/// 400 for a bad or unknown parameter and for a cursor of another list. Then waits for `after`; see [`after::wait`].
pub(crate) struct List<F, K = CursorKey> {
    pub(crate) filters: F,
    pub(crate) paging: Paging<K>,
}

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// How many at most.
    #[serde(default)]
    #[param(value_type = Option<u8>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Wait until reads are at this position: `<epoch>-<n>` as the header `Position` gave it, or `<n>`.
    #[serde(default, deserialize_with = "after::read")]
    #[param(value_type = Option<String>, pattern = "^([0-9a-f]{8}-)?[0-9]{1,18}$")]
    after: Option<After>,
}

impl<F: Filters, K: Serialize + DeserializeOwned + Send> FromRequestParts<QueryApp> for List<F, K> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &QueryApp) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let (page, filters) = split(parts.uri.query().unwrap_or_default());
        let Query(page) = Query::<PageQuery>::read(&page)?;
        let Query(filters) = Query::<F>::read(&filters).map_err(|mut problem| {
            problem.detail.push_str(" Besides its filters, a list takes limit, cursor and after.");
            problem
        })?;
        let way = (F::LIST, caller.user, &filters);
        let paging = Paging::new(app, way, page.limit, page.cursor.as_deref())?;
        after::wait(&app.watermark, page.after.as_ref()).await?;
        Ok(Self { filters, paging })
    }
}

/// The parameters of every list, and the others. Serde could take one struct out of another by itself, but would read no
/// numbers then (serde-rs/serde, issue 1183).
fn split(query: &str) -> (String, String) {
    let name = |pair: &str| {
        percent_decode_str(pair.split('=').next().unwrap_or_default()).decode_utf8_lossy().into_owned()
    };
    let (page, filters): (Vec<_>, Vec<_>) =
        query.split('&').partition(|pair| EVERYWHERE.contains(&name(pair).as_str()));
    (page.join("&"), filters.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_a_name_is_written_it_is_found() {
        let (page, filters) = split("note_id=1&limit=5&%61fter=7&q=limit&limits=3&cursor&=x");
        assert_eq!(page, "limit=5&%61fter=7&cursor");
        assert_eq!(filters, "note_id=1&q=limit&limits=3&=x");
        assert_eq!(split(""), (String::new(), String::new()));
    }

    #[test]
    fn the_names_are_those_of_the_parameters() {
        let names: Vec<_> =
            PageQuery::into_params(|| None).into_iter().map(|parameter| parameter.name).collect();
        assert_eq!(names, EVERYWHERE);
    }
}
