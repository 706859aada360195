//! Two command APIs on one database: whichever is asked, the answer is that of one.

#[path = "two_instances/accounts.rs"]
mod accounts;
#[path = "two_instances/blocks.rs"]
mod blocks;
#[path = "two_instances/members.rs"]
mod members;
#[path = "two_instances/named.rs"]
mod named;
#[path = "two_instances/pair.rs"]
mod pair;
#[path = "two_instances/racing.rs"]
mod racing;
#[path = "two_instances/roles.rs"]
mod roles;
#[path = "two_instances/round.rs"]
mod round;
#[path = "two_instances/statements.rs"]
mod statements;

use axum::http::header::IF_MATCH;
use futures::future::join_all;
use serde_json::{Value, json};
use shared::log::event_log;
use tokio::task::JoinSet;

use pair::{Answer, Pair, TestRequest, Tokens, id, new_id};

/// Each with a person of its own, all at once.
const TASKS: usize = 20;
/// Streams stay short: each round has its own notebooks and note.
const ROUNDS: usize = 10;
/// `TASKS * ROUNDS * CHECKS` = 10,000.
const CHECKS: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_requests_with_one_key_make_one_note() {
    let pair = Pair::start().await;
    let ada = pair.person("ada").await;
    let notebook = pair.notebook(&ada, "Lab").await;
    let body = json!({"notebook_id": notebook, "title": "Plans"});
    let asked = (0..100).map(|n| pair.send(n % 2, TestRequest::post("/notes", &body).by(&ada).key("one")));
    let answers: Vec<Answer> = join_all(asked).await;
    let first = &answers[0];
    assert_eq!(first.status, 201, "{first:?}");
    for answer in &answers {
        assert_eq!(answer, first);
    }
    let notes: Vec<(String, i64, i64)> = sqlx::query_as(
        "select aggregate_id, sequence, position from es.event where event_type = 'NoteCreated'",
    )
    .fetch_all(&pair.owner)
    .await
    .unwrap();
    let told = (id(&first.body), first.number("version"), first.number("position"));
    assert_eq!(notes, [told], "what was told is what was recorded");
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_command_does_to_containers_is_stored_beside_its_events() {
    let pair = Pair::start().await;
    let ada = pair.person("ada").await;
    let [lab, den] = [pair.notebook(&ada, "Lab").await, pair.notebook(&ada, "Den").await];
    let [here, there] = [pair.note(&ada, &lab).await, pair.note(&ada, &lab).await];
    let block = json!({"note_id": here, "type": "text", "content": {"text": "One"}});
    let block = id(&pair.send(0, TestRequest::post("/blocks", &block).by(&ada)).await.body);
    for (instance, request) in [
        TestRequest::patch(&format!("/notes/{here}"), &json!({"title": "Later"})),
        TestRequest::post(&format!("/blocks/{block}/move"), &json!({"note_id": there})),
        TestRequest::patch(&format!("/notes/{here}"), &json!({"notebook_id": den})),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = pair.send(instance % 2, request.by(&ada)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let [note, lab, den] = [format!("note:{here}"), format!("notebook:{lab}"), format!("notebook:{den}")];
    let of_ada = |container: &String| json!([{"granted": {"container": container, "principal": format!("user:{}", ada.user), "role": "owner"}}]);
    let inside = || Some(json!([{"inside": lab}]));
    let all: Vec<(String, Option<Value>)> = sqlx::query_as(
        "select event_type, effects from es.event where event_type !~ '^(User|Session)' order by position",
    )
    .fetch_all(&pair.owner)
    .await
    .unwrap();
    let expected = [
        ("MemberAdded", Some(of_ada(&lab))),
        ("NotebookCreated", None),
        ("MemberAdded", Some(of_ada(&den))),
        ("NotebookCreated", None),
        ("NoteCreated", inside()),
        ("NoteCreated", inside()),
        ("BlockAdded", None),
        ("NoteRetitled", None),
        ("BlockMoved", Some(json!([{"left": [note, lab]}]))),
        ("NoteMoved", Some(json!([{"left": [lab]}, {"inside": den}, {"cleared": note}]))),
    ];
    assert_eq!(all, expected.map(|(event_type, effects)| (event_type.to_owned(), effects)));
    // And with its MAC.
    let stored = event_log::after(&pair.owner, 0, i64::MAX).await.unwrap();
    pair.app(1).keyring.open(stored).await.expect("all is as it was recorded");
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_create_gets_the_answer_of_then() {
    let pair = Pair::start().await;
    let ada = pair.person("ada").await;
    let (notebook, note) = (pair.notebook(&ada, "Lab").await, new_id());
    let body = json!({"id": note, "notebook_id": notebook, "title": "Plans"});
    let first = pair.send(0, TestRequest::post("/notes", &body).by(&ada).key("k")).await;
    assert_eq!((first.status, id(&first.body)), (201, note.clone()), "{first:?}");
    let title = json!({"title": "Later"});
    assert_eq!(
        pair.send(1, TestRequest::patch(&format!("/notes/{note}"), &title).by(&ada)).await.status,
        200
    );
    let events = pair.events().await;
    let other = json!({"id": note, "notebook_id": notebook, "title": "Dreams"});
    for instance in [0, 1] {
        assert_eq!(pair.send(instance, TestRequest::post("/notes", &body).by(&ada).key("k")).await, first);
        let reused = pair.send(instance, TestRequest::post("/notes", &other).by(&ada).key("k")).await;
        reused.is_refused(422, "idempotency-key-reused");
        pair.send(instance, TestRequest::post("/notes", &body).by(&ada)).await.is_refused(409, "note-exists");
        let fresh_key = pair.send(instance, TestRequest::post("/notes", &body).by(&ada).key("new")).await;
        fresh_key.is_refused(409, "note-exists");
    }
    assert_eq!(pair.events().await, events);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_has_changed_the_other_never_decides_on_its_stale_memory() {
    let pair = Pair::start().await;
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let pair = pair.clone();
        tasks.spawn(async move {
            let person = pair.person(&format!("person{task}")).await;
            for _ in 0..ROUNDS {
                round::play(&pair, &person, CHECKS).await;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("every check holds");
    }
    round::moves_are_a_chain(&pair).await;
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_peoples_ids_open_nothing() {
    let pair = Pair::start().await;
    let (ada, eve) = (pair.person("ada").await, pair.person("eve").await);
    let (lab, den) = (pair.notebook(&ada, "Lab").await, pair.notebook(&eve, "Den").await);
    let (note, own) = (pair.note(&ada, &lab).await, pair.note(&eve, &den).await);
    let events = pair.events().await;
    let refused = async |request: TestRequest, status: u16, slug: &str| {
        for instance in [0, 1, 0] {
            pair.send(instance, request.clone().by(&eve)).await.is_refused(status, slug);
        }
    };
    let note_in = |notebook: &str| json!({"notebook_id": notebook, "title": "Hers"});
    let mut taken_note = note_in(&den);
    taken_note["id"] = json!(note);
    let taken_notebook = json!({"id": lab, "name": "Hers"});
    refused(TestRequest::patch(&format!("/notes/{note}"), &json!({"title": "Hers"})), 404, "note-missing")
        .await;
    refused(TestRequest::patch(&format!("/notes/{note}"), &json!({"notebook_id": den})), 404, "note-missing")
        .await;
    refused(TestRequest::post("/notes", &taken_note), 409, "id-taken").await;
    refused(
        TestRequest::patch(&format!("/notebooks/{lab}"), &json!({"name": "Hers"})),
        404,
        "notebook-missing",
    )
    .await;
    refused(TestRequest::post("/notebooks", &taken_notebook), 409, "id-taken").await;
    // A notebook of others and one that never was are told apart by nothing.
    for unseen in [&lab, &new_id()] {
        refused(TestRequest::post("/notes", &note_in(unseen)), 422, "invalid").await;
        let moved = TestRequest::patch(&format!("/notes/{own}"), &json!({"notebook_id": unseen}));
        refused(moved, 422, "invalid").await;
    }
    // A version tells a stranger nothing either.
    let versioned = TestRequest::patch(&format!("/notes/{note}"), &json!({"title": "Hers"})).if_match(7);
    refused(versioned, 404, "note-missing").await;
    assert_eq!(pair.events().await, events);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn if_match_holds_for_the_current_version_in_every_form_and_for_nothing_else() {
    let pair = Pair::start().await;
    let ada = pair.person("ada").await;
    let notebook = pair.notebook(&ada, "Lab").await;
    let note = format!("/notes/{}", pair.note(&ada, &notebook).await);
    // Each instance is asked in turn, so that one of them decides on a memory that is stale.
    let mut instances = [0, 1].into_iter().cycle();
    let mut retitle = async |title: String, lines: &[&str]| {
        let asked = TestRequest::patch(&note, &json!({"title": title})).by(&ada);
        let asked = lines.iter().fold(asked, |asked, line| asked.header(IF_MATCH, line));
        pair.send(instances.next().expect("it never ends"), asked).await
    };
    let mut version = 1;
    for lines in [
        &["\"{}\""][..],
        &["\"{}.x7Q\""],
        &["\"7\", \"{}\""],
        &["W/\"7\",,\"{}.a,b\" "],
        &["\"7\"", "\"{}\""],
        &["*"],
        &[],
    ] {
        let lines: Vec<_> = lines.iter().map(|line| line.replace("{}", &version.to_string())).collect();
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let answer = retitle(format!("At {version}"), &lines).await;
        version += 1;
        assert_eq!((answer.version(), &answer.etag), (version, &Some(format!("\"{version}\""))), "{lines:?}");
    }
    let events = pair.events().await;
    for lines in [
        &["\"7\""][..],
        &["\"9.x7Q\""],
        &["W/\"8\""],
        &["\"1\", \"2.a\""],
        &["\"1\"", "W/\"8.x7Q\""],
        &["\"+8\""],
        &["\"0008\""],
        &["\"0\""],
        &["\"\""],
        &["\"99999999999999999999\""],
        &[""],
    ] {
        // Even where there would be nothing to do.
        for title in ["Other", "At 7"] {
            let answer = retitle(title.to_owned(), lines).await;
            answer.is_refused(412, "version-moved");
            assert_eq!(answer.number("version"), 8, "{lines:?}");
        }
    }
    for lines in [&["8"][..], &["\"8"], &["\"8\" \"9\""], &["w/\"8\""], &["*, \"8\""], &["\"8\"", "8"]] {
        retitle("Other".to_owned(), lines).await.is_refused(400, "bad-header");
    }
    for condition in ["*", "\"0\"", "\"1\""] {
        let create = TestRequest::post("/notes", &json!({"notebook_id": notebook, "title": "New"})).by(&ada);
        pair.send(0, create.header(IF_MATCH, condition)).await.is_refused(412, "version-moved");
    }
    assert_eq!(pair.events().await, events);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_command_gets_its_first_answer_though_its_if_match_has_passed() {
    let pair = Pair::start().await;
    let ada = pair.person("ada").await;
    let notebook = pair.notebook(&ada, "Lab").await;
    let rename = TestRequest::patch(&format!("/notebooks/{notebook}"), &json!({"name": "Attic"}));
    let rename = rename.by(&ada).key("k").if_match(1);
    let first = pair.send(0, rename.clone()).await;
    assert_eq!(first.version(), 2);
    for instance in [0, 1] {
        assert_eq!(pair.send(instance, rename.clone()).await, first);
    }
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_and_two_spellings_of_an_id_are_one_request() {
    let pair = Pair::start().await;
    let ada = pair.person("ada").await;
    let notebook = pair.notebook(&ada, "Lab").await;
    let (note, image, blob) = (new_id(), new_id(), new_id());
    let create = |note: &str, notebook: &str, image: &str, blob: &str| {
        let content = json!({"src": {"blob": blob}, "alt": "A map"});
        let block = json!({"id": image, "type": "image", "content": content});
        TestRequest::post(
            "/notes",
            &json!({"id": note, "notebook_id": notebook, "title": "Plans", "blocks": [block]}),
        )
    };
    let upper = |id: &str| id.to_ascii_uppercase();
    let edit = |image: &str, blob: &str| {
        TestRequest::patch(&format!("/blocks/{image}"), &json!({"content": {"src": {"blob": blob}}}))
    };
    let retitle = |path: &str| TestRequest::patch(path, &json!({"title": "Dreams"}));
    let one_more = new_id();
    let requests = [
        (
            create(&note, &notebook, &image, &blob),
            create(&upper(&note), &upper(&notebook), &upper(&image), &upper(&blob)),
        ),
        (retitle(&format!("/notes/{note}")), retitle(&format!("/notes/{}", upper(&note)))),
        (edit(&image, &one_more), edit(&upper(&image), &upper(&one_more))),
        (edit(&image, &blob), edit(&image.replacen('0', "%30", 1), &blob)),
    ];
    for (nth, (one, other)) in requests.into_iter().enumerate() {
        let key = nth.to_string();
        let first = pair.send(0, one.by(&ada).key(&key)).await;
        assert!(first.status < 300, "{first:?}");
        assert_eq!(pair.send(1, other.by(&ada).key(&key)).await, first);
    }
    // Another note is another request.
    let other = pair.note(&ada, &notebook).await;
    let reused = pair.send(0, retitle(&format!("/notes/{other}")).by(&ada).key("1")).await;
    reused.is_refused(422, "idempotency-key-reused");
    for spelling in [note.replace('-', ""), format!("{{{note}}}"), format!("urn:uuid:{note}")] {
        let path = format!("/notes/{}", spelling.replace('{', "%7B").replace('}', "%7D"));
        pair.send(0, retitle(&path).by(&ada)).await.is_refused(404, "not-found");
        let body = json!({"id": spelling, "notebook_id": notebook, "title": "Plans"});
        pair.send(0, TestRequest::post("/notes", &body).by(&ada)).await.is_refused(422, "invalid");
    }
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_turns_once_and_an_old_one_ends_the_session() {
    let pair = Pair::start().await;
    let first = pair.person("ada").await;
    let other = pair.login(1, "ada").await;
    let turn = async |instance: usize, token: &Tokens| {
        let answer = pair
            .send(instance, TestRequest::post("/auth/refresh", &json!({"refresh_token": token.refresh})))
            .await;
        if answer.status == 200 { Ok(Tokens::from(&answer.body)) } else { Err(answer) }
    };
    let second = turn(0, &first).await.expect("the first token is good");
    assert_ne!(second.refresh, first.refresh);
    for instance in [0, 1, 1] {
        let repeated = turn(instance, &first).await.expect("its answer may have been lost");
        assert_eq!(repeated.refresh, second.refresh);
    }
    let third = turn(1, &second).await.expect("the second token is good");
    let alive = async |instance: usize, token: &Tokens| {
        pair.send(instance, TestRequest::patch("/me", &json!({"first_name": "Ada"})).by(token)).await
    };
    for (instance, tokens) in [(0, &first), (1, &second), (0, &third), (1, &third)] {
        assert_eq!(alive(instance, tokens).await.status, 200);
    }
    accounts::pass(&pair, 11).await;
    turn(0, &first).await.expect_err("replaced long ago").is_refused(401, "refresh-invalid");
    for (instance, tokens) in [(1, &third), (0, &third), (1, &first), (0, &second)] {
        alive(instance, tokens).await.is_refused(401, "session-ended");
        turn(instance, tokens).await.expect_err("its session ended").is_refused(401, "refresh-invalid");
    }
    assert_eq!(alive(0, &other).await.status, 200, "the person's other session is untouched");
    let ends: i64 = sqlx::query_scalar("select count(*) from es.event where event_type = 'SessionEnded'")
        .fetch_one(&pair.owner)
        .await
        .unwrap();
    assert_eq!(ends, 1);
    assert_eq!(turn(0, &other).await.map(|_| Value::Null), Ok(Value::Null));
    pair.stop().await;
}
