//! What clients of every kind may rely on, over the real program: conditions, ids of requests, forms of bodies, caches.

use e2e::{Daybook, PASSWORD, Person};
use reqwest::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use shared::process::http::{CORRELATION_ID, REQUEST_ID};

struct World {
    daybook: Daybook,
    ada: Person,
    /// The path of a note.
    note: String,
    id: String,
}

impl World {
    async fn start() -> Self {
        let daybook = Daybook::start().await.expect("a Daybook");
        let ada = daybook.person("ada").await.expect("an account");
        let name = json!({"name": "Lab"});
        let notebook = daybook.accepted(&ada, Method::POST, "/api/v1/notebooks", &name).await.expect("made");
        let new = json!({"notebook_id": notebook, "title": "Dreams"});
        let id = daybook.accepted(&ada, Method::POST, "/api/v1/notes", &new).await.expect("made");
        Self { daybook, ada, note: format!("/api/v1/notes/{id}"), id }
    }

    fn send(&self, method: Method, path: &str) -> RequestBuilder {
        self.daybook.request(method, path).bearer_auth(&self.ada.access_token)
    }

    async fn read(&self) -> Response {
        let head = self.daybook.head().await.expect("a position");
        let path = format!("{}?after={head}", self.note);
        self.send(Method::GET, &path).send().await.expect("an answer")
    }

    fn retitle(&self, title: &str) -> RequestBuilder {
        self.send(Method::PATCH, &self.note).json(&json!({"title": title}))
    }
}

/// The status, and what the answer says.
async fn answer(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

fn text(answer: &Response, header: impl reqwest::header::AsHeaderName) -> String {
    answer.headers().get(header).map(|value| value.to_str().expect("text").to_owned()).unwrap_or_default()
}

#[tokio::test]
async fn the_tag_of_a_read_is_the_condition_of_a_command() {
    let world = World::start().await;
    let tag = text(&world.read().await, ETAG);
    assert!(tag.starts_with("\"1."), "{tag}");
    let block = json!({"note_id": world.id, "type": "text", "content": {"text": "Once"}});
    let blocks = "/api/v1/blocks";
    world.daybook.accepted(&world.ada, Method::POST, blocks, &block).await.expect("made");
    let with_block = text(&world.read().await, ETAG);
    assert!(with_block.starts_with("\"1.") && with_block != tag, "{with_block}");

    // The note itself has not moved, whatever its blocks did.
    let retitled = world.retitle("Plans").header(IF_MATCH, &tag).send().await.expect("an answer");
    assert_eq!((retitled.status().as_u16(), text(&retitled, ETAG).as_str()), (200, "\"2\""));
    let (status, problem) = answer(world.retitle("Other").header(IF_MATCH, &with_block)).await;
    assert_eq!((status, &problem["version"]), (412, &json!(2)), "{problem}");

    let tag = text(&world.read().await, ETAG);
    let seen = world.send(Method::GET, &world.note).header(IF_NONE_MATCH, format!("\"x\", W/{tag}"));
    assert_eq!(seen.send().await.expect("an answer").status(), 304);
    let both = world.retitle("Both").header(IF_MATCH, "\"1\"").header(IF_MATCH, &tag);
    assert_eq!(both.send().await.expect("an answer").status(), 200, "two lines are one list");
    let weak = world.retitle("Weak").header(IF_MATCH, "W/\"3\"");
    assert_eq!(weak.send().await.expect("an answer").status(), 412);
}

#[tokio::test]
async fn an_unusable_id_of_a_request_refuses_no_write() {
    let world = World::start().await;
    let long = "a".repeat(201);
    for (nth, unusable) in ["", "ä", &long].into_iter().enumerate() {
        let retitle = world.retitle(&format!("Dream {nth}"));
        let retitle = retitle.header(REQUEST_ID, unusable).header(CORRELATION_ID, unusable);
        let answer = retitle.send().await.expect("an answer");
        let used = text(&answer, REQUEST_ID);
        assert_eq!((answer.status().as_u16(), used.len()), (200, 36), "{used}");
    }
    let named = world.retitle("Named").header(REQUEST_ID, "mine").send().await.expect("an answer");
    assert_eq!((named.status().as_u16(), text(&named, REQUEST_ID).as_str()), (200, "mine"));
    let unkeyed = world.retitle("Unkeyed").header("Idempotency-Key", &long);
    assert_eq!(answer(unkeyed).await.0, 400, "it could take effect twice");
}

#[tokio::test]
async fn a_body_is_plain_json_in_which_every_member_stands_once() {
    let world = World::start().await;
    let sent = |method: Method, path: &str, content_type: &str, body: &str| {
        world.send(method, path).header(CONTENT_TYPE, content_type).body(body.to_owned())
    };
    let json_type = "application/json";
    let patched = sent(
        Method::PATCH,
        &world.note,
        "application/merge-patch+json; charset=utf-8",
        r#"{"title": "Plans"}"#,
    );
    assert_eq!(answer(patched).await.0, 200);
    let posted =
        sent(Method::POST, "/api/v1/notebooks", "application/merge-patch+json", r#"{"name": "Lab"}"#);
    assert_eq!(answer(posted).await.0, 415);

    let patch = |body: &str| sent(Method::PATCH, &world.note, json_type, body);
    let compressed =
        patch("\u{1f}\u{8b}").header("Content-Encoding", "gzip").send().await.expect("an answer");
    assert_eq!(
        (compressed.status().as_u16(), text(&compressed, "accept-encoding").as_str()),
        (415, "identity")
    );
    let latin =
        sent(Method::PATCH, &world.note, "application/json; charset=iso-8859-1", r#"{"title": "Plans"}"#);
    assert_eq!(answer(latin).await.0, 415);

    let block = format!(
        r#"{{"note_id": "{}", "type": "text", "content": {{"text": "a", "spans": [], "text": "b"}}}}"#,
        world.id
    );
    for (request, pointer) in [
        (patch(r#"{"title": "a", "title": "b"}"#), "/title"),
        (sent(Method::POST, "/api/v1/blocks", json_type, &block), "/content/text"),
        (
            sent(Method::PATCH, "/api/v1/me", json_type, r#"{"preferences": {"a": [{"b": 1, "b": 1}]}}"#),
            "/preferences/a/0/b",
        ),
    ] {
        let (status, problem) = answer(request).await;
        assert_eq!((status, &problem["errors"][0]["pointer"]), (400, &json!(pointer)), "{problem}");
    }
}

#[tokio::test]
async fn tokens_are_never_kept_and_reads_only_by_who_asked() {
    let world = World::start().await;
    let login = json!({"login": world.ada.email, "password": PASSWORD});
    let refresh = json!({"refresh_token": world.ada.refresh_token});
    let register = json!({"email": "bob@example.org", "password": PASSWORD});
    let wrong = json!({"login": "nobody", "password": PASSWORD});
    let auth =
        |name: &str, body: &Value| world.send(Method::POST, &format!("/api/v1/auth/{name}")).json(body);
    let kept = async |request: RequestBuilder| text(&request.send().await.expect("an answer"), CACHE_CONTROL);
    for request in [
        auth("register", &register),
        auth("login", &login),
        auth("login", &wrong),
        auth("refresh", &refresh),
        world.send(Method::POST, "/api/v1/live/tickets"),
        world.send(Method::GET, "/api/v1/notes/none"),
        world.retitle("Plans"),
    ] {
        assert_eq!(kept(request).await, "no-store");
    }
    for path in ["/api/v1/me", "/api/v1/notes", &world.note] {
        assert_eq!(kept(world.send(Method::GET, path)).await, "private, no-cache", "{path}");
    }
    assert_eq!(kept(world.send(Method::GET, "/.well-known/jwks.json")).await, "public, max-age=300");
    assert_eq!(kept(auth("logout", &json!({}))).await, "no-store");
}

#[tokio::test]
async fn a_key_is_bound_to_the_same_request_in_every_spelling() {
    let world = World::start().await;
    let upper = world.id.to_ascii_uppercase();
    let new = |note: &str| {
        let body = json!({"note_id": note, "title": "Call"});
        world.send(Method::POST, "/api/v1/tasks").header("Idempotency-Key", "one").json(&body)
    };
    let first = answer(new(&world.id)).await;
    assert_eq!(first.0, 201, "{}", first.1);
    assert_eq!(answer(new(&upper)).await, first);

    let retitle = |id: &str| {
        let path = format!("/api/v1/notes/{id}");
        world.send(Method::PATCH, &path).header("Idempotency-Key", "two").json(&json!({"title": "Plans"}))
    };
    let first = answer(retitle(&world.id)).await;
    assert_eq!(first.0, 200, "{}", first.1);
    for spelling in [&upper, &world.id.replacen('0', "%30", 1)] {
        assert_eq!(answer(retitle(spelling)).await, first, "{spelling}");
    }
}

#[tokio::test]
async fn an_id_has_one_form_in_an_address() {
    let world = World::start().await;
    let upper = format!("/api/v1/notes/{}", world.id.to_ascii_uppercase());
    assert_eq!(world.read().await.status(), 200);
    assert_eq!(world.send(Method::GET, &upper).send().await.expect("an answer").status(), 200);
    for form in [world.id.replace('-', ""), format!("%7B{}%7D", world.id), format!("urn:uuid:{}", world.id)] {
        let path = format!("/api/v1/notes/{form}");
        for request in [world.send(Method::GET, &path), world.send(Method::PATCH, &path).json(&json!({}))] {
            assert_eq!(answer(request).await.0, 404, "{path}");
        }
    }
}
