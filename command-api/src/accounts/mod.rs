//! Accounts: registering, logging in, staying logged in. What stands in the log are users and sessions; here is what guards
//! the way to them.

mod account;
mod passwords;
mod refresh;
mod routes;
mod throttle;

use std::ops::Deref;
use std::sync::Arc;

use shared::process::auth::Issuer;

use crate::app::App;

pub use account::{Login, Registration, find_account};
pub use passwords::{Password, Passwords};
pub use routes::routes;
pub use throttle::{Throttle, peer};

/// What the routes of accounts work with; cheap to clone.
#[derive(Clone)]
pub struct Accounts(Arc<Parts>);

/// The parts of [`Accounts`].
pub struct Parts {
    /// The command path.
    pub app: App,
    /// Makes access tokens.
    pub issuer: Issuer,
    /// Checks passwords, off the async threads.
    pub passwords: Passwords,
    /// Slows down those who guess.
    pub throttle: Throttle,
    /// Who may create an account.
    pub registration: Registration,
}

impl Accounts {
    /// Accounts of a command path.
    pub fn new(app: App, registration: Registration) -> Self {
        let issuer = Issuer::new(&app.keys, app.clock);
        let (passwords, throttle) = (Passwords::default(), Throttle::default());
        Self(Arc::new(Parts { app, issuer, passwords, throttle, registration }))
    }
}

impl Deref for Accounts {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
