//! Problems as clients meet them: each type explains itself at the address that it names, and each is used.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use shared::process::http::{Health, Origins, middleware};
use shared::process::problem::ProblemType;
use tower::ServiceExt;
use utoipa::openapi::OpenApi;

struct Ready;

impl Health for Ready {
    async fn complaints(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A process without routes of its own.
fn process() -> Router {
    middleware(Router::new(), OpenApi::default(), &Origins::default(), Ready)
}

/// The status, the content type and the body of an answer.
async fn get(path: &str, accept: Option<&str>) -> (StatusCode, String, String) {
    let request = Request::get(path);
    let request = if let Some(accept) = accept { request.header("accept", accept) } else { request };
    let response =
        process().oneshot(request.body(Body::empty()).expect("a request")).await.expect("infallible");
    let status = response.status();
    let media = response.headers()["content-type"].to_str().expect("ASCII").to_owned();
    let body = response.into_body().collect().await.expect("a whole body").to_bytes();
    (status, media, String::from_utf8(body.to_vec()).expect("UTF-8"))
}

#[tokio::test]
async fn every_type_of_problem_explains_itself_at_the_address_it_names() {
    for kind in ProblemType::all() {
        let (status, media, body) = get(&kind.uri(), None).await;
        let body: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!((status, media.as_str()), (StatusCode::OK, "application/json"), "{kind:?}");
        assert_eq!((&body["type"], &body["title"]), (&json!(kind.uri()), &json!(kind.title())), "{kind:?}");
        let (_, media, page) = get(&kind.uri(), Some("text/html,application/xhtml+xml,*/*;q=0.8")).await;
        assert!(media.starts_with("text/html") && page.contains(kind.title()), "{kind:?}: {page}");
    }
}

#[tokio::test]
async fn the_list_names_every_type_of_problem() {
    let (_, _, body) = get("/problems", Some("application/json")).await;
    let body: Value = serde_json::from_str(&body).expect("JSON");
    let listed = body["items"].as_array().expect("a list");
    assert_eq!(listed.len(), ProblemType::all().count());
    let (_, _, page) = get("/problems", Some("text/html")).await;
    for kind in ProblemType::all() {
        assert!(page.contains(&format!("href=\"{}\"", kind.uri())), "{kind:?}");
    }
}

#[tokio::test]
async fn an_unknown_type_of_problem_is_not_found() {
    let (status, media, body) = get("/problems/no-such-slug", Some("text/html")).await;
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, media.as_str()), (StatusCode::NOT_FOUND, "application/problem+json"));
    assert_eq!(body["type"], "/problems/not-found");
}

#[test]
fn every_type_of_problem_is_answered_somewhere() {
    let mut unused: BTreeSet<String> =
        ProblemType::all().map(|kind| format!("ProblemType::{kind:?}")).collect();
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..")) {
        let text = std::fs::read_to_string(&file).expect("a source file");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let names = code.match_indices("ProblemType::").map(|(at, _)| {
            let rest = &code[at + "ProblemType::".len()..];
            let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(rest.len());
            &code[at..at + "ProblemType::".len() + end]
        });
        for name in names {
            unused.remove(name);
        }
    }
    assert!(unused.is_empty(), "no code answers with {unused:?}; take them off the list");
}

/// The Rust files of the services, without their tests.
fn sources(root: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        ["shared", "command-api", "query-api", "projector"].map(|name| root.join(name).join("src")).into();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder of the workspace") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}
