//! The explanations of all problems: as pages at `/problems`, for people in HTML and for programs in JSON, and as
//! docs/problems.md.

use std::fmt::Write;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::{Problem, ProblemType};

/// What stands at the beginning of docs/problems.md.
const INTRODUCTION: &str = "# Problems

When the server refuses a request, it answers with a problem (RFC 9457, `application/problem+json`). This page lists all
types of problems. It is generated: `cargo run -p daybook -- problems > docs/problems.md`. A running server has the same
explanations at `/problems`.

```json
{
  \"type\": \"/problems/note-missing\",
  \"title\": \"No such note\",
  \"status\": 404,
  \"detail\": \"There is no such note, or none that you may see.\"
}
```

- `type` names the kind of problem. Programs compare it; it never changes. It is a relative URI: the server answers a GET
  of it with its explanation.
- `title` says what happened, in the same words for every problem of the type. `detail` is about this one request. Both
  are for people, and may change.
- `errors` lists the wrong parts of a request, each with a JSON Pointer (RFC 6901) into the body and a `detail`.
- `version`, with 412, is the current version of the thing.
- `retry_after`, and the header `Retry-After`, say how many seconds to wait before trying again.

Every answer has the header `X-Request-Id`, which the server's log repeats.
";

/// A cache must not give a program the page, nor a person the JSON.
const VARIES: (HeaderName, &str) = (header::VARY, "Accept");
/// A page holds text, a style of its own, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

/// The pages `/problems` and `/problems/{slug}`.
#[expect(clippy::disallowed_methods, reason = "pages of every process, outside of the API")]
pub fn routes() -> Router {
    Router::new().route("/problems", get(list)).route("/problems/{slug}", get(one))
}

async fn list(headers: HeaderMap) -> Response {
    if !wants_html(&headers) {
        return data(json!({"items": ProblemType::all().map(about).collect::<Vec<_>>()}));
    }
    let mut body = String::from("<h1>Problems</h1>");
    for (heading, kinds) in ProblemType::GROUPS {
        _ = write!(body, "<h2>{heading}</h2><dl>");
        for kind in *kinds {
            let (uri, slug, title) = (kind.uri(), kind.slug(), kind.title());
            _ = write!(body, "<dt><a href=\"{uri}\"><code>{slug}</code></a></dt><dd>{title}</dd>");
        }
        body.push_str("</dl>");
    }
    page("Problems", &body)
}

async fn one(Path(slug): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let kind = ProblemType::find(&slug).ok_or_else(|| {
        Problem::new(ProblemType::NotFound, "There is no such type of problem; /problems lists all.")
    })?;
    if !wants_html(&headers) {
        return Ok(data(about(kind)));
    }
    let (title, status, explanation) = (kind.title(), kind.status(), to_html(kind.explanation()));
    let body = format!(
        "<h1>{title}</h1><p><code>{slug}</code>, answered with {status}</p><p>{explanation}</p>\
         <p><a href=\"/problems\">All problems</a></p>"
    );
    Ok(page(title, &body))
}

fn about(kind: ProblemType) -> Value {
    json!({
        "type": kind,
        "title": kind.title(),
        "status": kind.status().as_u16(),
        "explanation": kind.explanation(),
    })
}

/// Browsers name HTML among what they accept; other clients seldom do.
fn wants_html(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.any(|accepted| accepted.contains("text/html"))
}

fn data(body: Value) -> Response {
    ([VARIES], Json(body)).into_response()
}

fn page(title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title} · Daybook</title>\
         <style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:42rem;margin:2rem auto;padding:0 1rem}}</style>\
         {body}"
    );
    ([VARIES, (header::CONTENT_SECURITY_POLICY, POLICY)], Html(html)).into_response()
}

/// Markdown that holds no more than `code`, as HTML.
fn to_html(markdown: &str) -> String {
    let safe = markdown.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut html = String::new();
    for (nth, part) in safe.split('`').enumerate() {
        match nth {
            0 => (),
            odd if !odd.is_multiple_of(2) => html.push_str("<code>"),
            _ => html.push_str("</code>"),
        }
        html.push_str(part);
    }
    html
}

/// The text of docs/problems.md.
pub fn markdown() -> String {
    let mut text = INTRODUCTION.to_owned();
    for (heading, kinds) in ProblemType::GROUPS {
        _ = write!(
            text,
            "\n## {heading}\n\n| type | status | meaning, and what to do |\n| --- | --- | --- |\n"
        );
        for kind in *kinds {
            let (slug, status, title) = (kind.slug(), kind.status().as_u16(), kind.title());
            let explanation = kind.explanation();
            _ = writeln!(text, "| `{slug}` | {status} | **{title}.** {explanation} |");
        }
    }
    text
}
