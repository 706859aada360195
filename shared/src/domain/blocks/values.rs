//! The small values in a block's content: each has one constructor, and cannot be wrong.

use serde::{Deserialize, Serialize};

use super::{LARGEST_CONTENT, LONGEST_TEXT};
use crate::domain::text::{TextError, breaks_a_line, line_feeds};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $min:tt, $max:tt) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
        #[serde(transparent)]
        #[schema(minimum = $min, maximum = $max)]
        pub struct $name(u8);

        impl $name {
            /// The smallest one.
            pub const LEAST: Self = Self($min);
            /// The greatest one.
            pub const MOST: Self = Self($max);

            /// The number itself.
            pub fn get(self) -> u8 {
                self.0
            }

            /// The nearest one to any number.
            pub fn clamped(number: usize) -> Self {
                Self(u8::try_from(number).unwrap_or($max).clamp($min, $max))
            }
        }

        impl TryFrom<u64> for $name {
            type Error = &'static str;

            fn try_from(number: u64) -> Result<Self, Self::Error> {
                match u8::try_from(number) {
                    Ok(number @ $min..=$max) => Ok(Self(number)),
                    Ok(_) | Err(_) => Err(concat!("must be from ", $min, " to ", $max)),
                }
            }
        }
    };
}

number!(
    /// The rank of a header: 1 for the greatest, to 6.
    HeaderLevel, 1, 6
);
number!(
    /// How far an item is indented: 0 to 8 steps.
    Depth, 0, 8
);
number!(
    /// How many quotes a quote is in, itself counted: 1 to 8.
    QuoteDepth, 1, 8
);

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $min:tt..=$max:tt, $pattern:tt, $check:expr) => {
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        $(#[$doc])*
        #[serde(try_from = "String", into = "String")]
        #[schema(min_length = $min, max_length = $max, pattern = $pattern)]
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
    };
}

text!(
    /// The text of a block: at most 50,000 characters, and at most 176 KiB as JSON (only texts of mostly four-byte
    /// characters meet that bound first). Kept exactly as given, white space and composition too, but for line ends:
    /// each becomes one line feed. Of other control characters it may have tabs.
    #[derive(Default)]
    BlockText, 0..=50_000, r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$", |text| {
        let text = prose(text, LONGEST_TEXT)?;
        let escaped = text.bytes().filter(|byte| matches!(byte, b'"' | b'\\' | b'\n' | b'\t')).count();
        if text.len() + escaped > LARGEST_CONTENT - 4096 {
            return Err(TextError::Form("must have at most 176 KiB"));
        }
        Ok(text)
    }
);
text!(
    /// What an image shows, for those who do not see it: at most 2,000 characters, empty if it only decorates.
    #[derive(Default)]
    Alt, 0..=2_000, r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$", |text| prose(text, 2_000)
);
text!(
    /// The language of a code block, as it stands behind the fence in Markdown: one line of 1 to 100 characters without
    /// white space around it.
    Language, 1..=100, r"^[^\u0000-\u0020\u007F-\u00A0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000\uFDD0-\uFDEF\uFFFE\uFFFF](?:[^\u0000-\u001F\u007F-\u009F\u2028\u2029\uFDD0-\uFDEF\uFFFE\uFFFF]*[^\u0000-\u0020\u007F-\u00A0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000\uFDD0-\uFDEF\uFFFE\uFFFF])?$", |text| {
        if text.is_empty() {
            return Err(TextError::Empty);
        }
        if text.trim() != text {
            return Err(TextError::Form("must not begin or end with white space"));
        }
        if text.chars().any(breaks_a_line) {
            return Err(TextError::Line);
        }
        within(text, 100)
    }
);
text!(
    /// What a raw block is written in, like `html`: 1 to 50 of small letters, digits, `.`, `_`, `+`, `-`.
    Format, 1..=50, "^[a-z0-9._+-]*$", |text| {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '+' | '-');
        if text.is_empty() {
            return Err(TextError::Empty);
        }
        if !text.chars().all(fits) {
            return Err(TextError::Form("must have only lower-case letters, digits, '.', '_', '+' and '-'"));
        }
        within(text, 50)
    }
);

fn prose(text: String, max: usize) -> Result<String, TextError> {
    let text = line_feeds(text.into()).into_owned();
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Err(TextError::Control);
    }
    within(text, max)
}

fn within(text: String, max: usize) -> Result<String, TextError> {
    if text.chars().count() > max { Err(TextError::TooLong(max)) } else { Ok(text) }
}
