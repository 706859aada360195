//! Given these events, expect these rows.

mod owned;
mod parts;

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;
use shared::domain::Event;
use shared::domain::id::{NotebookId, UserId};
use shared::domain::notebooks::NotebookEvent;
use shared::domain::notes::NoteEvent;
use shared::domain::sessions::SessionEvent;
use shared::domain::text::{Description, Title};
use shared::domain::users::UserEvent;
use shared::log::event::{Opened, Recorded};
use shared::process::read_schema::VERSIONS;

use super::table::Table;
use super::testing::{at, id, opened};
use super::{
    Blocks, Entry, Feed, Members, Notebooks, Notes, Projection, Sessions, Step, Tasks, Users, fold, steps,
};
use crate::quarantine::{Quarantine, Quarantined};

fn title(text: &str) -> Title {
    Title::try_from(text.to_owned()).expect("a title")
}

fn created(note: u128, notebook: u128, text: &str) -> (u128, Event) {
    (note, Event::Note(NoteEvent::NoteCreated { notebook_id: NotebookId(id(notebook)), title: title(text) }))
}

fn retitled(note: u128, text: &str) -> (u128, Event) {
    (note, Event::Note(NoteEvent::NoteRetitled { title: title(text) }))
}

fn moved(note: u128, from: u128, to: u128) -> (u128, Event) {
    let (from, to) = (NotebookId(id(from)), NotebookId(id(to)));
    (note, Event::Note(NoteEvent::NoteMoved { from, to }))
}

fn log(events: Vec<(u128, Event)>) -> Vec<Entry> {
    let entry = |(position, (about, event))| Entry::Opened(opened(position, about, event));
    (1..).zip(events).map(entry).collect()
}

fn erase(entry: &mut Entry) {
    if let Entry::Opened(opened) = entry {
        opened.event = None;
    }
}

fn recorded(entry: &mut Entry) -> &mut Recorded {
    match entry {
        Entry::Opened(Opened { recorded, .. }) | Entry::Unreadable { recorded, .. } => recorded,
    }
}

/// The table after these batches, as the engine would leave it, and what it would quarantine.
fn table_and_quarantine<P: Projection>(batches: &[&[Entry]]) -> (BTreeMap<P::Key, P::Row>, Vec<Quarantined>) {
    let (mut table, mut quarantine) = (BTreeMap::new(), Quarantine::default());
    for batch in batches {
        let steps = steps::<P>(batch);
        let touched = |step: &Step<'_, P>| match step {
            Step::On { key, .. } => table.get(key).cloned(),
            Step::OnOwned { .. } | Step::Unknowable { .. } => None,
        };
        let loaded = steps.iter().filter_map(touched).collect();
        let changes = fold::<P>(loaded, &steps, &mut quarantine);
        // As the engine writes them: first what happened to all rows of an owner.
        for (owner, root) in &changes.moved {
            let of_owner = table.values_mut().filter(|row: &&mut P::Row| row.owner() == Some(*owner));
            of_owner.for_each(|row| row.set_root(*root));
        }
        table.retain(|_, row: &mut P::Row| !row.owner().is_some_and(|owner| changes.ended.contains(&owner)));
        table.extend(changes.saved.into_iter().map(|row| (row.key(), row)));
        for key in changes.removed {
            table.remove(&key);
        }
    }
    (table, quarantine.quarantined().to_vec())
}

fn table<P: Projection>(batches: &[&[Entry]]) -> BTreeMap<P::Key, P::Row> {
    let (table, quarantined) = table_and_quarantine::<P>(batches);
    assert_eq!(quarantined, []);
    table
}

fn rows<P: Projection>(events: Vec<(u128, Event)>) -> Vec<P::Row> {
    table::<P>(&[&log(events)]).into_values().collect()
}

#[test]
fn every_projection_is_in_the_list_with_its_version() {
    let ours = [
        (Users::NAME, Users::VERSION),
        (Sessions::NAME, Sessions::VERSION),
        (Notebooks::NAME, Notebooks::VERSION),
        (Notes::NAME, Notes::VERSION),
        (Blocks::NAME, Blocks::VERSION),
        (Tasks::NAME, Tasks::VERSION),
        (Members::NAME, Members::VERSION),
        (Feed::NAME, Feed::VERSION),
    ];
    assert_eq!(VERSIONS, ours);
}

#[test]
fn a_note_has_its_last_title_and_its_last_place() {
    let rows = rows::<Notes>(vec![created(1, 10, "Dreams"), retitled(1, "Plans"), moved(1, 10, 11)]);
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].title.as_str(), rows[0].notebook_id, rows[0].version), ("Plans", id(11), 3));
    assert_eq!((rows[0].created_at, rows[0].updated_at), (at(1), at(3)));
}

#[test]
fn a_note_whose_beginning_is_erased_has_no_row() {
    let mut log = log(vec![created(1, 10, "Dreams"), retitled(1, "Plans")]);
    erase(&mut log[0]);
    assert!(table::<Notes>(&[&log]).is_empty());
}

#[test]
fn an_erased_event_changes_nothing() {
    let mut log = log(vec![created(1, 10, "Dreams"), retitled(1, "Plans")]);
    erase(&mut log[1]);
    let rows = table::<Notes>(&[&log]);
    assert_eq!((rows[&id(1)].title.as_str(), rows[&id(1)].version), ("Dreams", 1));
}

#[test]
fn an_erased_event_stays_in_the_feed() {
    let mut log = log(vec![created(1, 10, "Dreams")]);
    erase(&mut log[0]);
    recorded(&mut log[0]).scopes = vec!["note:1".to_owned(), "notebook:10".to_owned(), "note:1".to_owned()];
    assert_eq!(Feed::rows(&log), [("note:1", 1), ("notebook:10", 1)]);
}

#[test]
fn an_aggregate_without_an_id_is_quarantined() {
    let mut log = log(vec![created(1, 10, "Dreams")]);
    recorded(&mut log[0]).aggregate.id = "dreams".to_owned();
    let (table, quarantined) = table_and_quarantine::<Notes>(&[&log]);
    assert!(table.is_empty());
    assert_eq!((quarantined.len(), quarantined[0].key.as_str(), quarantined[0].position), (1, "dreams", 1));
}

#[test]
fn a_notebook_has_its_last_name_and_description() {
    let owner = UserId(id(7));
    let created = Event::Notebook(NotebookEvent::NotebookCreated { owner, name: title("Lab") });
    let description = Description::try_from("What we tried".to_owned()).expect("a description");
    let described = Event::Notebook(NotebookEvent::NotebookDescribed { description: Some(description) });
    let cleared = Event::Notebook(NotebookEvent::NotebookDescribed { description: None });
    let renamed = Event::Notebook(NotebookEvent::NotebookRenamed { name: title("Laboratory") });
    let events = vec![(1, created), (1, described), (1, renamed)];
    let and_cleared = [events.clone(), vec![(1, cleared)]].concat();
    let notebooks = rows::<Notebooks>(events);
    assert_eq!(
        (notebooks[0].name.as_str(), notebooks[0].description.as_str()),
        ("Laboratory", "What we tried")
    );
    assert_eq!(rows::<Notebooks>(and_cleared)[0].description, "");
}

#[test]
fn an_ended_session_keeps_its_row() {
    let user_id = UserId(id(7));
    let opened = SessionEvent::SessionOpened { user_id, device: Some("laptop".to_owned()), address: None };
    let ended = SessionEvent::SessionEnded { user_id };
    let rows = rows::<Sessions>(vec![(1, Event::Session(opened)), (1, Event::Session(ended))]);
    assert_eq!((rows[0].opened_at, rows[0].ended_at), (at(1), Some(at(2))));
}

#[test]
fn the_end_of_a_session_whose_beginning_is_erased_makes_no_row() {
    let ended = SessionEvent::SessionEnded { user_id: UserId(id(7)) };
    assert!(rows::<Sessions>(vec![(1, Event::Session(ended))]).is_empty());
}

#[test]
fn a_person_is_found_by_the_folded_name() {
    let parse = |event_type: &str, data| match Event::parse(event_type, data) {
        Ok(event @ Event::User(UserEvent::UserRegistered { .. } | UserEvent::PreferencesSet { .. })) => event,
        other => panic!("{other:?}"),
    };
    let registered = json!({"email": "Ada@example.org", "username": "ADA", "display_name": "Ada"});
    let preferences = json!({"preferences": {"theme": "dark"}});
    let rows = rows::<Users>(vec![
        (1, parse("UserRegistered", registered)),
        (1, parse("PreferencesSet", preferences)),
    ]);
    assert_eq!((rows[0].username.as_str(), rows[0].username_folded.as_str()), ("ADA", "ada"));
    assert_eq!(rows[0].preferences, json!({"theme": "dark"}));
}

fn any_event() -> impl Strategy<Value = (u128, Event)> {
    let note = 1u128..4;
    prop_oneof![
        (note.clone(), 10u128..12, "[a-c]").prop_map(|(note, book, text)| created(note, book, &text)),
        (note.clone(), "[a-c]").prop_map(|(note, text)| retitled(note, &text)),
        (note, 10u128..12, 10u128..12).prop_map(|(note, from, to)| moved(note, from, to)),
        parts::any_event(),
        parts::any_event(),
    ]
}

proptest! {
    /// The law that lets one engine serve both live and rebuild.
    #[test]
    fn wherever_batches_are_cut_the_table_is_the_same(
        events in proptest::collection::vec(any_event(), 0..80),
        erased in proptest::collection::vec(any::<bool>(), 80),
        size in 1usize..10,
    ) {
        let mut log = log(events);
        for (entry, erased) in log.iter_mut().zip(erased) {
            if erased {
                erase(entry);
            }
        }
        let batches: Vec<&[Entry]> = log.chunks(size).collect();
        prop_assert_eq!(table::<Notes>(&batches), table::<Notes>(&[&log]));
        prop_assert_eq!(table::<Blocks>(&batches), table::<Blocks>(&[&log]));
        prop_assert_eq!(table::<Tasks>(&batches), table::<Tasks>(&[&log]));
    }
}
