//! `daybook openapi`: prints the description of the HTTP API.

use crate::{api, output};

pub(crate) fn run() -> anyhow::Result<()> {
    output::line(&api::document().to_pretty_json()?);
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_description_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        let current = crate::api::document().to_pretty_json().expect("plain data");
        assert!(
            committed.trim() == current.trim(),
            "docs/openapi.json is old; write it again: cargo run -p daybook -- openapi > docs/openapi.json"
        );
    }
}
