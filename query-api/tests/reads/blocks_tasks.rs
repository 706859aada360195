//! Reading what notes are made of: blocks in their order, and tasks by every filter and in every order.

use crate::lists::walk;
use crate::world::{ADA, BOB, World, world};
use serde_json::{Value, json};
use shared::domain::id::UserId;
use uuid::Uuid;

fn key(id: u128) -> String {
    Uuid::from_u128(id).to_string()
}

fn address(module: &str, id: u128) -> String {
    format!("/{module}/{}", key(id))
}

/// The scopes of an event of a part of a note.
fn scopes(note: u128, notebook: u128) -> String {
    format!("note:{},notebook:{}", key(note), key(notebook))
}

/// Ada has notebook 1 with notes 2 and 3, and notebook 4 with note 5; Bob has notebook 6 with note 7.
async fn furnished() -> World {
    let world = world().await;
    for (notebook, user) in [(1, ADA), (4, ADA), (6, BOB)] {
        world.notebook(notebook, user, 0).await;
    }
    for (note, notebook) in [(2, 1), (3, 1), (5, 4), (7, 6)] {
        world.note(note, notebook, 1).await;
    }
    world
}

/// The texts of a note's blocks, as Ada reads them.
async fn texts(world: &World, note: u128) -> Vec<String> {
    let note = world.get(ADA, &address("notes", note)).await;
    let blocks = note.body["blocks"].as_array().expect("blocks");
    blocks.iter().map(|block| block["content"]["text"].as_str().expect("a text").to_owned()).collect()
}

/// The titles of the tasks that a person sees with this query.
async fn titles(world: &World, user: UserId, query: &str) -> Vec<String> {
    let answer = world.get(user, &format!("/tasks?{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.body);
    answer.items("title")
}

#[tokio::test]
async fn a_note_has_its_blocks_in_the_order_of_their_ranks_byte_by_byte() {
    let world = furnished().await;
    for (id, rank) in [(24, "a0v"), (21, "Zz"), (25, "a1"), (22, "a0"), (23, "a0V"), (26, "b00")] {
        world.block(id, 2, rank, json!({})).await;
    }
    world.block(27, 2, "a0F", json!({"removed": true})).await;
    world.block(28, 3, "a0G", json!({})).await;
    assert_eq!(texts(&world, 2).await, ["21", "22", "23", "24", "25", "26"]);
    assert_eq!(texts(&world, 3).await, ["28"]);
    assert!(texts(&world, 5).await.is_empty());
    let note = world.get(ADA, &address("notes", 2)).await;
    assert!(note.body.get("withheld").is_none());
    assert_eq!(note.header("position"), "0000000a-7");
    let hidden = world.get(BOB, &address("notes", 2)).await;
    assert_eq!(hidden.refusal(), (404, "note-missing"));
    assert_eq!(hidden.body, world.get(BOB, &address("notes", 99)).await.body);
}

#[tokio::test]
async fn a_block_is_shown_as_it_is_stored() {
    let world = furnished().await;
    let content = json!({"checked": true, "depth": 2, "text": "Ünïcödé \"quoted\" \\ \n", "spans": []});
    let more = json!({"type": "task", "content": content, "created_by": "policy:sync", "updated_by": BOB,
                      "updated_at": "2026-01-02T00:00:00Z", "version": 4});
    world.block(21, 2, "a0", more).await;
    let tag = world.get(ADA, &address("notes", 2)).await.header("etag").to_owned();
    let block = world.get(ADA, &address("notes", 2)).await.body["blocks"][0].clone();
    let expected = json!({"id": key(21), "type": "task", "content": content, "rank": "a0",
                          "created_by": "policy:sync", "created_at": "2026-01-01T00:00:00Z", "updated_by": BOB,
                          "updated_at": "2026-01-02T00:00:00Z", "version": 4});
    assert_eq!(block, expected);
    world.write("update blocks set version = 5").await;
    let changed = world.get_unless(ADA, &address("notes", 2), Some(&tag)).await;
    assert_eq!((changed.status, &changed.body["blocks"][0]["version"]), (200, &json!(5)));
}

#[tokio::test]
async fn a_quarantined_block_is_withheld_and_its_note_is_there() {
    let world = furnished().await;
    for (id, rank) in [(21, "a0"), (22, "a1"), (23, "a2")] {
        world.block(id, 2, rank, json!({})).await;
    }
    world.block(31, 3, "a0", json!({})).await;
    world.quarantined("blocks", &key(22), &scopes(2, 1)).await;
    assert_eq!(texts(&world, 2).await, ["21", "23"]);
    let withheld = async |note| world.get(ADA, &address("notes", note)).await.body.get("withheld").cloned();
    assert_eq!((withheld(2).await, withheld(3).await), (Some(json!(true)), None));
    assert_eq!(world.get(BOB, &address("notes", 2)).await.refusal(), (404, "note-missing"));
    // One that has no row is missed just as well.
    world.quarantined("blocks", &key(39), &scopes(3, 1)).await;
    assert_eq!((texts(&world, 3).await, withheld(3).await), (vec!["31".to_owned()], Some(json!(true))));
    // Titles do not depend on it.
    assert!(world.get(ADA, "/notes").await.body.get("withheld").is_none());
}

#[tokio::test]
async fn a_task_is_shown_as_it_is_stored() {
    let world = furnished().await;
    let more = json!({"title": "Call", "description": "More", "completed_at": "2026-01-03T00:00:00Z",
                      "due_at": "2026-02-01T00:00:00.000001Z", "priority": 3, "assignee_id": ADA,
                      "created_by": "policy:sync", "updated_by": BOB, "updated_at": "2026-01-02T00:00:00Z", "version": 4});
    world.task(31, Some(2), more).await;
    let expected = json!({"id": key(31), "note_id": key(2), "notebook_id": key(1), "block_id": null, "title": "Call",
                          "description": "More", "completed": true, "completed_at": "2026-01-03T00:00:00Z",
                          "due_at": "2026-02-01T00:00:00.000001Z", "due_on": null, "priority": 3, "assignee_id": ADA,
                          "role": "owner",
                          "created_by": "policy:sync", "created_at": "2026-01-01T00:00:00Z", "updated_by": BOB,
                          "updated_at": "2026-01-02T00:00:00Z", "version": 4});
    assert_eq!(world.get(ADA, &address("tasks", 31)).await.body, expected);
    assert_eq!(world.get(ADA, "/tasks").await.body["items"], json!([expected]));
    world.task(32, None, json!({})).await;
    let own = world.get(ADA, &address("tasks", 32)).await;
    assert_eq!(own.header("position"), "0000000a-7");
    for field in [
        "note_id",
        "notebook_id",
        "block_id",
        "description",
        "completed_at",
        "due_at",
        "due_on",
        "assignee_id",
    ] {
        assert_eq!(own.body[field], json!(null), "{field}");
    }
    world.task(33, None, json!({"due_on": "2026-03-01"})).await;
    let all_day = world.get(ADA, &address("tasks", 33)).await.body;
    assert_eq!((&all_day["due_at"], &all_day["due_on"]), (&json!(null), &json!("2026-03-01")));
    assert_eq!((&own.body["completed"], &own.body["role"]), (&json!(false), &json!("owner")));
}

#[tokio::test]
async fn a_task_names_its_block_only_while_it_has_one() {
    let world = furnished().await;
    let task = json!({"type": "task", "content": {"checked": false, "depth": 0, "text": "x", "spans": []}});
    let gone = {
        let mut gone = task.clone();
        gone["removed"] = json!(true);
        gone
    };
    for (id, note, block) in [
        (31, Some(2), Some((2, task.clone()))),
        (32, Some(2), Some((2, json!({})))),
        (33, Some(2), Some((2, gone))),
        (34, Some(2), Some((3, task.clone()))),
        (35, Some(2), None),
        (36, None, Some((2, task))),
    ] {
        world.task(id, note, json!({})).await;
        if let Some((note, block)) = block {
            world.block(id, note, &format!("a{}", id - 30), block).await;
        }
    }
    let list = world.get(ADA, "/tasks").await;
    assert_eq!(list.items("title"), ["36", "35", "34", "33", "32", "31"]);
    for task in list.body["items"].as_array().expect("a list") {
        let expected = if task["title"] == "31" { json!(key(31)) } else { json!(null) };
        assert_eq!(task["block_id"], expected, "{task}");
        let id = task["id"].as_str().expect("an id");
        assert_eq!(&world.get(ADA, &format!("/tasks/{id}")).await.body, task);
    }
}

#[tokio::test]
async fn a_stranger_sees_no_task_and_a_member_those_of_the_notebook() {
    let world = furnished().await;
    world.task(31, Some(2), json!({"assignee_id": BOB, "created_by": BOB, "owner_id": BOB})).await;
    world.task(32, None, json!({"assignee_id": BOB})).await;
    world.task(33, Some(5), json!({})).await;
    let of_note = format!("note_id={}", key(2));
    let of_notebook = format!("notebook_id={}", key(1));
    let of_bob = format!("assignee={BOB}");
    for query in ["", &of_note, &of_notebook, &of_bob, "q=3", "sort=due"] {
        assert!(titles(&world, BOB, query).await.is_empty(), "{query}");
    }
    for id in [31, 32, 33] {
        let hidden = world.get(BOB, &address("tasks", id)).await;
        assert_eq!(hidden.refusal(), (404, "task-missing"));
        assert_eq!(hidden.body, world.get(BOB, &address("tasks", 99)).await.body);
    }
    world.share(1, BOB, "viewer").await;
    for query in ["", &of_note, &of_notebook, &of_bob] {
        assert_eq!(titles(&world, BOB, query).await, ["31"], "{query}");
    }
    assert_eq!(world.get(BOB, "/tasks").await.items("role"), ["viewer"]);
    assert_eq!(world.get(BOB, &address("tasks", 31)).await.body["role"], json!("viewer"));
    assert_eq!(world.get(BOB, &address("tasks", 32)).await.refusal(), (404, "task-missing"));
    // One of a note that is nowhere is nobody's, not even its owner's.
    world.task(34, Some(98), json!({})).await;
    assert_eq!(titles(&world, ADA, "").await, ["33", "32", "31"]);
    assert_eq!(world.get(ADA, &address("tasks", 34)).await.refusal(), (404, "task-missing"));
}

#[tokio::test]
async fn a_removed_task_is_nowhere() {
    let world = furnished().await;
    world.task(31, Some(2), json!({"removed": true})).await;
    world.task(32, None, json!({"removed": true})).await;
    for query in ["", "completed=false", "sort=due", "q=3", &format!("note_id={}", key(2))] {
        assert!(titles(&world, ADA, query).await.is_empty(), "{query}");
    }
    for id in [31, 32] {
        assert_eq!(world.get(ADA, &address("tasks", id)).await.refusal(), (404, "task-missing"));
    }
}

#[tokio::test]
async fn every_filter_leaves_what_it_says() {
    let world = furnished().await;
    let due = |at: &str| json!({"due_at": format!("2026-03-0{at}")});
    world.task(31, Some(2), due("1T00:00:00Z")).await;
    world
        .task(32, Some(3), json!({"due_at": "2026-03-02T00:00:00Z", "assignee_id": ADA, "priority": 4}))
        .await;
    world.task(33, Some(5), due("3T00:00:00Z")).await;
    world.task(34, None, json!({"completed_at": "2026-01-05T00:00:00Z", "priority": 1})).await;
    world.task(35, Some(2), json!({"completed_at": "2026-01-05T00:00:00Z", "assignee_id": BOB})).await;
    let cases = [
        (String::new(), vec![35, 34, 33, 32, 31]),
        ("completed=true".to_owned(), vec![35, 34]),
        ("completed=false".to_owned(), vec![33, 32, 31]),
        (format!("note_id={}", key(2)), vec![35, 31]),
        (format!("notebook_id={}", key(1)), vec![35, 32, 31]),
        (format!("notebook_id={}", key(4)), vec![33]),
        (format!("notebook_id={}&note_id={}", key(4), key(2)), vec![]),
        (format!("note_id={}", key(7)), vec![]),
        (format!("notebook_id={}", key(6)), vec![]),
        (format!("assignee={ADA}"), vec![32]),
        (format!("assignee={BOB}"), vec![35]),
        // Before is before, and after is from then on; what has no time is neither.
        ("due_before=2026-03-02T00:00:00Z".to_owned(), vec![31]),
        ("due_before=2026-03-02T00:00:00.000001Z".to_owned(), vec![32, 31]),
        ("due_before=2026-03-02T01:00:00%2B01:00".to_owned(), vec![31]),
        ("due_after=2026-03-02T00:00:00Z".to_owned(), vec![33, 32]),
        ("due_after=2026-03-02T00:00:00.000001Z".to_owned(), vec![33]),
        ("due_after=2026-03-01T00:00:00Z&due_before=2026-03-03T00:00:00Z".to_owned(), vec![32, 31]),
        ("priority=0".to_owned(), vec![35, 33, 31]),
        ("priority=4".to_owned(), vec![32]),
        ("priority=1&completed=true".to_owned(), vec![34]),
        ("priority=1&completed=false".to_owned(), vec![]),
    ];
    for (query, expected) in cases {
        let expected: Vec<String> = expected.iter().map(u8::to_string).collect();
        assert_eq!(titles(&world, ADA, &query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn a_day_is_due_at_its_last_moment() {
    let world = furnished().await;
    for (id, due) in [
        (31, json!({"due_at": "2026-03-02T00:00:00Z"})),
        (32, json!({"due_on": "2026-03-01"})),
        (33, json!({})),
        (34, json!({"due_at": "2026-03-01T23:59:59Z"})),
        (35, json!({"due_on": "2026-03-02"})),
        (36, json!({"due_at": "2026-03-01T00:00:00Z"})),
        (37, json!({"due_on": "9999-12-31"})),
        (38, json!({"due_on": "0001-01-01"})),
        (39, json!({"due_on": "2026-03-01"})),
    ] {
        world.task(id, None, due).await;
    }
    let ids = |expected: &[u8]| expected.iter().map(u8::to_string).collect::<Vec<_>>();
    let order = ids(&[38, 36, 34, 39, 32, 31, 35, 37, 33]);
    assert_eq!(titles(&world, ADA, "sort=due").await, order);
    for limit in [1, 2, 4] {
        assert_eq!(
            walk(&world, &format!("/tasks?sort=due&limit={limit}"), "title", async |_| ()).await,
            order
        );
    }
    for (query, expected) in [
        // All of a day is due before the next one begins, and none of it before.
        ("due_before=2026-03-02T00:00:00Z", vec![38, 36, 34, 39, 32]),
        ("due_before=2026-03-01T23:59:59Z", vec![38, 36]),
        ("due_before=2026-03-01T23:59:59.999999Z", vec![38, 36, 34]),
        ("due_after=2026-03-02T00:00:00Z", vec![31, 35, 37]),
        ("due_after=2026-03-01T12:00:00Z", vec![34, 39, 32, 31, 35, 37]),
        ("due_after=2026-03-01T23:59:59.999999Z", vec![39, 32, 31, 35, 37]),
        ("due_after=2026-03-01T00:00:00Z&due_before=2026-03-02T00:00:00Z", vec![36, 34, 39, 32]),
        ("due_before=0001-01-02T00:00:00Z", vec![38]),
        ("due_after=9999-12-31T23:59:59.999999Z", vec![37]),
    ] {
        assert_eq!(titles(&world, ADA, &format!("sort=due&{query}")).await, ids(&expected), "{query}");
    }
}

#[tokio::test]
async fn a_text_is_found_as_it_is_in_title_or_description_in_whatever_case() {
    let world = furnished().await;
    for (id, title, description) in [
        (31, "100% sure", None),
        (32, "100 sure", None),
        (33, "a_b", None),
        (34, "axb", None),
        (35, r"a\b", None),
        (36, "Groceries", Some("Milk, ÉCLAIRS")),
        (37, "éclairs for GROCERIES", None),
        (38, "Straße", None),
        (39, "caf\u{e9} cr\u{e8}me", None),
        (40, "cafe\u{301} au lait", None),
        (41, "Dessert", Some("cr\u{e8}me fra\u{ee}che")),
        (42, "w\u{ad}r\u{ad}ap", None),
        (43, "οδοσήμανση", None),
        (44, "οδος", None),
    ] {
        world.task(id, None, json!({"title": title, "description": description})).await;
    }
    for (q, expected) in [
        ("100%25", vec!["100% sure"]),
        ("%25", vec!["100% sure"]),
        ("_", vec!["a_b"]),
        ("a_b", vec!["a_b"]),
        ("%5C", vec![r"a\b"]),
        ("a%5Cb", vec![r"a\b"]),
        ("%5C_", vec![]),
        ("GROCER", vec!["éclairs for GROCERIES", "Groceries"]),
        ("milk,%20", vec!["Groceries"]),
        ("%C3%89clairs", vec!["éclairs for GROCERIES", "Groceries"]),
        ("%C3%A9CLAIRS", vec!["éclairs for GROCERIES", "Groceries"]),
        ("STRA%C3%9FE", vec!["Straße"]),
        ("groceriesmilk", vec![]),
        ("strasse", vec!["Straße"]),
        // Composed and decomposed, on either side; and with what nobody sees.
        ("caf%C3%A9", vec!["cafe\u{301} au lait", "caf\u{e9} cr\u{e8}me"]),
        ("CAFE%CC%81", vec!["cafe\u{301} au lait", "caf\u{e9} cr\u{e8}me"]),
        ("cafe", vec![]),
        ("cre%CC%80me%20frai%CC%82che", vec!["Dessert"]),
        ("%EF%BD%8C%EF%BD%81%EF%BD%89%EF%BD%94", vec!["cafe\u{301} au lait"]),
        ("l%E2%80%8Bait", vec!["cafe\u{301} au lait"]),
        ("wrap", vec!["w\u{ad}r\u{ad}ap"]),
        ("%CE%9F%CE%94%CE%9F%CE%A3", vec!["οδος", "οδοσήμανση"]),
    ] {
        assert_eq!(titles(&world, ADA, &format!("q={q}")).await, expected, "{q}");
    }
}

/// A task that stands beside others in every order.
#[derive(Clone)]
struct Tied {
    number: u8,
    due: Option<u8>,
    priority: u8,
    /// The minutes of its creation and of its last change.
    created: u8,
    updated: u8,
}

type Order = fn(&Tied) -> (i16, i16);

const ORDERS: [(&str, Order); 4] = [
    ("created", |task| (-i16::from(task.created), 0)),
    ("updated", |task| (-i16::from(task.updated), 0)),
    ("due", |task| (task.due.map_or(1000, i16::from), 0)),
    ("priority", |task| (-i16::from(task.priority), -i16::from(task.created))),
];

/// Ada's tasks with many ties in every column: her own, in note 2 and in note 5 by turns.
async fn tied() -> (World, Vec<Tied>) {
    let world = furnished().await;
    let mut tasks = Vec::new();
    for number in 0..24_u8 {
        let due = (number % 4 != 0).then_some(number % 3);
        let task = Tied { number, due, priority: number % 5, created: number / 4, updated: 59 - number / 8 };
        let at = |minute: u8| format!("2026-01-01T00:{minute:02}:00Z");
        let more = json!({"due_at": due.map(at), "priority": task.priority, "created_at": at(task.created),
                          "updated_at": at(task.updated)});
        world.task(100 + u128::from(number), [None, Some(2), Some(5)][usize::from(number % 3)], more).await;
        tasks.push(task);
    }
    (world, tasks)
}

#[tokio::test]
async fn each_task_comes_once_in_every_order_however_long_the_pages_are() {
    let (world, mut tasks) = tied().await;
    for (sort, order) in ORDERS {
        tasks.sort_by_key(|task| (order(task), -i16::from(task.number)));
        let title = |task: &Tied| (100 + u16::from(task.number)).to_string();
        let expected: Vec<String> = tasks.iter().map(title).collect();
        for limit in [1, 2, 3, 5, 7, 24, 200] {
            let list = format!("/tasks?sort={sort}&limit={limit}");
            assert_eq!(walk(&world, &list, "title", async |_| ()).await, expected, "{list}");
        }
        let of_note = format!("/tasks?sort={sort}&limit=2&note_id={}", key(2));
        let few: Vec<String> = tasks.iter().filter(|task| task.number % 3 == 1).map(title).collect();
        assert_eq!(walk(&world, &of_note, "title", async |_| ()).await, few, "{of_note}");
    }
    assert_eq!(titles(&world, ADA, "").await, titles(&world, ADA, "sort=created").await);
}

#[tokio::test]
async fn pages_shorter_than_the_notebooks_are_many_leave_nothing_out() {
    let world = world().await;
    for notebook in 1..=6 {
        world.notebook(notebook, ADA, 0).await;
        world.note(10 + notebook, notebook, 1).await;
    }
    let mut tasks = Vec::new();
    for number in 0..29_u8 {
        // Other places in each order, and none twice.
        let [created, updated, due] = [3, 5, 7].map(|step| number * step % 29);
        let at = |minute: u8| format!("2026-01-01T00:{minute:02}:00Z");
        let more = json!({"due_at": at(due), "priority": number % 5, "created_at": at(created), "updated_at": at(updated)});
        world.task(100 + u128::from(number), Some(11 + u128::from(number % 6)), more).await;
        tasks.push(Tied { number, due: Some(due), priority: number % 5, created, updated });
    }
    for (sort, order) in ORDERS {
        tasks.sort_by_key(order);
        let expected: Vec<String> =
            tasks.iter().map(|task| (100 + u16::from(task.number)).to_string()).collect();
        for limit in [1, 2, 3, 5, 6, 7, 28, 29] {
            let list = format!("/tasks?sort={sort}&limit={limit}");
            assert_eq!(walk(&world, &list, "title", async |_| ()).await, expected, "{list}");
        }
    }
}

#[tokio::test]
async fn a_task_cursor_serves_only_its_order_its_filters_and_its_person() {
    let (world, _) = tied().await;
    let first = world.get(ADA, "/tasks?sort=due&limit=1").await;
    let cursor = first.body["next_cursor"].as_str().expect("more").to_owned();
    assert_eq!(
        world.get(ADA, &format!("/tasks?sort=due&limit=2&cursor={cursor}")).await.items("id").len(),
        2
    );
    let changed = format!("{}A", &cursor[..cursor.len() - 1]);
    let mut wrong: Vec<(UserId, String)> = ["created", "updated", "priority"]
        .map(|sort| (ADA, format!("/tasks?sort={sort}&cursor={cursor}")))
        .to_vec();
    for filter in [
        "completed=false".to_owned(),
        "priority=1".to_owned(),
        "q=1".to_owned(),
        "due_before=2030-01-01T00:00:00Z".to_owned(),
        "due_after=2020-01-01T00:00:00Z".to_owned(),
        format!("note_id={}", key(2)),
        format!("notebook_id={}", key(1)),
        format!("assignee={ADA}"),
    ] {
        wrong.push((ADA, format!("/tasks?sort=due&{filter}&cursor={cursor}")));
    }
    wrong.push((ADA, format!("/tasks?cursor={cursor}")));
    wrong.push((BOB, format!("/tasks?sort=due&cursor={cursor}")));
    wrong.push((ADA, format!("/notes?cursor={cursor}")));
    wrong.push((ADA, format!("/tasks?sort=due&cursor={changed}")));
    wrong.push((ADA, "/tasks?sort=due&cursor=x".to_owned()));
    let notes = world.get(ADA, "/notes?limit=1").await.body["next_cursor"].clone();
    wrong.push((ADA, format!("/tasks?cursor={}", notes.as_str().expect("more"))));
    for (user, address) in wrong {
        assert_eq!(world.get(user, &address).await.refusal(), (400, "bad-cursor"), "{address}");
    }
}

#[tokio::test]
async fn what_is_no_filter_is_refused() {
    let world = furnished().await;
    let long = format!("q={}", "x".repeat(201));
    for wrong in [
        "completed=maybe",
        "completed=",
        "completed=1",
        "note_id=x",
        "notebook_id=",
        "assignee=me",
        "due_before=tomorrow",
        "due_after=2026-02-30T00:00:00Z",
        "due_after=2016-12-31T23:59:60Z",
        "due_before=2026-03-01",
        // Of years that nobody means, and some of which Postgres has not.
        "due_before=-9999-01-01T00:00:00Z",
        "due_after=-200000-01-01T00:00:00Z",
        "due_after=%2B200000-01-01T00:00:00Z",
        "priority=5",
        "priority=-1",
        "priority=x",
        "q=",
        "q=%00",
        "q=%E2%80%8B",
        &long,
        "sort=title",
        "sort=Due",
        "limit=0",
        "limit=201",
        "title=x",
        "completed=true&completed=false",
    ] {
        assert_eq!(world.get(ADA, &format!("/tasks?{wrong}")).await.refusal(), (400, "bad-query"), "{wrong}");
    }
    assert_eq!(world.get(ADA, &format!("/tasks?q={}", "%C3%A9".repeat(200))).await.status, 200);
    assert_eq!(world.get(ADA, "/tasks/no-uuid").await.status, 404);
    assert_eq!(world.get(ADA, "/tasks?after=0000000b-1").await.refusal(), (409, "epoch-changed"));
}

async fn is_withheld(world: &World, user: UserId, query: &str) -> bool {
    let list = world.get(user, &format!("/tasks?{query}")).await;
    list.body.get("withheld").is_some_and(|withheld| *withheld == Value::Bool(true))
}

#[tokio::test]
async fn a_quarantined_task_is_withheld_and_the_others_are_there() {
    let world = furnished().await;
    world.task(31, Some(2), json!({})).await;
    world.task(32, Some(2), json!({})).await;
    world.task(33, None, json!({})).await;
    world.task(34, None, json!({})).await;
    assert!(!is_withheld(&world, ADA, "").await);
    world.quarantined("tasks", &key(31), &scopes(2, 1)).await;
    assert!(is_withheld(&world, ADA, "").await);
    assert_eq!(world.get(ADA, &address("tasks", 31)).await.refusal(), (503, "row-quarantined"));
    world.quarantined("tasks", &key(33), &format!("user:{ADA}")).await;
    assert_eq!(world.get(ADA, &address("tasks", 33)).await.refusal(), (503, "row-quarantined"));
    // One that has no row is missed just as well.
    world.quarantined("tasks", &key(39), &scopes(2, 1)).await;
    assert_eq!(world.get(ADA, &address("tasks", 39)).await.refusal(), (503, "row-quarantined"));
    assert_eq!(titles(&world, ADA, "").await, ["34", "32"]);
    assert_eq!(world.get(ADA, &address("tasks", 32)).await.status, 200);
    // Strangers do not even hear of it.
    assert!(!is_withheld(&world, BOB, "").await);
    for id in [31, 33, 39] {
        assert_eq!(world.get(BOB, &address("tasks", id)).await.refusal(), (404, "task-missing"));
    }
}

#[tokio::test]
async fn what_a_note_quarantined_holds_is_withheld_with_it() {
    let world = furnished().await;
    for (id, note) in [(31, Some(2)), (32, Some(3)), (33, None), (34, Some(98))] {
        world.task(id, note, json!({})).await;
    }
    world.quarantined("notes", &key(2), &scopes(2, 1)).await;
    assert_eq!(titles(&world, ADA, "").await, ["33", "32"]);
    assert!(is_withheld(&world, ADA, "").await);
    assert_eq!(world.get(ADA, &address("tasks", 31)).await.refusal(), (503, "row-quarantined"));
    assert_eq!(world.get(ADA, &address("notes", 2)).await.refusal(), (503, "row-quarantined"));
    // Of a note that has no row: whoever sees its notebook may see the task one day.
    world.quarantined("notes", &key(98), &scopes(98, 1)).await;
    assert_eq!(world.get(ADA, &address("tasks", 34)).await.refusal(), (503, "row-quarantined"));
    for id in [31, 34] {
        assert_eq!(world.get(BOB, &address("tasks", id)).await.refusal(), (404, "task-missing"));
    }
    assert!(!is_withheld(&world, BOB, "").await);
}

#[tokio::test]
async fn with_a_membership_quarantined_the_tasks_it_showed_are_withheld() {
    let world = furnished().await;
    for (id, note) in [(31, Some(2)), (32, Some(5)), (33, None)] {
        world.task(id, note, json!({})).await;
    }
    world.share(1, BOB, "editor").await;
    world
        .quarantined("members", &format!("notebook:{}/{BOB}", key(1)), &format!("notebook:{}", key(1)))
        .await;
    assert!(titles(&world, BOB, "").await.is_empty());
    assert!(is_withheld(&world, BOB, "").await);
    assert_eq!(world.get(BOB, &address("tasks", 31)).await.refusal(), (503, "row-quarantined"));
    // Another member has lost nothing by it.
    assert_eq!(titles(&world, ADA, "").await, ["33", "32", "31"]);
    assert!(!is_withheld(&world, ADA, "").await);

    world.quarantined("members", &format!("notebook:{}/*", key(4)), &format!("notebook:{}", key(4))).await;
    assert_eq!(titles(&world, ADA, "").await, ["33", "31"]);
    assert!(is_withheld(&world, ADA, "").await);
    // What is asked of elsewhere is whole.
    assert!(!is_withheld(&world, ADA, &format!("notebook_id={}", key(1))).await);
    assert_eq!(world.get(ADA, &address("tasks", 33)).await.status, 200);
    // A membership that has no row yet may be the one that shows more.
    world
        .quarantined("members", &format!("notebook:{}/{ADA}", key(77)), &format!("notebook:{}", key(77)))
        .await;
    assert!(is_withheld(&world, ADA, &format!("notebook_id={}", key(77))).await);
}
