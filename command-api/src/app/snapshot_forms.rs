//! For the tests of modules: the form in which snapshots hold an aggregate changes only with its `SNAPSHOT_VERSION`, and
//! resting in it changes nothing.

use proptest::prelude::*;
use serde_json::Value;
use shared::domain::{Event, Listed};

use super::{At, Decide};

pub(crate) const ID: &str = "0193a5f0-0000-7000-8000-000000000001";
pub(crate) const OTHER: &str = "0193a5f0-0000-7000-8000-000000000002";
pub(crate) const AT: &str = "2026-01-31T12:00:00Z";
/// Up to nine characters that a text of one line may have.
pub(crate) const WITHIN_A_LINE: &str = "[^\\p{C}\\p{Zl}\\p{Zp}]{0,9}";

/// An event's type, and its data as they are stored.
pub(crate) type Fact = (&'static str, Value);

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

/// What each of these histories comes to, and the version of that form, which `compare` compares with a snapshot in the
/// module's tests. Each form is read back.
pub(crate) fn keep_form<A: Decide>(histories: &[&[&Fact]], compare: impl FnOnce(String)) {
    let forms = histories.iter().map(|history| {
        let history: Vec<Fact> = history.iter().copied().cloned().collect();
        let form = serde_json::to_value(fold(A::default(), 0, &history)).expect("an aggregate serializes");
        let again: A =
            serde_json::from_value(form.clone()).unwrap_or_else(|error| panic!("{}: {error}", A::TYPE));
        assert_eq!(serde_json::to_value(&again).ok().as_ref(), Some(&form), "{}", A::TYPE);
        let types: Vec<&str> = history.iter().map(|(event_type, _)| *event_type).collect();
        format!("[{}] {form:#}\n", types.join(", "))
    });
    let forms = format!("version {}\n{}", A::SNAPSHOT_VERSION, forms.collect::<String>());
    let advice = "The form of its snapshots has changed: raise SNAPSHOT_VERSION, and write the new form and number into \
        this snapshot.";
    insta::with_settings!({description => advice}, { compare(forms) });
}

/// For any history of such facts, and a rest anywhere in it.
pub(crate) fn rest_anywhere<A: Decide>(any: impl Strategy<Value = Fact>) {
    proptest!(|(facts in proptest::collection::vec(any, 0..20), cut in 0usize..20)| {
        rests::<A>(&facts, cut)?;
    });
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
