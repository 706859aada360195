//! Slowing down those who guess: by account and by address, in memory of one process.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use shared::process::problem::{Problem, ProblemType};

/// Attempts on one account: ten at once, then one every six seconds.
const PER_ACCOUNT: NonZeroU32 = NonZeroU32::new(10).expect("not zero");
/// Attempts from one address: many people may share one.
const PER_ADDRESS: NonZeroU32 = NonZeroU32::new(300).expect("not zero");

/// Limits attempts to log in and to register.
pub struct Throttle {
    accounts: DefaultKeyedRateLimiter<Vec<u8>>,
    addresses: DefaultKeyedRateLimiter<IpAddr>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            accounts: RateLimiter::keyed(Quota::per_minute(PER_ACCOUNT)),
            addresses: RateLimiter::keyed(Quota::per_minute(PER_ADDRESS)),
        }
    }
}

impl Throttle {
    /// 429 when there were too many attempts on this account or from this address.
    pub fn check(&self, account: &[u8], address: Option<IpAddr>) -> Result<(), Problem> {
        self.check_address(address)?;
        self.check_account(account)
    }

    /// 429 when there were too many attempts on this account.
    pub fn check_account(&self, account: &[u8]) -> Result<(), Problem> {
        // Without this, every name ever guessed would be remembered.
        if self.accounts.len() > 100_000 {
            self.accounts.retain_recent();
            self.addresses.retain_recent();
        }
        self.accounts.check_key(&account.to_vec()).map_err(|until| too_many(&until))
    }

    /// 429 when there were too many attempts from this address.
    pub fn check_address(&self, address: Option<IpAddr>) -> Result<(), Problem> {
        let Some(address) = address else { return Ok(()) };
        self.addresses.check_key(&address).map_err(|until| too_many(&until))
    }
}

fn too_many(until: &governor::NotUntil<governor::clock::QuantaInstant>) -> Problem {
    let seconds = until.wait_time_from(DefaultClock::default().now()).as_secs() + 1;
    let detail = format!("Too many attempts. Wait {seconds} s before the next one.");
    Problem { retry_after: Some(seconds), ..Problem::new(ProblemType::TooManyAttempts, detail) }
}

/// The address of the peer, when the server knows it.
pub fn peer(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eleventh_guess_at_one_account_must_wait() {
        let throttle = Throttle::default();
        for _ in 0..10 {
            assert_eq!(throttle.check(b"ada", None), Ok(()));
        }
        assert_eq!(throttle.check(b"ada", None).map_err(|problem| problem.status), Err(429));
        assert_eq!(throttle.check(b"bob", None), Ok(()));
    }
}
