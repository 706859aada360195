//! What the command path asks of a module's aggregate: pure decisions, over cqrs-es aggregates.

use shared::domain::Listed;
use shared::log::event::is_policy;
use shared::process::problem::{FieldError, Problem, ProblemType};

use super::{Authorized, UnitOfWork};

/// A refusal by a rule: which type of problem it is. The message is the error's own words.
pub trait Refusal: std::error::Error {
    /// The type of problem, which also gives the HTTP status.
    fn refuse(&self) -> ProblemType;

    /// Which parts of the request were wrong, where it is about those.
    fn fields(&self) -> Vec<FieldError> {
        Vec::new()
    }
}

/// Turns a module's refusal into the answer.
pub fn problem(refusal: &impl Refusal) -> Problem {
    Problem { errors: refusal.fields(), ..Problem::new(refusal.refuse(), refusal.to_string()) }
}

/// Where an event stands in the log, and whether a person caused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// Its position.
    pub position: i64,
    /// Not a policy.
    pub by_person: bool,
}

impl At {
    /// An event of this actor.
    pub fn new(position: i64, actor: &str) -> Self {
        Self { position, by_person: !is_policy(actor) }
    }

    /// The next event, by the same actor.
    #[must_use]
    pub fn next(self) -> Self {
        Self { position: self.position + 1, ..self }
    }
}

/// What authorization finds out for the decision, such as the rank of a place; `()` for most aggregates. It is what cqrs-es
/// calls services.
pub type Context<A> = <A as cqrs_es::Aggregate>::Services;

/// An aggregate that the command path can execute commands on.
pub trait Decide:
    cqrs_es::Aggregate<
        Services: Clone + Default + Send + Sync,
        Event: Listed,
        Error: Refusal,
        Command: Clone + Send + Sync,
    > + Clone
    + Sync
    + 'static
{
    /// The version of the state's form in snapshots. Raise it with every change of the fields, or of what events do to
    /// them: snapshots of another version are ignored and replaced.
    const SNAPSHOT_VERSION: i32;
    /// The refusal of whatever is asked of one that does not exist.
    const MISSING: Self::Error;

    /// Whether the commands begin with the creation of one that must not exist yet. The append refuses it if it does; so it
    /// need not be looked up first.
    fn creates(commands: &[Self::Command]) -> bool;

    /// What the command makes happen; nothing when its effect already holds. Pure: no clock, no database.
    fn decide(
        &self,
        command: Self::Command,
        context: &Context<Self>,
    ) -> Result<Vec<Self::Event>, Self::Error>;

    /// Takes in an event that is recorded. For those that remember when something happened or who did it, which cqrs-es
    /// does not tell.
    fn apply_at(&mut self, event: Self::Event, _: At) {
        self.apply(event);
    }

    /// Whether the caller may do this, what is recorded besides the events, and what the decision has to know.
    fn authorize(
        &self,
        work: &mut UnitOfWork<'_>,
        id: &str,
        commands: &[Self::Command],
    ) -> impl Future<Output = Result<Authorized<Context<Self>>, Problem>> + Send;
}

/// Implements cqrs-es' trait over [`Decide`] and an inherent `fn evolve(&mut self, event)`. The last one is the
/// [`Context`].
#[macro_export]
macro_rules! aggregate {
    ($aggregate:ty, $event:ty, $command:ty, $error:ty, $context:ty) => {
        impl cqrs_es::Aggregate for $aggregate {
            const TYPE: &'static str = <$event as shared::domain::AggregateEvent>::AGGREGATE;
            type Command = $command;
            type Event = $event;
            type Error = $error;
            type Services = $context;

            async fn handle(
                &mut self,
                command: Self::Command,
                context: &$context,
                sink: &cqrs_es::event_sink::EventSink<Self>,
            ) -> Result<(), Self::Error> {
                for event in $crate::app::Decide::decide(self, command, context)? {
                    sink.write(event, self).await;
                }
                Ok(())
            }

            fn apply(&mut self, event: Self::Event) {
                self.evolve(event);
            }
        }
    };
}
