//! Records which SQL statements are sent, so that a test can count them.

use std::sync::{Arc, Mutex, Once};

use tracing::field::{Field, Visit};
use tracing::instrument::WithSubscriber;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, set_global_default};
use tracing::{Event, Metadata, Subscriber};

/// Where sqlx tells of each statement that has run.
const TARGET: &str = "sqlx::query";

/// Hears of the statements of one future.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Vec<Said>>>);

/// Hears nothing, for those who are not listened to.
struct Nobody;

/// What is said of a statement.
#[derive(Default)]
struct Said {
    summary: String,
    /// The whole statement, if the summary is not all of it.
    whole: Option<String>,
    rows: u64,
}

/// Awaits something; gives also how each statement begins that it made meanwhile, in order, and how many rows it gave.
///
/// Heard is what the future itself asks, on whichever connection. What runs beside it is not: polls in the background, the
/// log's writer, and tasks that it starts.
pub async fn statements_with_rows<F: Future>(of: F) -> (F::Output, Vec<(String, u64)>) {
    let (output, made) = Box::pin(listened(of)).await;
    (output, made.into_iter().map(|said| (said.summary, said.rows)).collect())
}

/// The same without the rows.
pub async fn statements<F: Future>(of: F) -> (F::Output, Vec<String>) {
    let (output, made) = Box::pin(listened(of)).await;
    (output, made.into_iter().map(|said| said.summary).collect())
}

/// The same with each statement as a whole.
pub async fn whole_statements<F: Future>(of: F) -> (F::Output, Vec<String>) {
    let (output, made) = Box::pin(listened(of)).await;
    (output, made.into_iter().map(|said| said.whole.unwrap_or(said.summary)).collect())
}

async fn listened<F: Future>(of: F) -> (F::Output, Vec<Said>) {
    let listener = Listener::default();
    let output = Box::pin(of.with_subscriber(listener.clone())).await;
    let made = std::mem::take(&mut *listener.0.lock().expect("nobody panics while holding this lock"));
    (output, made)
}

/// To be called by every test of a process in which one counts [`statements`], before its first statement: `tracing` asks
/// once whether anybody wants to hear of statements, and would keep the no of a thread that is not listened to.
pub fn will_count_statements() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| set_global_default(Nobody).expect("these tests have no other subscriber"));
}

impl Subscriber for Nobody {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.target() == TARGET { Interest::sometimes() } else { Interest::never() }
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }

    fn event(&self, _: &Event<'_>) {}

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET
    }

    fn event(&self, event: &Event<'_>) {
        // Those who ask `enabled` and keep the answer may have asked another listener.
        if self.enabled(event.metadata()) {
            let mut said = Said::default();
            event.record(&mut said);
            self.0.lock().expect("nobody panics while holding this lock").push(said);
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            "db.statement" if !value.is_empty() => self.whole = Some(value.to_owned()),
            _ => (),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "rows_returned" {
            self.rows = value;
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
