//! How each action is asked for, and what each answer looks like.

use std::collections::BTreeMap;

use e2e::{LIMIT, PASSWORD};
use futures::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::access::{Action, Answer};
use shared::domain::clock::Clock;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use crate::world::{Caller, Things, World};

/// An answer, as far as it says something about what was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

/// What is sent: a request, or the first frame of a socket.
enum Sent {
    Request(Method, String, Option<Value>),
    Topic(String),
}

/// The statuses that an answer of the table may have.
pub(crate) fn statuses(action: Action, answer: Answer) -> &'static [u16] {
    // It is not in the address, but in the body.
    let is_named_inside = matches!(
        action,
        Action::NotesCreate
            | Action::NotesMoveIn
            | Action::BlocksAdd
            | Action::BlocksMoveIn
            | Action::TasksAdd
    );
    match answer {
        Answer::LogIn => &[401],
        Answer::Unseen if is_named_inside => &[422],
        Answer::Unseen => &[404],
        Answer::Forbidden => &[403],
        Answer::Trashed => &[409],
        // A socket is asked for without opening one.
        Answer::Yes if action == Action::LiveOpen => &[400],
        Answer::Yes => &[200, 201],
    }
}

impl World {
    /// Asks for an action on these things.
    pub(crate) async fn ask(&self, caller: Caller, action: Action, things: &Things) -> Said {
        let token = if action == Action::AuthLogout && caller.is_signed_in() {
            // The session that logs out has ended afterwards.
            self.log_in(caller).await["access_token"].as_str().map(str::to_owned)
        } else {
            self.token(caller)
        };
        match self.sent(caller, action, things).await {
            Sent::Request(method, path, body) => self.send(method, &path, body, token).await,
            Sent::Topic(topic) => self.subscribe(&topic, token).await,
        }
    }

    async fn sent(&self, caller: Caller, action: Action, things: &Things) -> Sent {
        let own = self.own(caller);
        let fresh = || Clock::System.new_id();
        let get = |path: String| (Method::GET, path, None);
        let post = |path: String, body: Value| (Method::POST, path, Some(body));
        let change = |path: String, body: Value| (Method::PATCH, path, Some(body));
        let delete = |path: String| (Method::DELETE, path, None);
        let command = |path: String| (Method::POST, path, None);
        let Things { notebook, note, block, task, .. } = things;
        let (method, path, body) = match action {
            Action::AuthRegister => {
                let name = format!("u{}", fresh());
                let account = json!({"email": format!("{name}@example.org"), "password": PASSWORD});
                post("/auth/register".to_owned(), account)
            }
            Action::AuthLogin => {
                post("/auth/login".to_owned(), json!({"login": "ada", "password": PASSWORD}))
            }
            Action::AuthRefresh => {
                let token = self.log_in(Caller::LoggedOut).await["refresh_token"].clone();
                post("/auth/refresh".to_owned(), json!({"refresh_token": token}))
            }
            Action::AuthLogout => command("/auth/logout".to_owned()),
            Action::MeRead => get("/me".to_owned()),
            Action::MeChange => change("/me".to_owned(), json!({"first_name": "Ada"})),
            Action::NotebooksList => get("/notebooks".to_owned()),
            Action::NotebooksRead => get(format!("/notebooks/{notebook}")),
            Action::NotebooksCreate => post("/notebooks".to_owned(), json!({"name": "Den"})),
            Action::NotebooksChange => change(format!("/notebooks/{notebook}"), json!({"name": "Den"})),
            Action::NotesList => get("/notes".to_owned()),
            Action::NotesRead => get(format!("/notes/{note}")),
            Action::NotesMarkdown => get(format!("/notes/{note}/markdown")),
            Action::NotesCreate => {
                post("/notes".to_owned(), json!({"notebook_id": notebook, "title": "Dreams"}))
            }
            Action::NotesChange => change(format!("/notes/{note}"), json!({"title": "Dreams"})),
            Action::NotesMoveOut => change(format!("/notes/{note}"), json!({"notebook_id": own.notebook})),
            Action::NotesMoveIn => change(format!("/notes/{}", own.note), json!({"notebook_id": notebook})),
            Action::BlocksAdd => {
                let text = json!({"text": "Two"});
                post("/blocks".to_owned(), json!({"note_id": note, "type": "text", "content": text}))
            }
            Action::BlocksChange => change(format!("/blocks/{block}"), json!({"content": {"text": "Two"}})),
            Action::BlocksMove => post(format!("/blocks/{block}/move"), json!({"note_id": note})),
            Action::BlocksMoveIn => post(format!("/blocks/{}/move", own.block), json!({"note_id": note})),
            Action::BlocksRemove => delete(format!("/blocks/{block}")),
            Action::BlocksRestore => command(format!("/blocks/{}/restore", things.removed_block)),
            Action::TasksList => get("/tasks".to_owned()),
            Action::TasksRead => get(format!("/tasks/{task}")),
            Action::TasksAdd => {
                let mut body = json!({"title": "Call Eve"});
                if let Some(note) = &things.of_tasks {
                    body["note_id"] = json!(note);
                }
                post("/tasks".to_owned(), body)
            }
            Action::TasksChange => change(format!("/tasks/{task}"), json!({"title": "Call Eve"})),
            Action::TasksComplete => command(format!("/tasks/{task}/complete")),
            Action::TasksReopen => command(format!("/tasks/{}/reopen", things.done_task)),
            Action::TasksRemove => delete(format!("/tasks/{task}")),
            Action::TasksRestore => command(format!("/tasks/{}/restore", things.removed_task)),
            Action::LiveOpen => get("/live".to_owned()),
            Action::LiveTicket => command("/live/tickets".to_owned()),
            Action::TopicAll => return Sent::Topic("*".to_owned()),
            Action::TopicPerson => return Sent::Topic(format!("user:{}", things.person)),
            Action::TopicNotebook => return Sent::Topic(format!("notebook:{notebook}")),
            Action::TopicNote => return Sent::Topic(format!("note:{note}")),
            Action::BlockTaskSync => panic!("nobody asks for what a policy does"),
        };
        Sent::Request(method, path, body)
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>, token: Option<String>) -> Said {
        let mut path = format!("/api/v1{path}");
        if method == Method::GET && !path.ends_with("/live") {
            let head = self.daybook.head().await.expect("a position");
            path = format!("{path}?after={head}");
        }
        let mut request = self.daybook.request(method, &path);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("an answer");
        let of_each = ["date", "x-request-id"];
        let headers = answer.headers().iter().filter(|(name, _)| !of_each.contains(&name.as_str()));
        Said {
            status: answer.status().as_u16(),
            headers: headers.map(|(name, value)| (name.to_string(), format!("{value:?}"))).collect(),
            body: answer.text().await.expect("a whole body"),
        }
    }

    /// Opens a socket for one topic. It answers without a status, so it gets that of the same answer over HTTP.
    async fn subscribe(&self, topic: &str, token: Option<String>) -> Said {
        // What was made before can be subscribed to once it can be read.
        self.send(Method::GET, "/me", None, self.token(Caller::Owner)).await;
        let address = format!("{}/api/v1/live", self.daybook.url.replacen("http", "ws", 1));
        let (mut socket, _) = connect_async(address).await.expect("a socket");
        let mut hello = json!({"type": "hello", "topics": [topic]});
        if let Some(token) = token {
            hello["token"] = json!(token);
        }
        socket.send(Message::text(hello.to_string())).await.expect("it is open");
        let frame = timeout(LIMIT, socket.next()).await.expect("in time").expect("a frame").expect("a frame");
        let body = frame.into_text().expect("frames are text").to_string();
        let said: Value = serde_json::from_str(&body).expect("JSON");
        let status = match (said["type"].as_str(), said["code"].as_str()) {
            (Some("welcome"), None) => 200,
            (Some("bye"), Some("token-missing" | "session-ended")) => 401,
            (Some("bye"), Some("topic-unseen")) => 404,
            other => panic!("{other:?}"),
        };
        Said { status, headers: BTreeMap::new(), body }
    }
}
