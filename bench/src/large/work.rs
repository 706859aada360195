//! What is measured: every read, and the commands whose things are in the note, the notebook or the lists.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Figure;
use super::person::Person;
use crate::services::Api;

/// How often each thing is done before it is measured: statements are prepared, and things are in memory.
const WARM: u32 = 10;

/// What is read, and its address.
type Read = (&'static str, fn(&Person) -> String);

/// Every read.
const READS: [Read; 19] = [
    ("oneself", |_| "/me".to_owned()),
    ("the note", |person| format!("/notes/{}", person.note)),
    ("the note as Markdown", |person| format!("/notes/{}/markdown", person.note)),
    ("the notebook", |person| format!("/notebooks/{}", person.notebook)),
    ("notebooks", |_| "/notebooks".to_owned()),
    ("notes", |_| "/notes".to_owned()),
    ("notes of the notebook", |person| format!("/notes?notebook_id={}", person.notebook)),
    ("the last page of these", |person| person.last_notes.clone()),
    ("tasks", |_| "/tasks".to_owned()),
    ("the last page of tasks", |person| person.last_tasks.clone()),
    ("tasks, by change", |_| "/tasks?sort=updated".to_owned()),
    ("tasks, by time due", |_| "/tasks?sort=due".to_owned()),
    ("tasks, by priority", |_| "/tasks?sort=priority".to_owned()),
    ("open tasks, by time due", |_| "/tasks?completed=false&sort=due".to_owned()),
    ("urgent tasks", |_| "/tasks?priority=4".to_owned()),
    ("tasks due in a week", |_| {
        "/tasks?due_after=2030-03-01T00:00:00Z&due_before=2030-03-08T00:00:00Z".to_owned()
    }),
    ("tasks with a text", |_| "/tasks?q=number%2044".to_owned()),
    ("tasks of the notebook", |person| format!("/tasks?notebook_id={}", person.notebook)),
    ("tasks of the note", |person| format!("/tasks?note_id={}", person.note)),
];

/// A command; the number is another one each time.
type Command = fn(&Person, usize) -> (Method, String, Value);

/// Commands, by what is asked.
const WRITES: [(&str, Command); 7] = [
    ("a block at the end", |person, nth| (Method::POST, "/blocks".to_owned(), block(person, nth))),
    ("a block in the middle", |person, nth| {
        let mut body = block(person, nth);
        body["after"] = json!(middle(person));
        (Method::POST, "/blocks".to_owned(), body)
    }),
    ("a block at the start", |person, nth| {
        let mut body = block(person, nth);
        body["before"] = json!(person.blocks[0]);
        (Method::POST, "/blocks".to_owned(), body)
    }),
    ("a block edited", |person, nth| {
        let block = &person.blocks[nth % person.blocks.len()];
        (Method::PATCH, format!("/blocks/{block}"), json!({"content": {"text": format!("The other {nth}")}}))
    }),
    ("a block moved to the middle", |person, nth| {
        // One of the first half, but for the very first.
        let block = &person.blocks[1 + nth % (person.blocks.len() / 2 - 1)];
        let body = json!({"note_id": person.note, "after": middle(person)});
        (Method::POST, format!("/blocks/{block}/move"), body)
    }),
    ("a note in the notebook", |person, nth| {
        let body = json!({"notebook_id": person.notebook, "title": format!("The other {nth}")});
        (Method::POST, "/notes".to_owned(), body)
    }),
    ("a task", |_, nth| (Method::POST, "/tasks".to_owned(), json!({"title": format!("The other {nth}")}))),
];

fn block(person: &Person, nth: usize) -> Value {
    let text = format!("The other {nth}, and what came of it: nothing that would have made us any wiser.");
    json!({"note_id": person.note, "type": "text", "content": {"text": text}})
}

fn middle(person: &Person) -> &str {
    &person.blocks[person.blocks.len() / 2]
}

/// Reads everything, of both in turn.
pub(super) async fn read(api: &Api, small: &Person, large: &Person, times: u32) -> Result<Vec<Figure>> {
    let mut figures = Vec::with_capacity(READS.len());
    for (what, address) in READS {
        let mut figure = Figure::new(what.to_owned());
        for nth in 0..WARM + times {
            for (person, series) in [(small, &mut figure.small), (large, &mut figure.large)] {
                let begun = Instant::now();
                let text = api.text(&address(person), &person.token).await?;
                if nth >= WARM {
                    series.add(begun.elapsed(), text.len());
                }
            }
        }
        eprintln!("{what}: {} times as long", figure.ratio());
        figures.push(figure);
    }
    Ok(figures)
}

/// Does everything, for both in turn; each thing gives how long it takes until it is answered, and until it can be read.
pub(super) async fn write(api: &Api, small: &Person, large: &Person, times: u32) -> Result<Vec<Figure>> {
    let mut figures = Vec::with_capacity(2 * WRITES.len());
    for (what, command) in WRITES {
        let mut answered = Figure::new(what.to_owned());
        let mut read = Figure::new(format!("{what}, until it can be read"));
        for nth in 0..WARM + times {
            let series = [
                (small, &mut answered.small, &mut read.small),
                (large, &mut answered.large, &mut read.large),
            ];
            for (person, answered, read) in series {
                let (method, path, body) = command(person, usize::try_from(nth)?);
                let begun = Instant::now();
                let answer = api.command(method, &path, &person.token, &body).await?;
                let took = begun.elapsed();
                // As little as can be read: what the note costs is told apart.
                let position = answer["position"].as_i64().context("an answer without a position")?;
                api.text(&format!("/me?after={position}"), &person.token).await?;
                if nth >= WARM {
                    answered.add(took, answer.to_string().len());
                    read.add(begun.elapsed(), 0);
                }
            }
        }
        eprintln!("{what}: {} times as long", answered.ratio());
        figures.extend([answered, read]);
    }
    Ok(figures)
}
