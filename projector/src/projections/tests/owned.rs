//! What happens to all rows of an owner at once: they move with it, and they go with it.

use proptest::prelude::*;
use shared::domain::access::{Container, Effect, Kind, Left};

use super::{Entry, created, id, log, parts, recorded, table};
use crate::projections::{Blocks, Notes, Tasks};

fn container(kind: Kind, number: u128) -> Container {
    Container { kind, id: id(number) }
}

/// Note 10 or 11 is moved, or ends for ever.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Moved(u128, u128),
    Ended(u128),
}

fn happens(entry: &mut Entry, happening: Happening) {
    let recorded = recorded(entry);
    let note = |number| container(Kind::Note, number);
    let (owner, effects) = match happening {
        Happening::Moved(moved, to) => {
            let left = Left { container: container(Kind::Notebook, 1), parent: None };
            (note(moved), vec![Effect::Left(left), Effect::Inside(container(Kind::Notebook, to))])
        }
        Happening::Ended(ended) => (note(ended), vec![Effect::Ended(note(ended))]),
    };
    recorded.scopes = vec![owner.to_string()];
    recorded.effects = Effect::to_json(&effects);
}

/// A task of each of these notes, then what happens, at the last position.
fn tasks_and(notes: &[u128], happening: Happening) -> Vec<Entry> {
    let tasks = notes.iter().zip(1..).map(|(note, about)| (about, parts::task_of(*note)));
    let mut log = log(tasks.chain([created(99, 1, "Else")]).collect());
    let last = log.last_mut().expect("it was just added");
    happens(last, happening);
    log
}

#[test]
fn the_tasks_of_a_note_move_with_it() {
    for size in 1..=4 {
        let log = tasks_and(&[10, 11, 10], Happening::Moved(10, 7));
        let table = table::<Tasks>(&log.chunks(size).collect::<Vec<_>>());
        let roots: Vec<_> = table.values().map(|row| row.notebook_id).collect();
        assert_eq!(roots, [Some(id(7)), None, Some(id(7))]);
    }
}

#[test]
fn what_is_of_a_note_goes_with_it() {
    for size in 1..=4 {
        let log = tasks_and(&[10, 11, 10], Happening::Ended(10));
        let table = table::<Tasks>(&log.chunks(size).collect::<Vec<_>>());
        assert_eq!(table.keys().collect::<Vec<_>>(), [&id(2)]);
    }
}

#[test]
fn what_ends_takes_along_nothing_of_another_kind_with_its_id() {
    let mut log = tasks_and(&[10], Happening::Ended(11));
    let last = recorded(log.last_mut().expect("one"));
    last.effects = Effect::to_json(&[Effect::Ended(container(Kind::Notebook, 10))]);
    assert_eq!(table::<Tasks>(&[&log]).len(), 1);
    let recorded = recorded(log.last_mut().expect("one"));
    recorded.effects = Effect::to_json(&[11, 10].map(|number| Effect::Ended(container(Kind::Note, number))));
    assert_eq!(table::<Tasks>(&[&log]).len(), 0);
}

#[test]
fn a_note_that_is_new_moves_nothing() {
    let mut log = tasks_and(&[10], Happening::Ended(11));
    let last = recorded(log.last_mut().expect("one"));
    last.scopes = vec![container(Kind::Note, 10).to_string()];
    last.effects = Effect::to_json(&[Effect::Inside(container(Kind::Notebook, 7))]);
    assert_eq!(table::<Tasks>(&[&log])[&id(1)].notebook_id, None);
}

proptest! {
    #[test]
    fn wherever_batches_are_cut_all_of_an_owner_fare_the_same(
        events in proptest::collection::vec(
            (parts::any_event(), proptest::option::weighted(0.3, prop_oneof![
                (10u128..12, 1u128..4).prop_map(|(note, to)| Happening::Moved(note, to)),
                (10u128..12).prop_map(Happening::Ended),
            ])),
            0..60,
        ),
        size in 1usize..10,
    ) {
        let (events, happenings): (Vec<_>, Vec<_>) = events.into_iter().unzip();
        let mut log = log(events);
        for (entry, happening) in log.iter_mut().zip(happenings) {
            if let Some(happening) = happening {
                happens(entry, happening);
            }
        }
        let batches: Vec<&[Entry]> = log.chunks(size).collect();
        prop_assert_eq!(table::<Notes>(&batches), table::<Notes>(&[&log]));
        prop_assert_eq!(table::<Blocks>(&batches), table::<Blocks>(&[&log]));
        prop_assert_eq!(table::<Tasks>(&batches), table::<Tasks>(&[&log]));
    }
}
