//! The entity tags that a conditional request names: `If-Match` and `If-None-Match` (RFC 9110, sections 8.8.3 and 13.1).

use axum::http::HeaderValue;

/// What a conditional header names. Its lines make one list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntityTags<'a> {
    /// `*`: whatever there is.
    Any,
    /// These tags; perhaps none.
    Listed(Vec<EntityTag<'a>>),
}

/// One entity tag, such as `"3.x7Q"` or `W/"x7Q"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntityTag<'a> {
    is_weak: bool,
    opaque: &'a [u8],
}

/// A header that is no list of entity tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("takes * or entity tags in double quotes, with commas between, such as \"3\" or \"3.x7Q\"")]
pub struct MalformedTags;

impl<'a> EntityTags<'a> {
    /// Reads all lines of a header; `None` when it has none.
    pub fn read(lines: impl IntoIterator<Item = &'a HeaderValue>) -> Result<Option<Self>, MalformedTags> {
        let lines: Vec<&[u8]> = lines.into_iter().map(|line| line.as_bytes().trim_ascii()).collect();
        match lines.as_slice() {
            [] => Ok(None),
            [b"*"] => Ok(Some(Self::Any)),
            lines => {
                let tags = lines.iter().map(|line| listed(line)).collect::<Option<Vec<_>>>();
                Ok(Some(Self::Listed(tags.ok_or(MalformedTags)?.concat())))
            }
        }
    }

    /// Whether `tag` is one of these, weak or strong (the weak comparison of RFC 9110, section 8.8.3.2).
    pub fn match_weakly(&self, tag: &HeaderValue) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(tags) => EntityTag::first_of(tag.as_bytes())
                .is_some_and(|(tag, _)| tags.iter().any(|listed| listed.opaque == tag.opaque)),
        }
    }
}

impl<'a> EntityTag<'a> {
    /// What stands in the quotes of a strong tag; a weak one never matches where the comparison is strong.
    pub fn strong(&self) -> Option<&'a [u8]> {
        (!self.is_weak).then_some(self.opaque)
    }

    /// The tag that `text` begins with, and what follows it.
    fn first_of(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let quoted = text.strip_prefix(b"W/");
        let is_weak = quoted.is_some();
        let inside = quoted.unwrap_or(text).strip_prefix(b"\"")?;
        let end = inside.iter().position(|byte| *byte == b'"')?;
        let (opaque, rest) = (&inside[..end], &inside[end + 1..]);
        opaque.iter().all(|byte| *byte > b' ').then_some((Self { is_weak, opaque }, rest))
    }
}

/// The tags of one line. Empty elements are passed over (RFC 9110, section 5.6.1.2); a comma may stand within a tag.
fn listed(line: &[u8]) -> Option<Vec<EntityTag<'_>>> {
    let mut tags = Vec::new();
    let mut rest = line;
    loop {
        while let Some(more) = rest.trim_ascii_start().strip_prefix(b",") {
            rest = more;
        }
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return Some(tags);
        }
        let (tag, after) = EntityTag::first_of(rest)?;
        tags.push(tag);
        rest = after.trim_ascii_start();
        if !rest.is_empty() && !rest.starts_with(b",") {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The strong tags that lines name, and how many are weak.
    fn read(lines: &[&[u8]]) -> Result<(Vec<String>, usize), MalformedTags> {
        let lines: Vec<_> =
            lines.iter().map(|line| HeaderValue::from_bytes(line).expect("a header's value")).collect();
        let Some(EntityTags::Listed(tags)) = EntityTags::read(&lines)? else { return Ok((Vec::new(), 0)) };
        let strong = tags.iter().filter_map(EntityTag::strong);
        let strong: Vec<_> = strong.map(|tag| String::from_utf8_lossy(tag).into_owned()).collect();
        let weak = tags.len() - strong.len();
        Ok((strong, weak))
    }

    #[test]
    fn tags_are_read_in_every_form_that_a_list_may_have() {
        let strong = |tags: &[&str], weak| Ok((tags.iter().map(ToString::to_string).collect(), weak));
        assert_eq!(read(&[b"\"3\""]), strong(&["3"], 0));
        assert_eq!(read(&[b"\"3\",\"4.a\" , W/\"5\""]), strong(&["3", "4.a"], 1));
        assert_eq!(read(&[b"\"3\"", b" W/\"4\"\t,\"5\" "]), strong(&["3", "5"], 1), "two lines are one list");
        assert_eq!(read(&[b", ,\"a,b\",,"]), strong(&["a,b"], 0), "a comma may stand within a tag");
        assert_eq!(read(&[b"\"\""]), strong(&[""], 0));
        assert_eq!(read(&["\"\u{e4}\"".as_bytes()]), strong(&["\u{e4}"], 0));
        assert_eq!(read(&[b""]), strong(&[], 0), "an empty list is a list");
        let any = HeaderValue::from_static("*");
        assert_eq!(EntityTags::read([&any]), Ok(Some(EntityTags::Any)));
        assert_eq!(EntityTags::read([]), Ok(None));
    }

    #[test]
    fn a_value_that_is_no_list_of_tags_is_malformed() {
        let broken: [&[&[u8]]; 10] = [
            &[b"3"],
            &[b"\"3"],
            &[b"3\""],
            &[b"\"3\" \"4\""],
            &[b"\"3\"x"],
            &[b"w/\"3\""],
            &[b"\"a b\""],
            &[b"*, \"3\""],
            &[b"*", b"\"3\""],
            &[b"\"3\"", b"4"],
        ];
        for lines in broken {
            assert_eq!(read(lines), Err(MalformedTags), "{lines:?}");
        }
    }

    #[test]
    fn a_tag_is_found_in_a_list_whether_weak_or_strong() {
        let matches = |line: &'static str, tag: &'static str| {
            let line = HeaderValue::from_static(line);
            let tags = EntityTags::read([&line]).expect("well formed").expect("a line");
            tags.match_weakly(&HeaderValue::from_static(tag))
        };
        for line in ["*", "\"3.a\"", "W/\"3.a\"", "\"x\", W/\"3.a\""] {
            assert!(matches(line, "\"3.a\"") && matches(line, "W/\"3.a\""), "{line}");
        }
        for line in ["\"3\"", "\"3.b\", \"a\"", "\"3.a\u{7e}\"", ""] {
            assert!(!matches(line, "\"3.a\""), "{line}");
        }
    }
}
