//! Blocks and their order, changed over two instances at once.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use futures::future::join_all;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use servers::testing::statements;
use shared::domain::Event;
use shared::domain::blocks::BlockEvent;
use shared::domain::rank::Rank;
use shared::log::event::Opened;

use crate::pair::{Answer, Pair, TestRequest, Tokens, id, new_id};

/// Clients that change two notes at once, and how much each does.
const CLIENTS: usize = 8;
const COMMANDS: usize = 40;
const CASES: u32 = 3;

fn add(note: &str, block: &str) -> Value {
    json!({"id": block, "note_id": note, "type": "text", "content": {"text": "One"}})
}

/// What a client does; blocks are drawn from those that there are by then.
#[derive(Clone, Debug)]
enum Wish {
    Add(usize, Where),
    Move(Index, usize, Where),
    Remove(Index),
    Restore(Index),
}

#[derive(Clone, Debug)]
enum Where {
    After(Index),
    Before(Index),
    End,
}

/// Where a block was asked to stand.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Beside {
    After(String),
    Before(String),
    End,
}

/// A place that was asked for.
struct Asked {
    beside: Beside,
    /// What was recorded by then, at least, when the request was sent.
    since: i64,
    /// The position of the answer.
    recorded: i64,
}

/// What clients have made and asked for so far.
#[derive(Default)]
struct World {
    blocks: Mutex<Vec<String>>,
    /// By block and version.
    asked: Mutex<HashMap<(String, i64), Asked>>,
    /// The last position that anybody was answered.
    answered: AtomicI64,
}

fn plan() -> impl Strategy<Value = Vec<Vec<Wish>>> {
    let place = || {
        prop_oneof![
            3 => any::<Index>().prop_map(Where::After),
            2 => any::<Index>().prop_map(Where::Before),
            1 => Just(Where::End),
        ]
    };
    let wish = prop_oneof![
        5 => (0..2_usize, place()).prop_map(|(note, place)| Wish::Add(note, place)),
        4 => (any::<Index>(), 0..2_usize, place()).prop_map(|(which, note, place)| Wish::Move(which, note, place)),
        1 => any::<Index>().prop_map(Wish::Remove),
        1 => any::<Index>().prop_map(Wish::Restore),
    ];
    vec(vec(wish, COMMANDS), CLIENTS)
}

impl World {
    fn some(&self, which: Index) -> Option<String> {
        let blocks = self.blocks.lock().expect("no client panics with the lock");
        if blocks.is_empty() { None } else { Some(which.get(&blocks).clone()) }
    }

    fn beside(&self, place: &Where) -> Beside {
        match place {
            Where::After(which) => self.some(*which).map_or(Beside::End, Beside::After),
            Where::Before(which) => self.some(*which).map_or(Beside::End, Beside::Before),
            Where::End => Beside::End,
        }
    }

    fn request(&self, wish: &Wish, notes: &[String; 2]) -> Option<(TestRequest, Option<Asked>)> {
        let since = self.answered.load(Ordering::SeqCst);
        let asked = |beside| Some(Asked { beside, since, recorded: 0 });
        let said = |beside: &Beside, mut body: Value| {
            match beside {
                Beside::After(other) => body["after"] = json!(other),
                Beside::Before(other) => body["before"] = json!(other),
                Beside::End => (),
            }
            body
        };
        Some(match wish {
            Wish::Add(note, place) => {
                let beside = self.beside(place);
                (TestRequest::post("/blocks", &said(&beside, add(&notes[*note], &new_id()))), asked(beside))
            }
            Wish::Move(which, note, place) => {
                let (block, beside) = (self.some(*which)?, self.beside(place));
                let body = said(&beside, json!({"note_id": notes[*note]}));
                (TestRequest::post(&format!("/blocks/{block}/move"), &body), asked(beside))
            }
            Wish::Remove(which) => (TestRequest::delete(&format!("/blocks/{}", self.some(*which)?)), None),
            Wish::Restore(which) => {
                (TestRequest::post(&format!("/blocks/{}/restore", self.some(*which)?), &Value::Null), None)
            }
        })
    }

    fn learn(&self, answer: &Answer, wanted: Option<Asked>) {
        match answer.status {
            200 | 201 => {
                let (block, recorded) = (id(&answer.body), answer.number("position"));
                self.answered.fetch_max(recorded, Ordering::SeqCst);
                if let Some(wanted) = wanted {
                    let mut asked = self.asked.lock().expect("no client panics with the lock");
                    let key = (block.clone(), answer.number("version"));
                    asked.entry(key).or_insert(Asked { recorded, ..wanted });
                }
                if answer.status == 201 {
                    self.blocks.lock().expect("no client panics with the lock").push(block);
                }
            }
            // The neighbour was elsewhere, or the block itself was removed.
            409 => answer.is_refused(409, "block-removed"),
            _ => answer.is_refused(422, "invalid"),
        }
    }
}

/// The notes, as the log says one event after the other.
#[derive(Default)]
struct Orders {
    notes: HashMap<String, Vec<(Rank, String)>>,
    /// At which position each block took its place.
    came: HashMap<String, i64>,
}

impl Orders {
    fn leave(&mut self, note: &str, block: &str) {
        self.notes.entry(note.to_owned()).or_default().retain(|(_, other)| other != block);
    }

    fn come(&mut self, note: &str, block: &str, rank: &Rank) {
        assert!(rank.as_str().len() <= Rank::LONGEST, "{rank}");
        let order = self.notes.entry(note.to_owned()).or_default();
        order.push((rank.clone(), block.to_owned()));
        order.sort();
    }

    fn take(&mut self, opened: &Opened) {
        let block = &opened.recorded.aggregate.id;
        let Some(Event::Block(event)) = &opened.event else { return };
        if let BlockEvent::BlockAdded { .. }
        | BlockEvent::BlockRestored { .. }
        | BlockEvent::BlockMoved { .. } = event
        {
            self.came.insert(block.clone(), opened.recorded.position);
        }
        match event {
            BlockEvent::BlockAdded { note_id, rank, .. } | BlockEvent::BlockRestored { note_id, rank } => {
                self.come(&note_id.to_string(), block, rank);
            }
            BlockEvent::BlockMoved { from, to, rank, .. } => {
                self.leave(&from.to_string(), block);
                self.come(&to.to_string(), block, rank);
            }
            BlockEvent::BlockRemoved { note_id } => self.leave(&note_id.to_string(), block),
            BlockEvent::BlockEdited { .. } | BlockEvent::BlockTypeChanged { .. } => (),
        }
    }

    fn of(&self, note: &str) -> Vec<&str> {
        self.notes.get(note).into_iter().flatten().map(|(_, block)| block.as_str()).collect()
    }

    /// No two blocks of a note have one rank.
    fn are_total(&self) {
        for order in self.notes.values() {
            assert!(order.windows(2).all(|pair| pair[0].0 < pair[1].0), "{order:?}");
        }
    }

    /// The block stands where it was asked to, and between it and its neighbour are only blocks that took their places
    /// after the request was sent.
    fn honour(&self, block: &str, asked: &Asked) {
        let order = self.notes.values().find(|order| order.iter().any(|(_, other)| other == block));
        let order: Vec<&str> = order.into_iter().flatten().map(|(_, block)| block.as_str()).collect();
        let at = |wanted: &str| order.iter().position(|other| *other == wanted).expect("it is in the note");
        let between = match &asked.beside {
            Beside::After(other) => at(other) + 1..at(block),
            Beside::Before(other) => at(block) + 1..at(other),
            Beside::End => at(block) + 1..order.len(),
        };
        assert!(
            between.start <= between.end,
            "{block} is on the wrong side of {:?} in {order:?}",
            asked.beside
        );
        for other in &order[between] {
            assert!(
                self.came[*other] > asked.since,
                "{other} was there, and {block} is not beside {:?}",
                asked.beside
            );
        }
    }
}

async fn log(pair: &Pair) -> Vec<Opened> {
    let stored = shared::log::event_log::after(&pair.owner, 0, i64::MAX).await.expect("the log");
    pair.app(0).keyring.open(stored).await.expect("it opens")
}

/// Takes the log append by append, and looks at each whether what was asked for holds.
async fn orders(pair: &Pair, asked: &HashMap<(String, i64), Asked>) -> Orders {
    let mut orders = Orders::default();
    let log = log(pair).await;
    for append in log.chunk_by(|a, b| a.recorded.meta.causation == b.recorded.meta.causation) {
        for opened in append {
            orders.take(opened);
        }
        orders.are_total();
        for opened in append {
            let aggregate = &opened.recorded.aggregate;
            // One that stood there already was answered with the version of an earlier event.
            let recorded = append.last().map(|last| last.recorded.position);
            if let Some(asked) = asked.get(&(aggregate.id.clone(), aggregate.version))
                && Some(asked.recorded) == recorded
            {
                orders.honour(&aggregate.id, asked);
            }
        }
    }
    orders
}

async fn places_are(pair: &Pair, orders: &Orders) {
    for (note, order) in &orders.notes {
        let rows: Vec<(String, String)> =
            sqlx::query_as("select rank, item from es.place where container = 'note:' || $1 order by rank")
                .bind(note)
                .fetch_all(&pair.owner)
                .await
                .expect("the places");
        let wanted: Vec<_> = order.iter().map(|(rank, block)| (rank.to_string(), block.clone())).collect();
        assert_eq!(rows, wanted);
    }
}

#[test]
fn each_block_stands_where_it_was_asked_to() {
    let config = Config { cases: CASES, max_shrink_iters: 0, failure_persistence: None, ..Config::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let stood = AtomicUsize::new(0);
    let run = |plan: Vec<Vec<Wish>>| {
        runtime.block_on(async {
            let pair = Pair::start().await;
            let ada = pair.person("ada").await;
            let notebook = pair.notebook(&ada, "Lab").await;
            let notes = [pair.note(&ada, &notebook).await, pair.note(&ada, &notebook).await];
            let world = World::default();
            let client = async |number: usize, wishes: &[Wish]| {
                for wish in wishes {
                    let Some((request, asked)) = world.request(wish, &notes) else { continue };
                    world.learn(&pair.send(number % 2, request.by(&ada)).await, asked);
                }
            };
            join_all(plan.iter().enumerate().map(|(number, wishes)| client(number, wishes))).await;
            let asked = world.asked.into_inner().expect("no client panicked");
            stood.fetch_add(asked.len(), Ordering::Relaxed);
            places_are(&pair, &orders(&pair, &asked).await).await;
            pair.stop().await;
        });
        Ok(())
    };
    TestRunner::new(config).run(&plan(), run).unwrap();
    // Of one plan chance may let fewer stand, as half of the neighbours it names are in the other note.
    let (stood, commands) = (stood.into_inner(), CASES as usize * CLIENTS * COMMANDS);
    assert!(stood > commands / 4, "{stood} of {commands} commands stood");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_is_spread_anew_and_the_order_stays() {
    let pair = Pair::start().await;
    let ada = pair.person("ada").await;
    let notebook = pair.notebook(&ada, "Lab").await;
    let note = pair.note(&ada, &notebook).await;
    let (first, mut last) = (new_id(), new_id());
    for block in [&first, &last] {
        assert_eq!(pair.send(0, TestRequest::post("/blocks", &add(&note, block)).by(&ada)).await.status, 201);
    }
    // Each before the one before: the ranks between the first and it grow as fast as they can.
    let mut expected = vec![last.clone()];
    // Each instance knows only what it has added itself; it reads all who move up at once, and once more if what it
    // remembered was stale.
    for nth in 0..1_700 {
        let mut body = add(&note, &new_id());
        body["before"] = json!(last);
        let (added, made) =
            statements(pair.send(nth % 2, TestRequest::post("/blocks", &body).by(&ada))).await;
        assert_eq!(added.status, 201, "{added:?}");
        assert!(made.len() < 32, "{made:#?}");
        last = id(&added.body);
        expected.push(last.clone());
    }
    expected.push(first);
    expected.reverse();
    let orders = orders(&pair, &HashMap::new()).await;
    assert_eq!(orders.of(&note), expected);
    places_are(&pair, &orders).await;
    let spread =
        sqlx::query_scalar::<_, i64>("select count(*) from es.event where event_type = 'BlockMoved'");
    assert!(spread.fetch_one(&pair.owner).await.unwrap() > 0, "nobody had to move up");
    pair.stop().await;
}

/// Ada's notebook with a note that has two blocks, and Bob's with a note that has one.
async fn furnished(pair: &Pair) -> ([Tokens; 2], [String; 2], [String; 3]) {
    let people = [pair.person("ada").await, pair.person("bob").await];
    let mut notes = Vec::new();
    for person in &people {
        let notebook = pair.notebook(person, "Lab").await;
        notes.push(pair.note(person, &notebook).await);
    }
    let blocks = [new_id(), new_id(), new_id()];
    for (block, (person, note)) in
        blocks.iter().zip([(&people[0], &notes[0]), (&people[0], &notes[0]), (&people[1], &notes[1])])
    {
        assert_eq!(
            pair.send(0, TestRequest::post("/blocks", &add(note, block)).by(person)).await.status,
            201
        );
    }
    (people, notes.try_into().expect("two notes"), blocks)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_touch_no_block_and_learn_of_none() {
    let pair = Pair::start().await;
    let ([ada, bob], [_, bobs], [first, _, his]) = furnished(&pair).await;
    let events = pair.events().await;
    let content = json!({"content": {"text": "Mine"}});
    for block in [&first, &new_id()] {
        let requests = [
            TestRequest::patch(&format!("/blocks/{block}"), &content),
            TestRequest::post(&format!("/blocks/{block}/move"), &json!({"note_id": bobs})),
            TestRequest::delete(&format!("/blocks/{block}")),
            TestRequest::post(&format!("/blocks/{block}/restore"), &Value::Null),
        ];
        for request in requests {
            pair.send(0, request.clone().by(&bob)).await.is_refused(404, "block-missing");
            // A condition tells no more of it.
            pair.send(0, request.by(&bob).if_match(1)).await.is_refused(404, "block-missing");
        }
    }
    // Into somebody else's note, or beside a block of one.
    pair.send(0, TestRequest::post("/blocks", &add(&bobs, &new_id())).by(&ada))
        .await
        .is_refused(422, "invalid");
    let away = json!({"note_id": bobs});
    pair.send(0, TestRequest::post(&format!("/blocks/{first}/move"), &away).by(&ada))
        .await
        .is_refused(422, "invalid");
    let mut beside = add(&bobs, &new_id());
    beside["after"] = json!(first);
    pair.send(0, TestRequest::post("/blocks", &beside).by(&bob)).await.is_refused(422, "invalid");
    // An id that is taken, by one's own or by another's.
    for (taken, slug) in [(&first, "id-taken"), (&his, "block-exists")] {
        pair.send(1, TestRequest::post("/blocks", &add(&bobs, taken)).by(&bob)).await.is_refused(409, slug);
    }
    assert_eq!(pair.events().await, events);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_nothing_is_refused_for_what_does_not_exist() {
    let pair = Pair::start().await;
    let ada = pair.person("ada").await;
    for module in ["notebook", "note", "block", "task"] {
        let change = TestRequest::patch(&format!("/{module}s/{}", new_id()), &json!({}));
        pair.send(0, change.by(&ada)).await.is_refused(404, &format!("{module}-missing"));
    }
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_is_told_by_one_other_block_of_the_note() {
    let pair = Pair::start().await;
    let ([ada, _], [note, _], [first, second, his]) = furnished(&pair).await;
    let removed = pair.send(0, TestRequest::delete(&format!("/blocks/{second}")).by(&ada)).await;
    assert_eq!(removed.status, 200, "{removed:?}");
    let places = [
        json!({"note_id": note, "after": first}),
        json!({"note_id": note, "after": second}),
        json!({"note_id": note, "before": his}),
        json!({"note_id": note, "before": new_id()}),
        json!({"note_id": note, "before": second, "after": second}),
    ];
    for place in &places {
        let refused = pair.send(1, TestRequest::post(&format!("/blocks/{first}/move"), place).by(&ada)).await;
        refused.is_refused(422, "invalid");
    }
    // Where it stands already, and what is removed already: nothing to do.
    let events = pair.events().await;
    let there = pair
        .send(1, TestRequest::post(&format!("/blocks/{first}/move"), &json!({"note_id": note})).by(&ada))
        .await;
    assert_eq!(there.version(), 1);
    assert_eq!(pair.send(1, TestRequest::delete(&format!("/blocks/{second}")).by(&ada)).await.version(), 2);
    assert_eq!(pair.events().await, events);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_note_begins_with_its_blocks_or_not_at_all() {
    let pair = Pair::start().await;
    let ada = pair.person("ada").await;
    let notebook = pair.notebook(&ada, "Lab").await;
    let (note, block) = (new_id(), new_id());
    let text = |block: &str| json!({"id": block, "type": "text", "content": {"text": "One"}});
    let header = json!({"type": "header", "content": {"level": 1, "text": "Top"}});
    let with = |note: &str, blocks: Vec<Value>| {
        TestRequest::post(
            "/notes",
            &json!({"id": note, "notebook_id": notebook, "title": "Plans", "blocks": blocks}),
        )
        .by(&ada)
    };
    let made = pair.send(0, with(&note, vec![header.clone(), text(&block)])).await;
    assert_eq!((made.status, made.number("version"), made.number("position")), (201, 1, pair.events().await));
    let events = pair.events().await;
    let wrong = json!({"type": "header", "content": {"level": 7, "text": "Top"}});
    let refused = pair.send(0, with(&new_id(), vec![text(&new_id()), wrong])).await;
    refused.is_refused(422, "invalid");
    assert_eq!(refused.body["errors"][0]["pointer"], "/blocks/1/content/level");
    let twice = new_id();
    pair.send(0, with(&new_id(), vec![text(&twice), text(&twice)])).await.is_refused(422, "invalid");
    pair.send(0, with(&new_id(), vec![header.clone(), text(&block)])).await.is_refused(409, "block-exists");
    pair.send(0, with(&note, vec![text(&new_id())])).await.is_refused(409, "note-exists");
    pair.send(0, with(&new_id(), vec![header.clone(); 1_000])).await.is_refused(422, "invalid");
    assert_eq!(pair.events().await, events);
    let full = pair.send(1, with(&new_id(), vec![header; 999])).await;
    assert_eq!(full.status, 201, "{full:?}");
    assert_eq!(pair.events().await, events + 1_000);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_and_a_task_of_one_id_belong_to_one_note() {
    let pair = Pair::start().await;
    let ([ada, bob], [note, bobs], [first, ..]) = furnished(&pair).await;
    let task = |id: &str, note: Option<&str>| {
        let mut body = json!({"id": id, "title": "Call"});
        if let Some(note) = note {
            body["note_id"] = json!(note);
        }
        TestRequest::post("/tasks", &body)
    };
    // Bob knows the id of Ada's block, and then that of her own task.
    pair.send(0, task(&first, Some(&bobs)).by(&bob)).await.is_refused(409, "id-taken");
    pair.send(0, task(&first, None).by(&bob)).await.is_refused(409, "id-taken");
    let own = new_id();
    assert_eq!(pair.send(0, task(&own, None).by(&ada)).await.status, 201);
    pair.send(1, TestRequest::post("/blocks", &add(&bobs, &own)).by(&bob)).await.is_refused(409, "id-taken");
    pair.send(1, TestRequest::post("/blocks", &add(&note, &own)).by(&ada)).await.is_refused(409, "id-taken");
    assert_eq!(pair.send(0, task(&first, Some(&note)).by(&ada)).await.status, 201);
    for taken in [&own, &first] {
        pair.send(1, task(taken, Some(&bobs)).by(&bob)).await.is_refused(409, "id-taken");
        pair.send(1, task(taken, None).by(&bob)).await.is_refused(409, "id-taken");
    }
    for path in ["", "/complete", "/reopen", "/restore"] {
        let request = if path.is_empty() {
            TestRequest::patch(&format!("/tasks/{own}"), &json!({"title": "Mine"}))
        } else {
            TestRequest::post(&format!("/tasks/{own}{path}"), &Value::Null)
        };
        pair.send(1, request.by(&bob)).await.is_refused(404, "task-missing");
    }
    let assigned = TestRequest::patch(&format!("/tasks/{first}"), &json!({"assignee_id": bob.user}));
    pair.send(0, assigned.by(&ada)).await.is_refused(422, "invalid");
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moved_block_outlives_the_key_of_the_note_it_left() {
    let pair = Pair::start().await;
    let ada = pair.person("ada").await;
    let notebook = pair.notebook(&ada, "Lab").await;
    let [from, to] = [pair.note(&ada, &notebook).await, pair.note(&ada, &notebook).await];
    let (block, stays) = (new_id(), new_id());
    for block in [&block, &stays] {
        assert_eq!(pair.send(0, TestRequest::post("/blocks", &add(&from, block)).by(&ada)).await.status, 201);
    }
    let moved = pair
        .send(0, TestRequest::post(&format!("/blocks/{block}/move"), &json!({"note_id": to})).by(&ada))
        .await;
    assert_eq!(moved.version(), 2);
    sqlx::query("delete from es.key where key_owner = 'note:' || $1")
        .bind(&from)
        .execute(&pair.owner)
        .await
        .unwrap();
    pair.app(0).keyring.forget(&format!("note:{from}")).await;
    let edit = json!({"type": "header", "content": {"level": 2}});
    // The other instance has never seen the block, nor the key.
    let edited = pair.send(1, TestRequest::patch(&format!("/blocks/{block}"), &edit).by(&ada)).await;
    assert_eq!(edited.version(), 3, "{edited:?}");
    pair.send(1, TestRequest::patch(&format!("/blocks/{stays}"), &edit).by(&ada))
        .await
        .is_refused(404, "gone");
    let last = log(&pair).await.pop().expect("an event");
    assert_eq!(last.recorded.data["block"]["content"], json!({"level": 2, "text": "One", "spans": []}));
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_is_due_in_a_year_that_every_reader_can_tell() {
    let pair = Pair::start().await;
    let ada = pair.person("ada").await;
    let task = new_id();
    let add = json!({"id": task, "title": "Call", "due_at": "9999-12-31T23:59:59.9999999Z"});
    assert_eq!(pair.send(0, TestRequest::post("/tasks", &add).by(&ada)).await.status, 201);
    let events = pair.events().await;
    // What is no more than Postgres keeps is what it has.
    let same =
        TestRequest::patch(&format!("/tasks/{task}"), &json!({"due_at": "9999-12-31T23:59:59.999999Z"}));
    assert_eq!(pair.send(1, same.by(&ada)).await.status, 200);
    for wrong in [
        "-9999-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "+10000-01-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2016-12-31T23:59:60Z",
        "2026-03-01",
        "soon",
        "",
    ] {
        let requests = [
            TestRequest::post("/tasks", &json!({"title": "Call", "due_at": wrong})),
            TestRequest::patch(&format!("/tasks/{task}"), &json!({"due_at": wrong})),
        ];
        for request in requests {
            let refused = pair.send(0, request.by(&ada)).await;
            refused.is_refused(422, "invalid");
            assert_eq!(refused.body["errors"][0]["pointer"], "/due_at", "{wrong}");
        }
    }
    assert_eq!(pair.events().await, events);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_is_due_at_a_time_or_on_a_day() {
    let pair = Pair::start().await;
    let ada = pair.person("ada").await;
    let task = new_id();
    let (at, on) = ("2026-03-01T09:00:00Z", "2026-03-01");
    let add = json!({"id": task, "title": "Call", "due_on": on});
    assert_eq!(pair.send(0, TestRequest::post("/tasks", &add).by(&ada)).await.status, 201);
    let path = format!("/tasks/{task}");
    for (nth, (change, version)) in [
        // What holds already, or is not there to be cleared, changes nothing.
        (json!({"due_on": on}), 1),
        (json!({"due_at": null}), 1),
        (json!({"due_at": null, "due_on": on}), 1),
        (json!({"due_at": at}), 2),
        (json!({"due_on": null}), 2),
        (json!({"due_at": null, "due_on": on}), 3),
        (json!({"due_at": at, "due_on": null}), 4),
        (json!({"due_at": null}), 5),
        (json!({"due_at": null, "due_on": null}), 5),
        (json!({"due_on": "2024-02-29"}), 6),
        (json!({"due_at": null, "due_on": null}), 7),
    ]
    .into_iter()
    .enumerate()
    {
        let changed = pair.send(nth % 2, TestRequest::patch(&path, &change).by(&ada)).await;
        assert_eq!(changed.version(), version, "{change}: {changed:?}");
    }
    let due: Vec<Value> = log(&pair)
        .await
        .into_iter()
        .filter(|event| event.recorded.event_type.ends_with("cheduled"))
        .map(|event| event.recorded.data)
        .collect();
    let (at, on) = (json!({"due_at": at}), json!({"due_on": on}));
    assert_eq!(due, [at.clone(), on, at, json!({}), json!({"due_on": "2024-02-29"}), json!({})]);

    let events = pair.events().await;
    let mut wrong = vec![json!({"due_at": "2026-03-01T09:00:00Z", "due_on": "2026-03-01"})];
    for day in ["2026-02-30", "0000-01-01", "10000-01-01", "2026-3-1", "2026-03-01T09:00:00Z", "soon", ""] {
        wrong.push(json!({"due_on": day}));
    }
    for mut wrong in wrong {
        let change = TestRequest::patch(&path, &wrong);
        wrong["title"] = json!("Call");
        for request in [change, TestRequest::post("/tasks", &wrong)] {
            let refused = pair.send(0, request.by(&ada)).await;
            refused.is_refused(422, "invalid");
            assert_eq!(refused.body["errors"][0]["pointer"], "/due_on", "{wrong}");
        }
    }
    assert_eq!(pair.events().await, events);
    pair.stop().await;
}
