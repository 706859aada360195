//! The forms in which snapshots hold aggregates. If one changes and its `SNAPSHOT_VERSION` was not raised, this test fails.

use proptest::prelude::*;
use serde_json::{Value, json};
use shared::domain::{Event, Listed};

use crate::app::{At, Decide};
use crate::blocks::Block;
use crate::notebooks::Notebook;
use crate::notes::Note;
use crate::sessions::Session;
use crate::tasks::Task;
use crate::users::User;

const ID: &str = "0193a5f0-0000-7000-8000-000000000001";
const OTHER: &str = "0193a5f0-0000-7000-8000-000000000002";
const AT: &str = "2026-01-31T12:00:00Z";
/// Up to nine characters that a text of one line may have.
const WITHIN_A_LINE: &str = "[^\\p{C}\\p{Zl}\\p{Zp}]{0,9}";

type Fact = (&'static str, Value);

/// Of the events the first is at the position behind `after`; a policy did every third.
fn fold<A: Decide>(mut state: A, after: usize, facts: &[Fact]) -> A {
    for (position, (event_type, data)) in (after + 1..).zip(facts) {
        let event = Event::parse(event_type, data.clone()).unwrap_or_else(|error| panic!("{error}"));
        let at = At {
            position: i64::try_from(position).expect("few events"),
            by_person: !position.is_multiple_of(3),
        };
        state.apply_at(A::Event::pick(event).expect("an event of this aggregate"), at);
    }
    state
}

/// What these events come to, in the form of this snapshot version.
fn keeps<A: Decide>(snapshot_version: i32, facts: &[Fact], form: &Value) {
    let state = fold(A::default(), 0, facts);
    let ours = serde_json::to_value(&state).expect("an aggregate serializes");
    let advice = "the form of its snapshots has changed: raise SNAPSHOT_VERSION, and write the new form and number here";
    assert_eq!((A::SNAPSHOT_VERSION, &ours), (snapshot_version, form), "{}: {advice}", A::TYPE);
    let again: A =
        serde_json::from_value(form.clone()).unwrap_or_else(|error| panic!("{}: {error}", A::TYPE));
    assert_eq!(serde_json::to_value(&again).ok().as_ref(), Some(form), "{}", A::TYPE);
}

#[test]
fn no_form_changes_without_its_number() {
    let created = ("NoteCreated", json!({"notebook_id": ID, "title": "Dreams"}));
    let retitled = ("NoteRetitled", json!({"title": "Plans"}));
    let moved = ("NoteMoved", json!({"from": ID, "to": OTHER}));
    keeps::<Note>(1, &[], &json!("Missing"));
    keeps::<Note>(1, &[created, retitled, moved], &json!({"Live": {"notebook_id": OTHER, "title": "Plans"}}));

    let created = ("NotebookCreated", json!({"owner": ID, "name": "Lab"}));
    let renamed = ("NotebookRenamed", json!({"name": "Den"}));
    let described = ("NotebookDescribed", json!({"description": "What we tried"}));
    let cleared = ("NotebookDescribed", json!({"description": null}));
    let new = json!({"Live": {"members": {ID: "owner"}, "name": "Lab", "description": null}});
    keeps::<Notebook>(2, &[], &json!("Missing"));
    keeps::<Notebook>(2, std::slice::from_ref(&created), &new);
    keeps::<Notebook>(2, &[created.clone(), described.clone(), cleared], &new);
    let described_form =
        json!({"Live": {"members": {ID: "owner"}, "name": "Den", "description": "What we tried"}});
    keeps::<Notebook>(2, &[created, renamed, described], &described_form);

    let opened = ("SessionOpened", json!({"user_id": ID, "device": "laptop", "address": null}));
    let ended = ("SessionEnded", json!({"user_id": ID}));
    keeps::<Session>(1, &[], &json!("Missing"));
    keeps::<Session>(1, std::slice::from_ref(&opened), &json!({"Open": {"user_id": ID}}));
    keeps::<Session>(1, &[opened, ended], &json!({"Ended": {"user_id": ID}}));
}

#[test]
fn an_accounts_form_does_not_change_without_its_number() {
    let registered = json!({"email": "ada@example.org", "username": "ada", "display_name": "Ada"});
    let registered = ("UserRegistered", registered);
    let profile = json!({"display_name": "Ada L.", "first_name": "Ada", "last_name": "L.", "avatar_url": "https://a.example/"});
    let preferences = json!({"theme": "dark", "sizes": [1, {"deep": null}]});
    let new = json!({"display_name": "Ada", "first_name": null, "last_name": null, "avatar_url": null});
    keeps::<User>(1, &[], &json!("Missing"));
    keeps::<User>(
        1,
        std::slice::from_ref(&registered),
        &json!({"Active": {"profile": new, "preferences": {}}}),
    );
    let edited = ("ProfileEdited", profile.clone());
    let set = ("PreferencesSet", json!({"preferences": preferences}));
    let form = json!({"Active": {"profile": profile, "preferences": preferences}});
    keeps::<User>(1, &[registered, edited, set], &form);
}

#[test]
fn the_form_of_a_notes_part_does_not_change_without_its_number() {
    let text = json!({"type": "text", "content": {"text": "Call", "spans": []}});
    let task = json!({"type": "task", "content": {"checked": true, "depth": 0, "text": "Call", "spans": []}});
    let added = ("BlockAdded", json!({"note_id": ID, "block": text, "rank": "a0"}));
    let changed = ("BlockTypeChanged", json!({"note_id": ID, "block": task}));
    let whole = json!({"block": task, "added_by": "ada", "added_at": AT});
    let moved = ("BlockMoved", json!({"from": ID, "to": OTHER, "rank": "a1", "whole": whole}));
    let removed = ("BlockRemoved", json!({"note_id": OTHER}));
    let edits = |alive, text, done| json!({"alive": alive, "text": text, "done": done});
    let part = |note, block, rank, edits| json!({"note_id": note, "block": block, "rank": rank, "last_edits": edits});
    let new = json!({"Live": part(ID, text, "a0", edits(0, 1, 0))});
    keeps::<Block>(2, &[], &json!("Missing"));
    keeps::<Block>(2, std::slice::from_ref(&added), &new);
    let removed_form = json!({"Removed": part(OTHER, task, "a1", edits(4, 1, 2))});
    keeps::<Block>(2, &[added, changed, moved, removed], &removed_form);

    let added = ("TaskAdded", json!({"note_id": null, "owner": ID, "title": "Call", "completed": false}));
    let none = edits(0, 0, 0);
    let bare = json!({"note_id": null, "owner": ID, "title": "Call", "completed": false, "details": {}, "last_edits": none});
    let details = json!({"description": "More", "due_at": AT, "priority": 4, "assignee_id": OTHER});
    let whole = json!({"owner": ID, "title": "", "completed_at": AT, "details": details, "added_by": "ada", "added_at": AT});
    let moved = ("TaskMoved", json!({"from": ID, "to": OTHER, "whole": whole}));
    let removed = ("TaskRemoved", json!({"note_id": OTHER}));
    let full = json!({"note_id": OTHER, "owner": ID, "title": "", "completed": true, "details": details, "last_edits": edits(2, 2, 2)});
    keeps::<Task>(3, &[], &json!("Missing"));
    keeps::<Task>(3, std::slice::from_ref(&added), &json!({"Live": bare.clone()}));
    keeps::<Task>(3, &[added.clone(), moved, removed], &json!({"Removed": full}));
    let on = ("TaskScheduled", json!({"due_on": "2026-01-31"}));
    let mut due = bare;
    due["details"] = on.1.clone();
    keeps::<Task>(3, &[added, on], &json!({"Live": due}));
}

/// Folding in one go, or resting at `cut` in the form of a snapshot.
fn rests<A: Decide>(facts: &[Fact], cut: usize) -> Result<(), TestCaseError> {
    let (before, after) = facts.split_at(cut.min(facts.len()));
    let form = serde_json::to_vec(&fold(A::default(), 0, before)).expect("an aggregate serializes");
    let rested = fold::<A>(serde_json::from_slice(&form).expect("and is read back"), before.len(), after);
    let whole = fold(A::default(), 0, facts);
    prop_assert_eq!(serde_json::to_value(&rested).ok(), serde_json::to_value(&whole).ok());
    Ok(())
}

fn any_note() -> impl Strategy<Value = Fact> {
    let place = || prop_oneof![Just(ID), Just(OTHER)];
    prop_oneof![
        (place(), WITHIN_A_LINE).prop_map(|(at, text)| {
            ("NoteCreated", json!({"notebook_id": at, "title": format!("x{text}x")}))
        }),
        WITHIN_A_LINE.prop_map(|text| ("NoteRetitled", json!({"title": format!("x{text}x")}))),
        (place(), place()).prop_map(|(from, to)| ("NoteMoved", json!({"from": from, "to": to}))),
    ]
}

fn any_notebook() -> impl Strategy<Value = Fact> {
    prop_oneof![
        WITHIN_A_LINE.prop_map(|text| ("NotebookCreated", json!({"owner": ID, "name": format!("x{text}x")}))),
        WITHIN_A_LINE.prop_map(|text| ("NotebookRenamed", json!({"name": format!("x{text}x")}))),
        proptest::option::of("\\PC{1,9}")
            .prop_map(|text| ("NotebookDescribed", json!({"description": text}))),
    ]
}

fn any_user() -> impl Strategy<Value = Fact> {
    let registered = json!({"email": "ada@example.org", "username": "ada", "display_name": "Ada"});
    prop_oneof![
        Just(("UserRegistered", registered)),
        proptest::option::of(WITHIN_A_LINE).prop_map(|text| {
            let first = text.map(|text| format!("x{text}x"));
            let name =
                json!({"display_name": "A", "first_name": first, "last_name": null, "avatar_url": null});
            ("ProfileEdited", name)
        }),
        ("[a-c]", any::<i64>(), any::<f64>(), "\\PC{0,9}").prop_map(|(name, number, double, text)| {
            let numbers = [json!(number), json!(double), json!(1.0)];
            ("PreferencesSet", json!({"preferences": {name: {"n": numbers, "t": [text, null, true]}}}))
        }),
    ]
}

fn any_block() -> impl Strategy<Value = Fact> {
    let text = "\\PC{0,9}".prop_map(|text| json!({"type": "text", "content": {"text": text, "spans": []}}));
    let code =
        "[a-z\\n]{0,9}".prop_map(|text| json!({"type": "code", "content": {"text": text, "language": null}}));
    let block = prop_oneof![text, code];
    (block, prop_oneof![Just(ID), Just(OTHER)], "a[0-9]", 0usize..6).prop_map(|(block, note, rank, kind)| {
        match kind {
            0 => ("BlockAdded", json!({"note_id": note, "block": block, "rank": rank})),
            1 => ("BlockEdited", json!({"note_id": note, "block": block})),
            2 => ("BlockMoved", json!({"from": note, "to": note, "rank": rank})),
            3 => {
                let whole = json!({"block": block, "added_by": "ada", "added_at": AT});
                ("BlockMoved", json!({"from": ID, "to": OTHER, "rank": rank, "whole": whole}))
            }
            4 => ("BlockRemoved", json!({"note_id": note})),
            _ => ("BlockRestored", json!({"note_id": note, "rank": rank})),
        }
    })
}

fn any_task() -> impl Strategy<Value = Fact> {
    let note = proptest::option::of(prop_oneof![Just(ID), Just(OTHER)]);
    (note, "\\PC{0,9}", any::<bool>(), 0usize..9).prop_map(|(note, text, yes, kind)| match kind {
        0 => ("TaskAdded", json!({"note_id": note, "owner": ID, "title": text, "completed": yes})),
        1 => ("TaskRetitled", json!({"title": text})),
        2 => ("TaskDescribed", json!({"description": yes.then_some(text)})),
        3 if yes => ("TaskScheduled", json!({"due_at": AT})),
        3 => ("TaskScheduled", json!({"due_on": "2026-01-31"})),
        4 => ("TaskAssigned", json!({"assignee_id": OTHER})),
        5 if yes => ("TaskCompleted", json!({})),
        5 => ("TaskReopened", json!({})),
        6 => {
            let whole = json!({"owner": ID, "title": text, "completed_at": yes.then_some(AT), "removed": !yes,
                               "added_by": "ada", "added_at": AT});
            ("TaskMoved", json!({"from": ID, "to": OTHER, "whole": whole}))
        }
        7 => ("TaskRemoved", json!({"note_id": note})),
        _ => ("TaskRestored", json!({"note_id": note})),
    })
}

proptest! {
    #[test]
    fn a_rest_on_the_way_changes_nothing(
        notes in proptest::collection::vec(any_note(), 0..20),
        notebooks in proptest::collection::vec(any_notebook(), 0..20),
        users in proptest::collection::vec(any_user(), 0..20),
        blocks in proptest::collection::vec(any_block(), 0..20),
        tasks in proptest::collection::vec(any_task(), 0..20),
        cut in 0usize..20,
    ) {
        rests::<Note>(&notes, cut)?;
        rests::<Notebook>(&notebooks, cut)?;
        rests::<User>(&users, cut)?;
        rests::<Block>(&blocks, cut)?;
        rests::<Task>(&tasks, cut)?;
    }
}
