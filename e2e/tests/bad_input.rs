//! Whatever is sent, the answer is a problem in plain words, never a failure of ours, and a refusal stores nothing.

use std::fmt::Write;
use std::time::Duration;

use chrono::{DateTime, Utc};
use e2e::{Daybook, PASSWORD, Person};
use reqwest::{Method, RequestBuilder};
use serde_json::{Map, Value, json};
use shared::domain::clock::Clock;
use shared::domain::id::{SessionId, UserId};
use shared::process::auth::Issuer;
use shared::process::problem::ProblemType;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use uuid::Uuid;

/// The statuses that a refusal may have.
const REFUSALS: [u16; 12] = [400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 429, 503];
const LATIN: &str = "application/json; charset=iso-8859-1";
const NOBODYS: &str = "00000000-0000-7000-8000-00000000dead";

/// A Daybook with two people, each with a notebook and a note in it, and what was found wrong with it.
struct World {
    daybook: Daybook,
    ada: Person,
    bob: Person,
    notebook: String,
    note: String,
    /// Two blocks of that note.
    blocks: [String; 2],
    task: String,
    bobs_notebook: String,
    bobs_note: String,
    bobs_block: String,
    bobs_task: String,
    events: i64,
    faults: Vec<String>,
}

/// One method of one address, as the description of the API has it.
struct Operation {
    id: String,
    method: Method,
    path: String,
    /// The names of the body's fields, if it has a body.
    fields: Option<Vec<String>>,
    queries: Vec<String>,
    secured: bool,
}

impl World {
    async fn start() -> Self {
        let daybook = Daybook::start().await.expect("a Daybook");
        let (ada, notebook, note) = with_note(&daybook, "ada").await;
        let (bob, bobs_notebook, bobs_note) = with_note(&daybook, "bob").await;
        let blocks = [block(&daybook, &ada, &note).await, block(&daybook, &ada, &note).await];
        let task = task(&daybook, &ada, &note).await;
        let bobs_block = block(&daybook, &bob, &bobs_note).await;
        let bobs_task = self::task(&daybook, &bob, &bobs_note).await;
        let events = daybook.events().await.expect("a count");
        let faults = Vec::new();
        Self {
            daybook,
            ada,
            bob,
            notebook,
            note,
            blocks,
            task,
            bobs_notebook,
            bobs_note,
            bobs_block,
            bobs_task,
            events,
            faults,
        }
    }

    /// An operation as Ada, on her own things.
    fn request(&self, operation: &Operation) -> RequestBuilder {
        let own = operation.of([&self.notebook, &self.note, &self.blocks[0], &self.task]);
        self.at(operation, own)
    }

    fn at(&self, operation: &Operation, id: &str) -> RequestBuilder {
        let request = self.daybook.request(operation.method.clone(), &operation.path.replace("{id}", id));
        if operation.secured { request.bearer_auth(&self.ada.access_token) } else { request }
    }

    /// As Ada, to an address.
    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.daybook.request(method, path).bearer_auth(&self.ada.access_token)
    }

    /// A body that has every field and is accepted; a new operation needs one here.
    fn body(&self, operation: &str) -> Value {
        let fresh = || Clock::System.new_id();
        match operation {
            "auth_register" => json!({
                "email": format!("{}@example.org", fresh()), "password": PASSWORD,
                "username": format!("u{}", fresh()), "display_name": "Eve"
            }),
            "auth_login" => json!({"login": self.ada.email, "password": PASSWORD, "device": "Laptop"}),
            "auth_refresh" => json!({"refresh_token": self.ada.refresh_token}),
            "me_change" => json!({
                "display_name": format!("Ada {}", fresh()), "first_name": "Ada", "last_name": "L",
                "avatar_url": "https://example.org/a.png", "preferences": {"theme": "dark"}
            }),
            "notebooks_create" => json!({"id": fresh(), "name": "Lab", "description": "Of the lab"}),
            "notebooks_change" => json!({"name": format!("Lab {}", fresh()), "description": "Ours"}),
            "notes_create" => json!({
                "id": fresh(), "notebook_id": self.notebook, "title": "Dreams",
                "blocks": [{"id": fresh(), "type": "text", "content": {"text": "Once"}}]
            }),
            "notes_change" => {
                json!({"notebook_id": self.notebook, "title": format!("Dreams {}", fresh())})
            }
            "blocks_add" => json!({
                "id": fresh(), "note_id": self.note, "type": "header", "after": self.blocks[1],
                "content": {"level": 2, "text": "Once", "spans": [{"start": 0, "end": 4, "kind": "bold"}]}
            }),
            "blocks_change" => json!({"type": "text", "content": {"text": format!("Once {}", fresh())}}),
            "blocks_move" => json!({"note_id": self.note, "after": self.blocks[1]}),
            "tasks_add" => json!({
                "id": fresh(), "note_id": self.note, "title": "Call", "description": "Soon", "priority": 4,
                "due_at": "2026-01-31T12:00:00Z", "assignee_id": self.ada.id
            }),
            "tasks_change" => json!({
                "title": format!("Call {}", fresh()), "description": "Soon", "priority": 1,
                "due_at": "2026-01-31T12:00:00Z", "assignee_id": self.ada.id
            }),
            other => panic!("give {other} a body that is accepted"),
        }
    }

    /// Sends what must be answered with `expected`, and notes down whatever else comes of it.
    async fn expect(&mut self, what: &str, expected: &[u16], request: RequestBuilder) {
        if let Err(fault) = self.answers(expected, request).await {
            self.faults.push(format!("{what}: {fault}"));
        }
    }

    async fn answers(&mut self, expected: &[u16], request: RequestBuilder) -> Result<(), String> {
        let answer = request.send().await.map_err(|error| format!("no answer: {error:?}"))?;
        let status = answer.status().as_u16();
        let media = answer.headers().get("content-type").map(|value| value.as_bytes().to_vec());
        let text = answer.text().await.map_err(|error| format!("half an answer: {error}"))?;
        let shown: String = text.chars().take(300).collect();
        let before = std::mem::replace(&mut self.events, self.daybook.events().await.expect("a count"));
        if !expected.contains(&status) {
            return Err(format!("{status} instead of {expected:?}: {shown}"));
        }
        if status < 400 {
            return Ok(());
        }
        if self.events != before {
            return Err(format!("{status}, but {} events were stored", self.events - before));
        }
        let problem: Value = serde_json::from_str(&text).unwrap_or_default();
        let speaks = |name: &str| problem[name].as_str().is_some_and(|text| !text.is_empty());
        let kind = problem["type"].as_str().and_then(|uri| uri.strip_prefix("/problems/"));
        let kind = kind.and_then(ProblemType::find);
        let well_formed = media.as_deref() == Some(b"application/problem+json")
            && problem["status"] == status
            && kind.is_some_and(|kind| kind.status() == status && problem["title"] == kind.title())
            && speaks("detail")
            && REFUSALS.contains(&status)
            && (status != 422 || problem["errors"][0]["pointer"].is_string());
        if well_formed { Ok(()) } else { Err(format!("{status} without a whole problem: {shown}")) }
    }

    fn finish(self) {
        let list = self.faults.iter().fold(String::new(), |mut list, fault| {
            _ = writeln!(list, "{fault}");
            list
        });
        assert!(self.faults.is_empty(), "{} faults:\n{list}\n{}", self.faults.len(), self.daybook.log());
    }
}

async fn with_note(daybook: &Daybook, name: &str) -> (Person, String, String) {
    let who = daybook.person(name).await.expect("an account");
    let start = json!({"name": "Lab"});
    let notebook = daybook.accepted(&who, Method::POST, "/api/v1/notebooks", &start).await.expect("made");
    let start = json!({"notebook_id": notebook, "title": "Dreams"});
    let note = daybook.accepted(&who, Method::POST, "/api/v1/notes", &start).await.expect("made");
    (who, notebook, note)
}

async fn block(daybook: &Daybook, who: &Person, note: &str) -> String {
    let body = json!({"note_id": note, "type": "text", "content": {"text": "Once"}});
    daybook.accepted(who, Method::POST, "/api/v1/blocks", &body).await.expect("made")
}

async fn task(daybook: &Daybook, who: &Person, note: &str) -> String {
    let body = json!({"note_id": note, "title": "Call"});
    daybook.accepted(who, Method::POST, "/api/v1/tasks", &body).await.expect("made")
}

/// All operations of the description.
fn operations() -> Vec<Operation> {
    let document: Value =
        serde_json::from_str(include_str!("../../docs/openapi.json")).expect("the description is JSON");
    let paths = document["paths"].as_object().expect("paths");
    let methods = paths.iter().flat_map(|(path, methods)| {
        methods.as_object().into_iter().flatten().map(move |(method, operation)| (path, method, operation))
    });
    methods.map(|(path, method, operation)| read(&document, path, method, operation)).collect()
}

fn read(document: &Value, path: &str, method: &str, operation: &Value) -> Operation {
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
    let fields = schema.as_str().map(|name| {
        let schema = document.pointer(name.trim_start_matches('#')).expect("the schema is there");
        // Of a body that has one form for each type of block, the first form has all fields.
        let form = schema.pointer("/oneOf/0").unwrap_or(schema);
        let properties = form["properties"].as_object().expect("a body is an object");
        properties.keys().cloned().collect()
    });
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let queries = parameters.filter(|parameter| parameter["in"] == "query");
    Operation {
        id: operation["operationId"].as_str().expect("an id").to_owned(),
        method: Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method"),
        path: path.to_owned(),
        fields,
        queries: queries.filter_map(|parameter| parameter["name"].as_str().map(str::to_owned)).collect(),
        secured: operation["security"].as_array().is_some_and(|security| !security.is_empty()),
    }
}

/// Values of every wrong kind.
fn wrong_kinds() -> [(&'static str, Value); 8] {
    [
        ("number", json!(7)),
        ("boolean", json!(true)),
        ("array", json!(["a"])),
        ("object", json!({"a": "b"})),
        ("null", Value::Null),
        ("empty", json!("")),
        ("nul", json!("a\0b")),
        ("long", json!("a".repeat(100_000))),
    ]
}

/// What the answer to a value of a wrong kind must be: some are right for some fields, and whoever logs in with a
/// text that is no login is not told so.
fn verdict(operation: &str, field: &str, kind: &str) -> u16 {
    match (operation, field, kind) {
        ("me_change", "first_name" | "last_name" | "avatar_url", "null")
        | ("me_change", "preferences", "object")
        | ("notebooks_change", "description", "empty")
        // The name of a device is cut to size.
        | ("auth_login", "device", "empty" | "long")
        // A task of a note may be without a title, as its block may be without text.
        | ("tasks_change", "title" | "description", "empty")
        | ("tasks_change", "description" | "due_at" | "due_on" | "assignee_id", "null") => 200,
        ("notebooks_create", "description", "empty") | ("tasks_add", "title" | "description", "empty") => 201,
        ("auth_login", "login" | "password", "empty" | "long") | ("auth_refresh", _, "empty" | "long") => 401,
        _ => 422,
    }
}

fn replaced(body: &Value, field: &str, value: Value) -> Value {
    let mut fields: Map<String, Value> = body.as_object().expect("a body is an object").clone();
    fields.insert(field.to_owned(), value);
    Value::Object(fields)
}

#[tokio::test]
async fn no_field_takes_what_it_should_not() {
    let mut world = World::start().await;
    for operation in operations() {
        let Some(fields) = &operation.fields else { continue };
        for field in fields {
            for (kind, value) in wrong_kinds() {
                let body = world.body(&operation.id);
                // A place is told by one of two fields, and so is when a task is due.
                let given = body.get(field).is_some() || matches!(field.as_str(), "before" | "due_on");
                assert!(given, "the body of {} lacks {field}", operation.id);
                let request = world.request(&operation).json(&replaced(&body, field, value));
                let expected = verdict(&operation.id, field, kind);
                world.expect(&format!("{} {field} {kind}", operation.id), &[expected], request).await;
            }
        }
        let valid = world.body(&operation.id);
        let values: Vec<Value> =
            valid.as_object().into_iter().flatten().map(|(_, value)| value.clone()).collect();
        let unfit = [Value::Null, json!(7), json!("a"), json!([]), json!(values), json!([valid])];
        for body in unfit.into_iter().chain([replaced(&valid, "extra", json!(1))]) {
            let request = world.request(&operation).json(&body);
            world.expect(&format!("{} {body}", operation.id), &[422], request).await;
        }
        let request = world.request(&operation).json(&valid);
        world.expect(&format!("{} as it should be", operation.id), &[200, 201], request).await;
    }
    // Fields in the order of their declaration: a body is an object all the same.
    let fresh = Clock::System.new_id();
    for (path, body) in [
        ("/api/v1/notebooks", json!([fresh, "Lab", "Of the lab"])),
        ("/api/v1/notes", json!([fresh, world.notebook, "Dreams"])),
    ] {
        let request = world.ask(Method::POST, path).json(&body);
        world.expect(&format!("{path} {body}"), &[422], request).await;
    }
    for body in [
        "{\"preferences\": {\"a\": [1.5, 12345678901234567890123]}}",
        "{\"preferences\": {\"a\": 1e400}}",
        "{\"preferences\": {\"a\": 1e-400}}",
    ] {
        let request =
            world.ask(Method::PATCH, "/api/v1/me").header("content-type", "application/json").body(body);
        world.expect(body, &[422], request).await;
    }
    world.finish();
}

#[tokio::test]
async fn no_body_is_too_broken_to_refuse() {
    let mut world = World::start().await;
    for operation in operations().into_iter().filter(|operation| operation.fields.is_some()) {
        let id = &operation.id;
        let open = world.request(&operation).header("content-type", "application/json");
        let sent = |bytes: Vec<u8>| open.try_clone().expect("no stream").body(bytes);
        for broken in [
            &b""[..],
            b"{",
            b"{} {}",
            b"{\"a\":",
            b"\xff\xfe",
            b"{\"a\": \"\xc3\x28\"}",
            b"NaN",
            b"{\"a\": 1, \"a\": 1}",
        ] {
            let what = format!("{id} {}", String::from_utf8_lossy(broken));
            world.expect(&what, &[400], sent(broken.to_vec())).await;
        }
        world.expect(&format!("{id} deep"), &[400], sent("[".repeat(100_000).into_bytes())).await;
        world
            .expect(&format!("{id} deep objects"), &[400], sent("{\"a\":".repeat(100_000).into_bytes()))
            .await;
        too_large(&mut world, &operation).await;
        let valid = world.body(id).to_string();
        for media in
            ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "", "\u{7f}", LATIN]
        {
            let Ok(value) = reqwest::header::HeaderValue::from_str(media) else { continue };
            let request = world.request(&operation).header("content-type", value).body(valid.clone());
            world.expect(&format!("{id} as {media}"), &[415], request).await;
        }
        let request = world.request(&operation).body(valid);
        world.expect(&format!("{id} as nothing"), &[415], request).await;
    }
    world.finish();
}

/// Announces 10 MB and sends as much as shows that it is too much. (A client that goes on sending may lose the answer
/// to the connection's end.)
async fn too_large(world: &mut World, operation: &Operation) {
    let request = world.request(operation).build().expect("a request");
    let token = &world.ada.access_token;
    let (method, path) = (request.method(), request.url().path());
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: daybook\r\nauthorization: Bearer {token}\r\n\
         connection: close\r\ncontent-type: application/json\r\ncontent-length: 10000000\r\n\r\n"
    );
    let address = world.daybook.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("sent");
    // All of it: a client that sends to the end must not find its answer gone.
    stream.write_all(&vec![b' '; 10_000_000]).await.expect("sent");
    let mut answer = String::new();
    let read = timeout(Duration::from_secs(20), stream.read_to_string(&mut answer)).await;
    let refused = answer.starts_with("HTTP/1.1 413 ") && answer.contains("application/problem+json");
    let stored = world.daybook.events().await.expect("a count") != world.events;
    if !refused || stored {
        world.faults.push(format!("{} 10 MB: {read:?}, stored: {stored}: {answer}", operation.id));
    }
}

#[tokio::test]
async fn no_address_leads_where_it_should_not() {
    let mut world = World::start().await;
    for operation in operations() {
        let id = &operation.id;
        let bobs =
            operation.of([&world.bobs_notebook, &world.bobs_note, &world.bobs_block, &world.bobs_task]);
        let cut = &NOBODYS[1..];
        if operation.path.contains("{id}") {
            let bobs = bobs.clone();
            for name in ["x", "1", cut, NOBODYS, &bobs, "%00", "%ff", "a%2Fb", &"a".repeat(5_000)] {
                let mut request = world.at(&operation, name);
                if operation.fields.is_some() {
                    request = request.json(&world.body(id));
                }
                let shown: String = name.chars().take(40).collect();
                world.expect(&format!("{id} of {shown}"), &[404], request).await;
            }
        }
        if operation.method == Method::GET {
            let of = |name: &str| operation.queries.iter().any(|query| query == name);
            let mut queries = vec!["x=1".to_owned(), "%ff=%ff".to_owned(), "Limit=1".to_owned()];
            for (name, values) in wrong_queries() {
                if of(name) {
                    queries.extend(values.iter().map(|value| format!("{name}={value}")));
                    queries.push(format!("{name}=1&{name}=1"));
                }
            }
            for query in queries {
                let path = Operation { path: format!("{}?{query}", operation.path), ..operation.cloned() };
                let request = world.request(&path);
                world.expect(&format!("{id} ?{query}"), &[400], request).await;
            }
        }
    }
    somebody_elses_cursor(&mut world).await;
    somebody_elses_notebook(&mut world).await;
    for path in ["/api", "/api/v1", "/api/v2/me", "/api/v1/notes/", "/api/v1/me/x", "/%00", "/%ff", "//"] {
        let request = world.ask(Method::GET, path);
        world.expect(path, &[404], request).await;
    }
    for operation in operations() {
        let path = operation.path.replace("{id}", NOBODYS);
        for method in [Method::PUT, Method::TRACE, Method::from_bytes(b"BREW").expect("a token")] {
            let request = world.ask(method.clone(), &path);
            world.expect(&format!("{method} {path}"), &[405], request).await;
        }
    }
    world.finish();
}

impl Operation {
    /// Of a notebook, a note, a block and a task the one that its address is about.
    fn of<'a>(&self, [notebook, note, block, task]: [&'a String; 4]) -> &'a String {
        match self.path.split('/').nth(3) {
            Some("notes") => note,
            Some("blocks") => block,
            Some("tasks") => task,
            _ => notebook,
        }
    }

    fn cloned(&self) -> Self {
        let Self { id, method, path, fields, queries, secured } = self;
        Self {
            id: id.clone(),
            method: method.clone(),
            path: path.clone(),
            fields: fields.clone(),
            queries: queries.clone(),
            secured: *secured,
        }
    }
}

fn wrong_queries() -> [(&'static str, Vec<&'static str>); 12] {
    // 40 zero bytes: long enough for a code and a place, neither genuine.
    let forged = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    [
        ("limit", vec!["0", "201", "-1", "x", "", "1.5", "99999999999999999999", "%00"]),
        ("cursor", vec!["x", "", "%00", "%ff", forged]),
        ("after", vec!["x", "-1", "%00", "99999999999999999999", "1-x"]),
        ("notebook_id", vec!["x", "1", "", "%00"]),
        ("note_id", vec!["x", "1", "", "%00"]),
        ("assignee", vec!["x", "1", "", "%00"]),
        ("completed", vec!["x", "1", "", "True"]),
        ("due_before", vec!["x", "1", "", "2026-01-31", "2026-13-31T12:00:00Z"]),
        ("due_after", vec!["x", "1", "", "2026-01-31"]),
        ("priority", vec!["x", "-1", "", "5", "1.5"]),
        ("q", vec!["", "%00"]),
        ("sort", vec!["x", "", "Created"]),
    ]
}

async fn somebody_elses_cursor(world: &mut World) {
    for name in ["One", "Two"] {
        let body = json!({"name": name});
        world.daybook.accepted(&world.bob, Method::POST, "/api/v1/notebooks", &body).await.expect("made");
    }
    world.events = world.daybook.events().await.expect("a count");
    let position = world.daybook.head().await.expect("a position");
    let path = format!("/api/v1/notebooks?limit=1&after={position}");
    let page = world.daybook.request(Method::GET, &path).bearer_auth(&world.bob.access_token);
    let page: Value = page.send().await.expect("an answer").json().await.expect("a page");
    let cursor = page["next_cursor"].as_str().expect("there are more").to_owned();
    for list in ["notebooks", "notes"] {
        let request = world.ask(Method::GET, &format!("/api/v1/{list}?cursor={cursor}"));
        world.expect("Bob's cursor", &[400], request).await;
    }
}

async fn somebody_elses_notebook(world: &mut World) {
    // What one may not see is answered like what is not there.
    for notebook in [world.bobs_notebook.clone(), NOBODYS.to_owned()] {
        let into = json!({"notebook_id": notebook, "title": "Dreams"});
        let request = world.ask(Method::POST, "/api/v1/notes").json(&into);
        world.expect(&format!("a note in {notebook}"), &[422], request).await;
        let request = world.ask(Method::PATCH, &format!("/api/v1/notes/{}", world.note)).json(&into);
        world.expect(&format!("moving a note to {notebook}"), &[422], request).await;
    }
    for (path, taken, body) in [
        ("/api/v1/notebooks", &world.bobs_notebook, json!({"name": "Lab"})),
        ("/api/v1/notes", &world.bobs_note, json!({"notebook_id": world.notebook, "title": "Dreams"})),
    ]
    .map(|(path, taken, body)| (path, taken.clone(), body))
    {
        let request = world.ask(Method::POST, path).json(&replaced(&body, "id", json!(taken)));
        world.expect(&format!("{path} with Bob's id"), &[404, 409], request).await;
    }
}

#[tokio::test]
async fn nobody_gets_in_with_a_forged_token_or_header() {
    let mut world = World::start().await;
    let tokens = forged_tokens(&world).await;
    for operation in operations().into_iter().filter(|operation| operation.secured) {
        for token in &tokens {
            let own = if operation.path.contains("/notes") { &world.note } else { &world.notebook };
            let path = operation.path.replace("{id}", own);
            let mut request = world.daybook.request(operation.method.clone(), &path);
            if let Some(token) = token {
                request = request.header("authorization", token);
            }
            if operation.fields.is_some() {
                request = request.json(&world.body(&operation.id));
            }
            world.expect(&format!("{} with {token:?}", operation.id), &[401], request).await;
        }
        if operation.fields.is_none() {
            continue;
        }
        for (header, value, status) in bad_headers() {
            let request = world.request(&operation).json(&world.body(&operation.id)).header(header, &value);
            let shown: String = value.chars().take(40).collect();
            world.expect(&format!("{} with {header}: {shown}", operation.id), &[status], request).await;
        }
    }
    world.finish();
}

async fn forged_tokens(world: &World) -> Vec<Option<String>> {
    let real = &world.ada.access_token;
    let keys = world.daybook.keys().await.expect("keys");
    let long_ago = Clock::Fixed(DateTime::<Utc>::UNIX_EPOCH);
    let (user, session) = (uuid(&world.ada.id), uuid(&world.ada.session_id));
    let (expired, _) = Issuer::new(&keys, long_ago).issue(UserId(user), SessionId(session));
    let (signed, signature) = real.rsplit_once('.').expect("a token has three parts");
    let (_, claims) = signed.split_once('.').expect("a token has three parts");
    let other = if signature.starts_with('A') { "B" } else { "A" };
    // {"alg":"none","typ":"JWT"}
    let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.");
    let resigned = format!("{signed}.{other}{}", &signature[1..]);
    let bearers =
        [expired, none, resigned, signed.to_owned(), world.ada.refresh_token.clone(), "x".to_owned()];
    let bearers = bearers.map(|token| Some(format!("Bearer {token}")));
    let others = [None, Some("Bearer".to_owned()), Some(format!("Basic {real}")), Some(real.clone())];
    bearers.into_iter().chain(others).collect()
}

fn uuid(text: &str) -> Uuid {
    text.parse().expect("an id is a UUID")
}

/// Headers with the status that each is answered with, whatever the command.
fn bad_headers() -> Vec<(&'static str, String, u16)> {
    let malformed = ["3", "\"x", "\"3\" \"4\"", "w/\"3\"", "*, \"3\""];
    // A well-formed condition that does not hold.
    let unmet = ["\"x\"", "W/\"1\"", "\"98\", \"99.x\"", "", "\"+1\"", "\"99999999999999999999\""];
    let names = [String::new(), "a".repeat(201), "a\tb".to_owned(), "ä".to_owned()];
    let malformed = malformed.map(|value| ("if-match", value.to_owned(), 400));
    let unmet = unmet.map(|value| ("if-match", value.to_owned(), 412));
    let keys = names.map(|value| ("idempotency-key", value, 400));
    malformed.into_iter().chain(unmet).chain(keys).collect()
}
