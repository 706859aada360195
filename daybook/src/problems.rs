//! `daybook problems`: prints the explanations of all problems, which are docs/problems.md.

use shared::process::problem;

use crate::output;

pub(crate) fn run() {
    output::line(problem::markdown().trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_explanations_are_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/problems.md");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == problem::markdown(),
            "docs/problems.md is old; write it again: cargo run -p daybook -- problems > docs/problems.md"
        );
    }
}
