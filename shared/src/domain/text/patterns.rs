//! What each type of text takes, as a regular expression of ECMA-262 with the flag `u`, for its schema.
//!
//! Never stricter than the constructor. Laxer where no regular expression can tell: how long a text is when it is composed,
//! whether isolates end, which hosts Unicode Technical Standard 46 refuses. Laxer too in what many readers of schemas do
//! not understand: classes such as `\p{L}`, so that beyond ASCII marks count as visible and symbols as letters, and numbers
//! of five digits, beyond Unicode's first plane.

/// What is cut off at the ends of a line.
const EDGE: &str = r"[\t-\r \u0085\u00A0\u1680\u2000-\u200B\u2028\u2029\u202F\u205F\u3000\uFEFF]*";
/// What may stand in a line.
const INNER: &str = r"[^\u0000-\u001F\u007F-\u009F\u2028-\u202E\uFDD0-\uFDEF\uFFFE\uFFFF]*";
/// What can be seen on its own: no white space, control, format character, filler, blank or mark.
const SEEN: &str = concat!(
    r"[^\u0000-\u0020\u007F-\u00A0\u00AD\u0600-\u0605\u061C\u06DD\u070F\u0890\u0891\u08E2\u115F\u1160\u1680\u180E",
    r"\u2000-\u200F\u2028-\u202F\u205F-\u206F\u2800\u3000\u3164\uFDD0-\uFDEF\uFEFF\uFFA0\uFFF0-\uFFFB\uFFFE\uFFFF]",
);
/// A following letter or mark that is shown as nothing is none.
const NO_FILLER: &str = r"(?![\u034F\u115F\u1160\u17B4\u17B5\u180B-\u180F\u3164\uFE00-\uFE0F\uFFA0])";
/// A number from 0 to 255.
const OCTET: &str = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
/// A number from 0 to 65535.
const PORT: &str = "(?:[0-5]?[0-9]{1,4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";
/// What may follow the host in a web address.
const REST: &str = concat!(
    r#"[^\u0000-\u0020"<>\\\u007F-\u00A0\u00AD\u061C\u1680\u180E\u2000-\u200F\u2028-\u202F\u205F-\u206F\u3000"#,
    r"\uFDD0-\uFDEF\uFEFF\uFFFE\uFFFF]*",
);

/// A text of one line.
pub(super) fn line() -> String {
    format!("^{EDGE}{INNER}{SEEN}{INNER}{EDGE}$")
}

/// A text of many lines.
pub(super) fn prose() -> String {
    r"^[^\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]*$".to_owned()
}

/// Letters, digits and marks of any script, and `.`, `_`, `-`.
pub(super) fn username() -> String {
    let name = r"[^\u0000-,\/:-@\[-\^`{-\u00A9\u2000-\u206F]){2,40}";
    format!(r"^{EDGE}(?:{NO_FILLER}{name}{EDGE}$")
}

/// Words with single dots between them, at a host.
pub(super) fn email() -> String {
    let word = format!("(?:{NO_FILLER}{})+", r#"[^\u0000-\u0020"(),.:;<>@\[\\\]\u007F-\u00A9\u2000-\u206F]"#);
    let host = host(&format!("{EDGE}$"));
    // The bound of the local part is said in the negative: programs that make examples of a pattern cannot do it otherwise.
    format!(r"^{EDGE}(?![^@]{{65}}){word}(?:\.{word})*@{host}{EDGE}$")
}

/// A scheme, a host or the address of a machine, perhaps a port, and the rest.
pub(super) fn web() -> String {
    let host = host(&format!(r"(?:[:\/?#]|{EDGE}$)"));
    let machine = format!(r"{OCTET}(?:\.{OCTET}){{3}}");
    format!(r"^{EDGE}https?:\/\/(?:{host}|{machine})(?::{PORT})?(?:[\/?#]{REST})?{EDGE}$")
}

/// Labels with dots between them, of which the last is no number. `end` is what follows the host.
fn host(end: &str) -> String {
    let end_of_label = format!("{NO_FILLER}{}", r"[^\u0000-\/:-@\[-`{-\u00A9\u2000-\u206F]");
    let inner = format!("(?:{NO_FILLER}{}", r"[^\u0000-,.\/:-@\[-`{-\u00A9\u2000-\u206F]){0,61}");
    let label = format!("(?:{end_of_label}(?:{inner}{end_of_label})?)");
    format!(r"(?:{label}\.)*(?![0-9]+{end}){label}")
}
