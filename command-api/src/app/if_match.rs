//! The condition that a client sets for its command: that the thing is still as it was seen.

use shared::process::http::{EntityTag, EntityTags};

/// What `If-Match` asks of the thing that a command changes (RFC 9110, section 13.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// `*`: that it exists.
    Exists,
    /// That its version is one of these. An empty list never holds.
    Versions(Vec<i64>),
}

impl IfMatch {
    /// Whether a thing at this version meets the condition; 0 is one that does not exist.
    pub fn matches(&self, version: i64) -> bool {
        match self {
            Self::Exists => version > 0,
            Self::Versions(versions) => versions.contains(&version),
        }
    }
}

impl From<EntityTags<'_>> for IfMatch {
    /// Tags that name no version are left out: nothing ever has them.
    fn from(tags: EntityTags<'_>) -> Self {
        match tags {
            EntityTags::Any => Self::Exists,
            EntityTags::Listed(tags) => Self::Versions(tags.iter().filter_map(version).collect()),
        }
    }
}

/// The version that a tag names, be it that of a command's answer (`"3"`) or that of a read (`"3.x7Q"`).
fn version(tag: &EntityTag<'_>) -> Option<i64> {
    let opaque = str::from_utf8(tag.strong()?).ok()?;
    let named = opaque.split('.').next()?;
    // No other spelling of a number is a tag that was ever given out.
    named.parse().ok().filter(|version: &i64| *version > 0 && version.to_string() == named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn read(lines: &[&str]) -> IfMatch {
        let lines: Vec<_> = lines.iter().map(|line| line.parse::<HeaderValue>().expect("a value")).collect();
        EntityTags::read(&lines).expect("well formed").expect("a line").into()
    }

    #[test]
    fn a_tag_names_the_version_before_its_dot() {
        for lines in [&["\"3\""][..], &["\"3.x7Q\""], &["\"2\", \"3.x7Q\""], &["W/\"2\"", "\"3\""]] {
            let condition = read(lines);
            assert!(condition.matches(3) && !condition.matches(4), "{lines:?}");
        }
        assert_eq!(read(&["\"2\"", "\"3.a\""]), IfMatch::Versions(vec![2, 3]));
    }

    #[test]
    fn a_tag_that_was_never_given_out_names_no_version() {
        let quoted = ["+1", "0001", "01", "0", "-1", "", ".1", "x.1", "1e0", "9223372036854775808"];
        let tags = quoted.iter().map(|tag| format!("\"{tag}\"")).chain(["W/\"1\"".to_owned(), String::new()]);
        for tag in tags {
            let condition = read(&[&tag]);
            assert_eq!(condition, IfMatch::Versions(Vec::new()), "{tag}");
            assert!(!condition.matches(0) && !condition.matches(1), "{tag}");
        }
    }

    #[test]
    fn an_asterisk_asks_only_that_the_thing_exists() {
        let condition = read(&["*"]);
        assert!(condition.matches(1) && condition.matches(i64::MAX) && !condition.matches(0));
    }
}
