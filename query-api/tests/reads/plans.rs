//! How Postgres runs the reads of a large workspace: by index, and over no more than the caller has a part in.

use kit::{Crowd, Of, numbered};
use serde_json::Value;
use servers::testing::whole_statements;
use shared::domain::id::UserId;
use sqlx::{Connection, PgConnection, Row};

use crate::world::{World, world};

/// Small enough for a test, large enough for Postgres to prefer an index wherever there is one.
const CROWD: Crowd = Crowd { notes: 40_000 };

/// What there may be much of. To read it from one end to the other would take the longer, the more others have.
const LARGE: [&str; 5] = ["users", "notebooks", "notes", "tasks", "members"];

/// Each read, its arguments in SQL, and whether it looks at no more than the caller's containers and a page.
const READS: [(&str, &str, bool); 14] = [
    ("/notebooks", "$person, null, null, 51", true),
    ("/notebooks/{notebook}", "$person, $notebook", false),
    ("/notes", "$person, null, null, null, 51", true),
    ("/notes?notebook_id={notebook}", "$person, $notebook, null, null, 51", true),
    ("/notes/{note}", "$person, $note", true),
    ("/notes/{note}/markdown", "$person, $note", true),
    ("/tasks", "$person, null, null, null, null, null, null, null, null, null, null, 51", true),
    (
        "/tasks?completed=false",
        "$person, null, null, false, null, null, null, null, null, null, null, 51",
        true,
    ),
    (
        "/tasks?notebook_id={notebook}",
        "$person, $notebook, null, null, null, null, null, null, null, null, null, 51",
        true,
    ),
    ("/tasks?sort=due", "$person, null, null, null, null, null, null, null, null, null, null, 51", true),
    ("/tasks?sort=updated", "$person, null, null, null, null, null, null, null, null, null, null, 51", true),
    ("/tasks?sort=priority", "$person, null, null, null, null, null, null, null, null, null, null, 51", true),
    (
        "/tasks?note_id={note}",
        "$person, null, $note, null, null, null, null, null, null, null, null, 51",
        true,
    ),
    ("/tasks/{task}", "$person, $task", true),
];

/// The same read in literals.
fn filled(text: &str, person: UserId, quote: &str) -> String {
    let id = |of, number| format!("{quote}{}{quote}", numbered(of, number));
    // All in everyone's notebook, the largest.
    let of = [("notebook", id(Of::Notebook, 0)), ("note", id(Of::Note, 8)), ("task", id(Of::Task, 8))];
    let text = text.replace("$person", &format!("'{person}'"));
    of.iter().fold(text, |text, (name, id)| {
        text.replace(&format!("${name}"), id).replace(&format!("{{{name}}}"), id)
    })
}

/// Runs a statement that is planned for any arguments, or for these; returns what ran.
async fn plan(connection: &mut PgConnection, statement: &str, arguments: &str, mode: &str) -> Value {
    let explain = [
        format!("set plan_cache_mode = {mode}"),
        format!("prepare it as {statement}"),
        format!("explain (analyze, buffers, format json) execute it ({arguments})"),
        "deallocate it".to_owned(),
    ];
    let mut plan = Value::Null;
    for sql in &explain {
        let rows = sqlx::raw_sql(sql)
            .fetch_all(&mut *connection)
            .await
            .unwrap_or_else(|error| panic!("{error}: {sql}"));
        if let [row] = &rows[..] {
            plan = row.get(0);
        }
    }
    plan[0]["Plan"].clone()
}

/// The nodes of a plan.
fn nodes<'p>(plan: &'p Value, found: &mut Vec<&'p Value>) {
    found.push(plan);
    for inner in plan["Plans"].as_array().into_iter().flatten() {
        nodes(inner, found);
    }
}

fn number(node: &Value, name: &str) -> f64 {
    node[name].as_f64().unwrap_or_default()
}

async fn run_by_index(world: &World, connection: &mut PgConnection, person: UserId, containers: u32) {
    for (address, arguments, bounded) in READS {
        let address = filled(address, person, "");
        let (answer, made) = whole_statements(world.get(person, &address)).await;
        assert_eq!(answer.status, 200, "{address}: {}", answer.body);
        assert_eq!(made.len(), 1, "{address}");
        for mode in ["force_generic_plan", "force_custom_plan"] {
            let plan = plan(connection, &made[0], &filled(arguments, person, "'"), mode).await;
            let mut found = Vec::new();
            nodes(&plan, &mut found);
            let is_large = |node: &Value| LARGE.iter().any(|table| node["Relation Name"] == *table);
            // What is planned and never begun costs nothing.
            let whole = found.iter().find(|node| {
                node["Node Type"] == "Seq Scan" && is_large(node) && number(node, "Actual Loops") > 0.0
            });
            assert!(whole.is_none(), "{address}, {mode}: reads a table whole: {:#}", whole.unwrap_or(&&plan));
            // For each container its newest thing and the caller's grant; a page of those that are best; a few pages more.
            let most = f64::from(4 * containers + 51 * containers.min(51) + 10 * 51);
            // An index that is read from one end of a notebook to the other shows in pages alone.
            let pages = number(&plan, "Shared Hit Blocks") + number(&plan, "Shared Read Blocks");
            assert!(
                !bounded || pages <= 4.0 * most,
                "{address}, {mode}: {pages} pages, not {most} rows: {plan:#}"
            );
            for node in found.iter().filter(|_| bounded) {
                let gone =
                    number(node, "Rows Removed by Filter") + number(node, "Rows Removed by Index Recheck");
                let rows = (number(node, "Actual Rows") + gone) * number(node, "Actual Loops");
                assert!(rows <= most, "{address}, {mode}: {rows} rows instead of at most {most}: {node:#}");
            }
        }
    }
}

#[tokio::test]
async fn whoever_asks_every_read_goes_by_index_and_looks_at_little() {
    let world = world().await;
    world.write(&CROWD.sql()).await;
    // Others: of so few notebooks, persons and grants it would rightly read all.
    world
        .write(
            "insert into notebooks select gen_random_uuid(), 'n', '', 'a', now(), 'a', now(), 1 from generate_series(1, 20000);
             insert into members select 'notebook', id, gen_random_uuid(), 3, 1, null, 'a', now() from notebooks where name = 'n';
             insert into users select gen_random_uuid(), n || '@example.com', 'q' || n, 'q' || n, 'Q', null, null, null, '{}',
                    now(), now(), 1
               from generate_series(1, 20000) n",
        )
        .await;
    world.write("vacuum analyze").await;
    let mut connection = world.query.acquire().await.expect("a connection").detach();
    let person = |number| UserId(numbered(Of::Person, number));
    // The own notebook and everyone's, and the notes that were shared by themselves.
    run_by_index(&world, &mut connection, person(1), CROWD.busy() + 2 + CROWD.notes / 1000).await;
    run_by_index(&world, &mut connection, person(2), 2).await;
    connection.close().await.expect("closed");
}
