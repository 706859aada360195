//! How many files this process may have open, and how many connections that allows.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Reserved for the database, NATS, logs and our own servers.
const OTHERS: u64 = 256;
/// More than a process can use.
const MOST: u64 = 100_000;

/// How many connections of clients fit into this process. The first call raises the limit as far as it may be.
pub fn for_peers() -> usize {
    static PEERS: OnceLock<usize> = OnceLock::new();
    *PEERS.get_or_init(|| peers(raise()))
}

/// Many systems start programs with a limit of 1,024, and allow more on request.
fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(cause) => {
            tracing::warn!(%cause, "The limit of open files could not be raised");
            current
        }
    }
}

/// What remains of a limit; `None` means no limit.
fn peers(files: Option<u64>) -> usize {
    let files = files.unwrap_or(MOST).min(MOST);
    let left = files.saturating_sub(OTHERS).max(files / 4).max(2);
    usize::try_from(left).expect("at most 100,000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_files_are_kept_back_and_some_connections_are_always_possible() {
        assert_eq!(peers(Some(1_024)), 768);
        assert_eq!(peers(Some(200)), 50);
        assert_eq!(peers(Some(1)), 2);
        assert_eq!(peers(None), 99_744);
        assert_eq!(peers(Some(u64::MAX)), 99_744);
    }

    #[test]
    fn the_limit_is_raised_as_far_as_it_may_be() {
        let peers = for_peers();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(current, maximum);
        assert_eq!(peers, super::peers(maximum));
    }
}
