//! Requests to a router, without a server between.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderName, Method, Request, header};
use serde_json::Value;
use tower::ServiceExt;

/// What a login gave.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// The access token.
    pub access: String,
    /// The refresh token.
    pub refresh: String,
    /// Whose they are.
    pub user: String,
}

/// A request.
#[derive(Clone, Debug)]
pub struct TestRequest {
    method: Method,
    path: String,
    body: Option<Value>,
    headers: Vec<(HeaderName, String)>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The tag, with its quotes.
    pub etag: Option<String>,
    /// All headers.
    pub headers: HeaderMap,
    /// The body; null if it is no JSON.
    pub body: Value,
}

/// Answers are equal that say the same: every one has an id and a time of its own in its headers.
impl PartialEq for Answer {
    fn eq(&self, other: &Self) -> bool {
        (self.status, &self.etag, &self.body) == (other.status, &other.etag, &other.body)
    }
}

impl TestRequest {
    /// A read.
    pub fn get(path: &str) -> Self {
        Self::new(Method::GET, path, None)
    }

    /// A command that makes something.
    pub fn post(path: &str, body: &Value) -> Self {
        Self::new(Method::POST, path, Some(body.clone()))
    }

    /// A command that changes something.
    pub fn patch(path: &str, body: &Value) -> Self {
        Self::new(Method::PATCH, path, Some(body.clone()))
    }

    /// A command that removes something.
    pub fn delete(path: &str) -> Self {
        Self::new(Method::DELETE, path, None)
    }

    /// A command without a body.
    pub fn command(path: &str) -> Self {
        Self::new(Method::POST, path, None)
    }

    fn new(method: Method, path: &str, body: Option<Value>) -> Self {
        Self { method, path: path.to_owned(), body, headers: Vec::new() }
    }

    /// As somebody who has logged in.
    #[must_use]
    pub fn by(self, tokens: &Tokens) -> Self {
        self.bearer(&tokens.access)
    }

    /// With an access token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.only(header::AUTHORIZATION, &format!("Bearer {token}"))
    }

    /// With an idempotency key.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        self.only(HeaderName::from_static("idempotency-key"), key)
    }

    /// If this is still the version.
    #[must_use]
    pub fn if_match(self, version: i64) -> Self {
        self.header(header::IF_MATCH, &format!("\"{version}\""))
    }

    /// With one more line of a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, line: &str) -> Self {
        self.headers.push((name, line.to_owned()));
        self
    }

    fn only(mut self, name: HeaderName, line: &str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.header(name, line)
    }

    /// Asks a router, and waits for the whole answer.
    pub async fn send(self, router: &Router) -> Answer {
        let response = router.clone().oneshot(self.request()).await.expect("a router never fails");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let etag = headers.get(header::ETAG).map(|tag| tag.to_str().expect("text").to_owned());
        let bytes = to_bytes(response.into_body(), usize::MAX).await.expect("a whole body");
        Answer { status, etag, headers, body: serde_json::from_slice(&bytes).unwrap_or_default() }
    }

    fn request(self) -> Request<Body> {
        let mut request = Request::builder().method(&self.method).uri(self.path);
        if self.method != Method::GET {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, line) in self.headers {
            request = request.header(name, line);
        }
        let body = self.body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        request.body(body).expect("a good request")
    }
}

impl Answer {
    /// A number in the body.
    pub fn number(&self, field: &str) -> i64 {
        self.body[field].as_i64().unwrap_or_else(|| panic!("no {field} in {self:?}"))
    }

    /// The version of a thing that was changed, or stayed as it was.
    pub fn version(&self) -> i64 {
        assert_eq!(self.status, 200, "{self:?}");
        self.number("version")
    }

    /// The status, and which problem.
    pub fn refusal(&self) -> (u16, &str) {
        let kind = self.body["type"].as_str().and_then(|kind| kind.strip_prefix("/problems/"));
        (self.status, kind.unwrap_or_default())
    }

    /// Fails if it is not this problem.
    pub fn is_refused(&self, status: u16, slug: &str) {
        assert!(self.refusal() == (status, slug), "{status} {slug}, not {self:?}");
    }

    /// A header; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().expect("text")).unwrap_or_default()
    }

    /// One field of every item of a list.
    pub fn items(&self, field: &str) -> Vec<String> {
        let items = self.body["items"].as_array().expect("a list");
        items.iter().map(|item| item[field].as_str().expect("a text").to_owned()).collect()
    }
}

impl From<&Value> for Tokens {
    fn from(body: &Value) -> Self {
        let text = |field: &str| body[field].as_str().expect("a login has it").to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token"), user: text("user_id") }
    }
}

/// The id that an answer names.
pub fn id(body: &Value) -> String {
    body["id"].as_str().expect("an id").to_owned()
}
