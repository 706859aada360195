//! Listens to what is logged about snapshots.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{LazyLock, Mutex, MutexGuard};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// How often something was said of each aggregate; of none, under the empty id.
static SAID: LazyLock<Mutex<HashMap<String, usize>>> = LazyLock::new(Mutex::default);

struct Listener;

/// Begins to listen; all tests of this process share one ear.
pub(crate) fn listen() {
    // Another test may have been first.
    drop(tracing::subscriber::set_global_default(Listener));
}

/// How often a snapshot of this aggregate was said to be of no use.
pub(crate) fn about(id: &str) -> usize {
    said().get(id).copied().unwrap_or_default()
}

/// How often one could not be written.
pub(crate) fn failures() -> usize {
    about("")
}

fn said() -> MutexGuard<'static, HashMap<String, usize>> {
    SAID.lock().expect("nobody panics while it is held")
}

#[derive(Default)]
struct Words {
    message: String,
    id: String,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "id" {
            value.clone_into(&mut self.id);
        }
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().ends_with("snapshots")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut words = Words::default();
        event.record(&mut words);
        if words.message.starts_with("A snapshot") {
            *said().entry(words.id).or_default() += 1;
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
