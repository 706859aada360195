//! How far the read tables have come, for readiness and for waiting tasks.

use shared::log::epoch::EpochId;

/// What a projector knows of itself; kept in a `tokio::sync::watch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The last event that the read tables hold.
    pub position: i64,
    /// The last event of the log, when it was last looked at.
    pub head: i64,
    /// The history that both count in; `None` before the first look.
    pub epoch: Option<EpochId>,
    /// The tables are being built and have not yet caught up: reading them would show the past.
    pub building: bool,
    /// This process writes them; the others stand by.
    pub leading: bool,
    /// Why the projector has stopped, in words for the operator.
    pub fault: Option<Fault>,
    /// Quarantined rows, which are not updated until the tables are rebuilt. All others are.
    pub quarantined: usize,
}

/// An event that only a newer release can read, and that this one does not go beyond.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its position in the log.
    pub position: i64,
    /// What is wrong with it.
    pub why: String,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            position: 0,
            head: 0,
            epoch: None,
            building: true,
            leading: false,
            fault: None,
            quarantined: 0,
        }
    }
}

impl Status {
    /// The tables are at `position`; a fault before it has been overcome.
    pub(crate) fn came_to(&mut self, position: i64) {
        self.position = position;
        self.fault.take_if(|fault| fault.position <= position);
    }

    /// Why the tables may not be shown, in a sentence.
    pub fn complaint(&self) -> Option<String> {
        if let Some(fault) = &self.fault {
            let Fault { position, why } = fault;
            return Some(format!(
                "The projector has stopped: {why}. Start a newer release, or skip the event at position {position}."
            ));
        }
        let Self { position, head, .. } = self;
        (!self.is_ready()).then(|| match head {
            0 => "The read tables are being created.".to_owned(),
            _ => format!("The read tables are being built: {position} of {head} events."),
        })
    }

    /// Whether the tables may be shown: caught up once, and not standing still.
    pub fn is_ready(&self) -> bool {
        self.epoch.is_some() && !self.building && self.fault.is_none()
    }
}
