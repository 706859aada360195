//! Texts that cannot be wrong: each type has one constructor, and serde uses it too. Its schema says the same, as far as a
//! regular expression can.

mod address;
mod chars;
mod fold;
mod line;
mod patterns;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use self::address::{email, web};
use self::chars::{is_mark, is_word};
use self::line::line;

pub(crate) use self::chars::{breaks_a_line, misleads};
pub use self::fold::{fold, fold_login, opaque};
pub use self::line::label;

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
    /// A line break, another control character, or what is no character, within a text of one line.
    #[error("must be one line without control characters")]
    Line,
    /// A character that turns the direction of writing, beyond what it stands in.
    #[error("must not turn the direction of writing: U+202A to U+202E, or isolates that do not end")]
    Direction,
    /// Characters, but none that anybody sees.
    #[error("must have a character that can be seen")]
    Unseen,
    /// Not of the form that the field needs.
    #[error("{0}")]
    Form(&'static str),
}

macro_rules! text {
    ($(#[doc = $doc:literal])* $name:ident, $min:literal to $max:literal, $pattern:expr, $check:expr) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        #[cfg_attr(feature = "log", derive(sqlx::Type), sqlx(transparent))]
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

        impl ToSchema for $name {}

        // By hand, as the derived one takes patterns as literals only.
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some($min)).max_length(Some($max));
                let about = [$($doc.trim()),*].join("\n");
                text.pattern(Some($pattern)).description(Some(about)).into()
            }
        }
    };
}

text!(
    /// The title of a note or the name of a notebook: one line of 1 to 500 characters with at least one that can be seen;
    /// white space around it is cut off.
    Title, 1 to 500, patterns::line(), |text| line(&text, 1, 500)
);
text!(
    /// A longer text of up to 10,000 characters; line breaks are kept, each as one `\n`. Of other control characters it may
    /// have tabs.
    Description, 0 to 10_000, patterns::prose(), |text| prose(text, 10_000)
);
text!(
    /// What others call a person: one line of 1 to 200 characters with at least one that can be seen; white space around
    /// it is cut off.
    DisplayName, 1 to 200, patterns::line(), |text| line(&text, 1, 200)
);
text!(
    /// A name to log in with: 2 to 40 of letters, digits, `.`, `_`, `-`, of any script; compared without case and width.
    Username, 2 to 40, patterns::username(), |text| username(&text)
);
text!(
    /// An e-mail address, kept as it was typed; compared without case and width, and its host in ASCII. It has no display
    /// name, quotes or comments, and no number for a host.
    Email, 3 to 254, patterns::email(), |text| email(&text)
);
text!(
    /// A web address of up to 2,000 characters: http or https, to a host or an IPv4 address, without a password.
    WebAddress, 8 to 2_000, patterns::web(), |text| web(&text)
);

impl Username {
    /// Whether it may stand in a username.
    pub fn takes(c: char) -> bool {
        is_word(c) || matches!(c, '.' | '_' | '-')
    }
}

/// The text with one `\n` for each line end, whether it was `\n`, `\r\n` or `\r`: who pastes a text does not choose.
pub fn line_feeds(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains('\r') { Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")) } else { text }
}

fn username(text: &str) -> Result<String, TextError> {
    let text = line(text, 2, 40)?;
    if text.chars().all(Username::takes) && !text.starts_with(is_mark) {
        Ok(text)
    } else {
        Err(TextError::Form("must have only letters, digits, '.', '_' and '-'"))
    }
}

fn prose(text: String, max: usize) -> Result<String, TextError> {
    let text = line_feeds(text.into()).into_owned();
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Err(TextError::Control);
    }
    within(&text, 0, max)?;
    Ok(text)
}

fn within(text: &str, min: usize, max: usize) -> Result<(), TextError> {
    match text.chars().count() {
        count if count > max => Err(TextError::TooLong(max)),
        count if count < min => Err(TextError::TooShort(min)),
        _ => Ok(()),
    }
}
