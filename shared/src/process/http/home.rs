//! `GET /`: a small page for people, the same as JSON for programs.

use std::sync::LazyLock;

use axum::Router;
use axum::http::header::{ACCEPT, CONTENT_SECURITY_POLICY, VARY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest, Sha256};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const DOCS: &str = "/docs";
const OPENAPI: &str = "/api/openapi.json";
const API: &str = "/api/v1";

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:4rem auto;padding:0 1rem;\
color-scheme:light dark}h1{font-size:1.5rem}small{font-weight:normal;opacity:.7}dt{font-weight:600}dd{margin:0 0 .75rem}";

/// The page loads nothing, runs nothing and has one style; browsers enforce that.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).expect("base64 is a header value")
});

/// What a program is told.
#[derive(Serialize)]
struct Home {
    name: &'static str,
    version: &'static str,
    docs: &'static str,
    openapi: &'static str,
    api: &'static str,
}

#[expect(clippy::disallowed_methods, reason = "a page of every process, outside of the API")]
pub(super) fn routes() -> Router {
    Router::new().route("/", get(home))
}

async fn home(headers: HeaderMap) -> Response {
    let mut response = if prefers_html(&headers) {
        let guards = [
            (CONTENT_SECURITY_POLICY, POLICY.clone()),
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        ];
        (guards, Html(page())).into_response()
    } else {
        axum::Json(Home { name: "daybook", version: VERSION, docs: DOCS, openapi: OPENAPI, api: API })
            .into_response()
    };
    response.headers_mut().insert(VARY, HeaderValue::from_name(ACCEPT));
    response
}

fn page() -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Daybook</title>\
         <style>{STYLE}</style></head><body><h1>Daybook <small>{VERSION}</small></h1>\
         <p>A workspace of notebooks, notes and tasks in which every change is an event. \
         This is the address of its HTTP API, {API}.</p><dl>\
         <dt><a href=\"{DOCS}\">API documentation</a></dt><dd>Every route; requests can be tried out.</dd>\
         <dt><a href=\"{OPENAPI}\">OpenAPI document</a></dt><dd>The same for programs.</dd>\
         <dt><a href=\"/problems\">Problems</a></dt><dd>What each refusal means, and what to do.</dd>\
         <dt><a href=\"/livez\">Health</a></dt><dd>Whether this process answers.</dd>\
         </dl></body></html>\n"
    )
}

/// Whether a client would rather have HTML than JSON. One that takes either as gladly is a program.
fn prefers_html(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
    let ranges: Vec<Range<'_>> = lines.flat_map(|line| line.split(',')).filter_map(Range::read).collect();
    let quality = |names: [&str; 3]| {
        let named = |name| ranges.iter().find(|range: &&Range<'_>| range.media.eq_ignore_ascii_case(name));
        // The most specific range decides (RFC 9110, section 12.5.1).
        names.into_iter().find_map(named).map_or(0.0, |range| range.quality)
    };
    quality(["text/html", "text/*", "*/*"]) > quality(["application/json", "application/*", "*/*"])
}

/// One element of `Accept`: a media range, and how much it is wanted.
struct Range<'a> {
    media: &'a str,
    quality: f32,
}

impl<'a> Range<'a> {
    fn read(element: &'a str) -> Option<Self> {
        let mut parts = element.split(';').map(str::trim);
        let media = parts.next().filter(|media| !media.is_empty())?;
        let weight =
            parts.filter_map(|part| part.split_once('=')).find(|(name, _)| name.eq_ignore_ascii_case("q"));
        let quality = weight.map_or(Some(1.0), |(_, value)| value.parse().ok())?;
        Some(Self { media, quality })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_apart_from_programs_by_what_they_would_rather_have() {
        let prefers = |lines: &[&str]| {
            let lines = lines.iter().map(|line| (ACCEPT, line.parse().expect("a header's value")));
            let mut headers = HeaderMap::new();
            for (name, line) in lines {
                headers.append(name, line);
            }
            prefers_html(&headers)
        };
        for people in [
            &["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"][..],
            &["text/html"],
            &["application/json;q=0.5", "text/html"],
            &["Text/*; Q=0.7, application/json ; q=0.6"],
            &["*/*, application/json;q=0.1"],
        ] {
            assert!(prefers(people), "{people:?}");
        }
        for programs in [
            &[][..],
            &["*/*"],
            &["application/json, text/plain, */*"],
            &["text/html, application/json"],
            &["text/html;q=0.5, application/json"],
            &["text/html;q=0"],
            &["text/html;q=high"],
            &["image/png"],
            &["", ",;"],
        ] {
            assert!(!prefers(programs), "{programs:?}");
        }
    }

    #[test]
    fn the_page_refers_to_nothing_that_its_policy_forbids() {
        let page = page();
        for forbidden in ["<script", "<link", "<img", "style=", "onclick", "http:", "https:", "src="] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        assert_eq!(page.matches("<style>").count(), 1);
        for link in [DOCS, OPENAPI, "/problems", "/livez"] {
            assert!(page.contains(&format!("<a href=\"{link}\">")), "{link}");
        }
    }
}
