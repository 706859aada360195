//! Which messages of the stream can be folded now. The stream only makes things fast: if events are missing, doubled,
//! out of order or doubtful, the engine does not wait for them but reads the log.

use shared::log::stored_event::StoredEvent;

/// A message of the stream.
#[derive(Clone, Debug)]
pub enum Carried {
    /// An event, at the sequence that equals its position.
    Event(Box<StoredEvent>),
    /// Not readable, or at another sequence than its position.
    Doubtful,
}

/// Some messages, put in order.
#[derive(Debug, PartialEq, Eq)]
pub struct Sifted {
    /// The events right after the checkpoint, without a gap.
    pub next: Vec<StoredEvent>,
    /// There is more, and the log must say what.
    pub ask_log: bool,
}

/// Puts messages in order, and drops what is at or below `position` already.
pub fn sift(position: i64, messages: Vec<Carried>) -> Sifted {
    let mut ask_log = false;
    let mut events = Vec::with_capacity(messages.len());
    for message in messages {
        match message {
            Carried::Event(event) if event.recorded.position > position => events.push(*event),
            Carried::Event(_) => {}
            Carried::Doubtful => ask_log = true,
        }
    }
    events.sort_by_key(|event| event.recorded.position);
    events.dedup_by_key(|event| event.recorded.position);
    let run =
        (position + 1..).zip(&events).take_while(|(next, event)| *next == event.recorded.position).count();
    ask_log |= run < events.len();
    events.truncate(run);
    Sifted { next: events, ask_log }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projections::testing::recorded;
    use proptest::prelude::*;

    fn carried(positions: &[i64]) -> Vec<Carried> {
        let event =
            |position: &i64| StoredEvent::from_recorded(recorded(*position), [0; 16]).expect("an event");
        positions.iter().map(|position| Carried::Event(Box::new(event(position)))).collect()
    }

    fn positions(sifted: &Sifted) -> Vec<i64> {
        sifted.next.iter().map(|event| event.recorded.position).collect()
    }

    #[test]
    fn what_is_held_already_is_dropped() {
        let sifted = sift(5, carried(&[4, 5]));
        assert_eq!((positions(&sifted), sifted.ask_log), (vec![], false));
    }

    #[test]
    fn a_gap_is_asked_of_the_log() {
        let sifted = sift(5, carried(&[6, 8]));
        assert_eq!((positions(&sifted), sifted.ask_log), (vec![6], true));
    }

    #[test]
    fn a_doubtful_message_is_asked_of_the_log() {
        assert!(sift(5, vec![Carried::Doubtful]).ask_log);
    }

    proptest! {
        #[test]
        fn any_order_and_any_doubles_give_one_run_without_gaps(
            position in 0i64..20,
            given in proptest::collection::vec(1i64..40, 0..60),
        ) {
            let sifted = sift(position, carried(&given));
            let found = positions(&sifted);
            let last = position + i64::try_from(found.len()).expect("few");
            prop_assert_eq!(&found, &(position + 1..=last).collect::<Vec<_>>());
            prop_assert!(!given.contains(&(last + 1)));
            prop_assert_eq!(sifted.ask_log, given.iter().any(|given| *given > last));
        }
    }
}
