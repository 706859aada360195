//! Texts that cannot be wrong: each type has one constructor, and serde uses it too.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// Why a text was refused, in words for the person who typed it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing but white space.
    #[error("must not be empty")]
    Empty,
    /// More characters than the field takes.
    #[error("must have at most {0} characters")]
    TooLong(usize),
    /// Fewer characters than the field needs.
    #[error("must have at least {0} characters")]
    TooShort(usize),
    /// A control character other than a line break or a tab where those are allowed.
    #[error("must not contain control characters")]
    Control,
    /// A line break within a text of one line.
    #[error("must be one line, without line breaks")]
    LineBreak,
    /// Not of the form that the field needs.
    #[error("{0}")]
    Form(&'static str),
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $max:tt, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
        #[serde(try_from = "String", into = "String")]
        #[sqlx(transparent)]
        #[schema(max_length = $max)]
        pub struct $name(String);

        impl $name {
            /// The text as it was accepted.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = TextError;

            fn try_from(text: String) -> Result<Self, TextError> {
                let check: fn(String) -> Result<String, TextError> = $check;
                check(text).map(Self)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text!(
    /// The title of a note or the name of a notebook: one line of 1 to 500 characters, trimmed.
    Title, 500, |text| line(&text, 1, 500)
);
text!(
    /// A longer text of up to 10,000 characters; line breaks are kept, each as one `\n`.
    Description, 10_000, |text| prose(text, 10_000)
);
text!(
    /// What others call a person: one line of 1 to 200 characters, trimmed.
    DisplayName, 200, |text| line(&text, 1, 200)
);
text!(
    /// A name to log in with: 2 to 40 of letters, digits, `.`, `_`, `-`.
    Username, 40, |text| {
        let text = line(&text, 2, 40)?;
        let fits = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
        if text.chars().all(fits) { Ok(text) } else { Err(TextError::Form("must have only letters, digits, '.', '_' and '-'")) }
    }
);
text!(
    /// An e-mail address, kept as it was typed; compared by [`fold`].
    Email, 254, |text| {
        let text = line(&text, 3, 254)?;
        let well_formed = text.split_once('@').is_some_and(|(local, host)| {
            !local.is_empty() && !host.is_empty() && !host.contains('@') && !host.starts_with('.') && !host.ends_with('.')
        }) && !text.contains(char::is_whitespace);
        if well_formed { Ok(text) } else { Err(TextError::Form("must be an e-mail address, like ada@example.org")) }
    }
);
text!(
    /// A web address of up to 2,000 characters: http or https.
    WebAddress, 2_000, |text| {
        let text = line(&text, 8, 2_000)?;
        let web = text.starts_with("https://") || text.starts_with("http://");
        if web { Ok(text) } else { Err(TextError::Form("must start with https:// or http://")) }
    }
);

/// The form in which names are compared: compatibility-composed (NFKC, Unicode Standard Annex 15) and lower case.
pub fn fold(text: &str) -> String {
    text.nfkc().collect::<String>().to_lowercase().nfkc().collect()
}

/// The text with one `\n` for each line end, whether it was `\n`, `\r\n` or `\r`: who pastes a text does not choose.
pub fn line_feeds(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains('\r') { Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")) } else { text }
}

fn line(text: &str, min: usize, max: usize) -> Result<String, TextError> {
    let text: String = text.trim().nfc().collect();
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    if text.contains(['\n', '\r']) {
        return Err(TextError::LineBreak);
    }
    if text.chars().any(char::is_control) {
        return Err(TextError::Control);
    }
    within(text, min, max)
}

fn prose(text: String, max: usize) -> Result<String, TextError> {
    let text = line_feeds(text.into()).into_owned();
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Err(TextError::Control);
    }
    within(text, 0, max)
}

fn within(text: String, min: usize, max: usize) -> Result<String, TextError> {
    match text.chars().count() {
        count if count > max => Err(TextError::TooLong(max)),
        count if count < min => Err(TextError::TooShort(min)),
        _ => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_trimmed_and_bounded() {
        assert_eq!(Title::try_from("  Dreams ".to_owned()).map(String::from), Ok("Dreams".to_owned()));
        assert_eq!(Title::try_from(" \u{2003} ".to_owned()), Err(TextError::Empty));
        assert_eq!(Title::try_from("a".repeat(501)), Err(TextError::TooLong(500)));
        assert_eq!(Title::try_from("a\u{1}b".to_owned()), Err(TextError::Control));
    }

    #[test]
    fn a_text_of_one_line_says_that_a_line_break_is_too_much() {
        for broken in ["a\nb", "a\r\nb", "a\rb"] {
            assert_eq!(Title::try_from(broken.to_owned()), Err(TextError::LineBreak), "{broken:?}");
            assert_eq!(DisplayName::try_from(broken.to_owned()), Err(TextError::LineBreak), "{broken:?}");
        }
        // One at the end comes from the clipboard and goes with the white space around.
        assert_eq!(Title::try_from("Dreams\r\n".to_owned()).map(String::from), Ok("Dreams".to_owned()));
    }

    #[test]
    fn every_line_end_of_a_longer_text_becomes_one_line_feed() {
        for (given, kept) in
            [("a\r\nb", "a\nb"), ("a\rb\r", "a\nb\n"), ("\r\r\n\n", "\n\n\n"), ("a\n\tb", "a\n\tb")]
        {
            assert_eq!(
                Description::try_from(given.to_owned()).map(String::from),
                Ok(kept.to_owned()),
                "{given:?}"
            );
        }
        // It counts once.
        assert!(Description::try_from("\r\n".repeat(10_000)).is_ok());
        assert_eq!(Description::try_from("\r\n".repeat(10_001)), Err(TextError::TooLong(10_000)));
        assert_eq!(Description::try_from("a\u{b}b".to_owned()), Err(TextError::Control));
    }

    #[test]
    fn names_are_compared_without_case_and_width() {
        assert_eq!(fold("ＡDA"), fold("ada"));
        assert_eq!(fold("STRASSE"), "strasse");
    }

    #[test]
    fn an_address_without_a_host_is_refused() {
        for wrong in ["ada", "ada@", "@example.org", "a b@example.org", "a@b@c", "a@.org"] {
            assert!(Email::try_from(wrong.to_owned()).is_err(), "{wrong} was accepted");
        }
    }
}
