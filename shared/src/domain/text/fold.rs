//! Forms in which texts are compared: what a reader takes for the same text is the same.

use unicode_normalization::UnicodeNormalization;

use super::chars::{is_ignorable, is_space};

/// The form in which names are compared and texts are searched: without compatibility distinctions (NFKC, Unicode
/// Standard Annex 15), case, and characters that are shown as nothing. Folding a folded text changes nothing.
pub fn fold(text: &str) -> String {
    // By way of upper case, as ß and SS are the same; and of lower case before, as the capital ẞ has no upper case.
    let lower = text.nfkc().filter(|c| !is_ignorable(*c)).flat_map(char::to_lowercase);
    lower.flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfkc().collect()
}

/// The form in which accounts are looked up, by an e-mail address or a username: folded, without white space around
/// it, and with the host of an address in ASCII, so that `Ada@Bücher.example` is `ada@xn--bcher-kva.example`.
pub fn fold_login(text: &str) -> String {
    // Only this far: a host has rules of its own, by which ß is not ss.
    let text: String = text.nfkc().collect();
    let Some((local, host)) = text.trim().rsplit_once('@') else { return fold(text.trim()) };
    let host = idna::domain_to_ascii(host).unwrap_or_else(|_| fold(host));
    format!("{}@{host}", fold(local))
}

/// The form in which passwords are kept and compared (the profile `OpaqueString`, RFC 8265 section 4.2): spaces of any
/// width are U+0020, and what is composed of several characters is in NFC. Nothing else changes.
pub fn opaque(text: &str) -> String {
    text.chars().map(|c| if is_space(c) { ' ' } else { c }).nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_case_width_composition_and_what_is_not_seen() {
        for (one, other) in [
            ("ＡDA", "ada"),
            ("STRASSE", "straße"),
            ("STRA\u{1E9E}E", "straße"),
            ("ΟΔΟΣ", "οδος"),
            ("caf\u{e9}", "CAFE\u{301}"),
            ("ﬁle", "FILE"),
            ("a\u{ad}d\u{200b}a\u{feff}", "ada"),
        ] {
            assert_eq!(fold(one), fold(other));
        }
        assert_ne!(fold("cafe"), fold("café"));
    }

    #[test]
    fn every_spelling_of_a_character_folds_to_the_same_and_stays() {
        // Beyond these planes are no letters, and nothing that is composed.
        for c in '\0'..='\u{3FFFF}' {
            let (text, folded) = (c.to_string(), fold(&c.to_string()));
            let decomposed: String = text.nfd().collect();
            for spelling in [&folded, &text.to_uppercase(), &text.to_lowercase(), &decomposed] {
                assert_eq!(fold(spelling), folded, "U+{:04X}", u32::from(c));
            }
        }
    }

    #[test]
    fn an_account_has_one_form_however_its_login_is_typed() {
        for login in ["ada", " ada\n", "ADA", "ａｄａ", "a\u{200b}da\u{a0}"] {
            assert_eq!(fold_login(login), "ada", "{login}");
        }
        for login in [
            "zoë@bücher.example",
            "\tZOE\u{308}@BU\u{308}CHER.Example ",
            "zoë＠ｂücher。example",
            "zoë@xn--bcher-kva.example",
        ] {
            assert_eq!(fold_login(login), "zoë@xn--bcher-kva.example", "{login}");
        }
        assert_eq!(fold_login("a@stra\u{df}e.example"), "a@xn--strae-oqa.example");
        assert_ne!(fold_login("a@strasse.example"), fold_login("a@stra\u{df}e.example"));
        for login in ["", "@", "a@", "@b", "a@b@c", "\u{200b}", "a@b c", "a@xn--\u{e9}"] {
            assert_eq!(fold_login(&fold_login(login)), fold_login(login), "{login}");
        }
    }

    #[test]
    fn a_password_keeps_all_but_its_composition_and_the_width_of_spaces() {
        assert_eq!(opaque("cafe\u{301}\u{a0}\u{3000}"), "caf\u{e9}  ");
        assert_eq!(opaque(" ＡDA\u{200b}\t"), " ＡDA\u{200b}\t");
    }
}
