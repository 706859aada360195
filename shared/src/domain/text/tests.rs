use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

use super::*;
use crate::domain::blocks::{Address, Alt, BlockText, Format, Language};

/// Reads a text by the constructor of a type, and gives it as it is kept.
type Reader = fn(&str) -> Result<String, TextError>;

fn read<T: TryFrom<String, Error = TextError> + Clone>(
    text: &str,
    kept: fn(&T) -> &str,
) -> Result<String, TextError> {
    T::try_from(text.to_owned()).map(|text| kept(&text).to_owned())
}

/// Every type of a text that clients send: its name, its constructor, and what stands before and after a piece of it.
const TYPES: [(&str, Reader, &str, &str); 11] = [
    ("Title", |text| read(text, Title::as_str), "a", "b"),
    ("DisplayName", |text| read(text, DisplayName::as_str), "a", "b"),
    ("Username", |text| read(text, Username::as_str), "a", "b"),
    ("Email", |text| read(text, Email::as_str), "a", "b@example.org"),
    ("WebAddress", |text| read(text, WebAddress::as_str), "https://example.org/a", "b"),
    ("Description", |text| read(text, Description::as_str), "a", "b"),
    ("BlockText", |text| read(text, BlockText::as_str), "a", "b"),
    ("Alt", |text| read(text, Alt::as_str), "a", "b"),
    ("Language", |text| read(text, Language::as_str), "a", "b"),
    ("Format", |text| read(text, Format::as_str), "a", "b"),
    ("Address", |text| read(text, Address::as_str), "https://example.org/a", "b"),
];

/// What comes of a piece in the middle of a text of each type, in the order of [`TYPES`]: `=` it is kept, `c` it is
/// kept composed, `x` it is refused.
const WITHIN: [(&str, &str); 20] = [
    ("\0", "xxxxxxxxxxx"),
    ("\u{1b}", "xxxxxxxxxxx"),
    ("\n", "xxxxx===xxx"),
    ("\u{b}", "xxxxxxxxxxx"),
    ("\u{85}", "xxxxxxxxxxx"),
    ("\u{2028}", "xxxxx===xxx"),
    ("\u{2029}", "xxxxx===xxx"),
    ("\u{fffe}", "xxxxx===xx="),
    ("\u{10ffff}", "xxxxx===xx="),
    // Right to left from here on; and an isolate that does not end, and one that does.
    ("\u{202e}", "xxxxx====xx"),
    ("\u{2066}", "xxxxx====xx"),
    ("\u{2069}\u{2066}", "xxxxx====xx"),
    ("\u{2068}c\u{2069}", "==xxx====xx"),
    ("\u{200b}", "==xxx====xx"),
    ("\u{200d}", "==xxx====xx"),
    ("\u{feff}", "==xxx====xx"),
    ("\u{3164}", "==xx=====x="),
    (" ", "==xxx====xx"),
    ("\u{20dd}\u{20dd}", "=========x="),
    ("e\u{301}", "ccccc====x="),
];

#[test]
fn a_hostile_piece_of_a_text_is_kept_or_refused_as_the_table_says() {
    for (piece, expected) in WITHIN {
        for ((name, read, before, after), expected) in TYPES.iter().zip(expected.chars()) {
            let text = format!("{before}{piece}{after}");
            let kept = match expected {
                '=' => Some(text.clone()),
                'c' => Some(text.nfc().collect()),
                _ => None,
            };
            assert_eq!(read(&text).ok(), kept, "{name} {text:?}");
        }
    }
}

#[test]
fn a_megabyte_of_marks_is_no_text_of_any_type() {
    let marks = "\u{301}".repeat(512 * 1024);
    for (name, read, before, after) in TYPES {
        assert!(read(&format!("{before}{marks}{after}")).is_err(), "{name}");
    }
}

#[test]
fn half_a_surrogate_pair_is_no_text() {
    for half in [r#""\ud800""#, r#""a\udc00""#, r#""\udc00\ud800""#] {
        serde_json::from_str::<Value>(half).expect_err(half);
        serde_json::from_str::<Title>(half).expect_err(half);
    }
}

#[test]
fn white_space_around_a_name_is_cut_off_and_prose_keeps_it() {
    for (name, read, before, after) in TYPES {
        let text = format!("{before}{after}");
        let kept = match name {
            "Title" | "DisplayName" | "Username" | "Email" | "WebAddress" => Some(text.clone()),
            "Description" | "BlockText" | "Alt" => Some(format!("{text}  ")),
            _ => None,
        };
        assert_eq!(read(&format!("{text}  ")).ok(), kept, "{name}");
    }
    for around in ["\n", "\u{b}", "\u{85}", "\u{2028}", "\u{2003}", "\u{feff}", "\u{200b}"] {
        assert_eq!(read(&format!("{around}Ada{around}"), Title::as_str).as_deref(), Ok("Ada"), "{around:?}");
    }
}

#[test]
fn a_name_that_nobody_sees_is_refused() {
    for unseen in [
        "",
        " ",
        "\u{2003}",
        "\u{200b}",
        "\u{feff}",
        "\u{2060}",
        "\u{200d}",
        "\u{200e}",
        "\u{ad}",
        "\u{34f}",
        "\u{301}",
        "\u{115f}",
        "\u{1160}",
        "\u{3164}",
        "\u{ffa0}",
        "\u{2800}",
        "\u{1d159}",
        "\u{fe0f}",
        "\u{e0001}",
        "\u{fff9}",
        "\u{2066}\u{2069}",
    ] {
        for (name, read, ..) in &TYPES[..5] {
            let text = unseen.repeat(8);
            assert!(read(&text).is_err(), "{name} {text:?}");
        }
    }
}

#[test]
fn a_name_may_have_what_scripts_and_emoji_need() {
    for name in [
        "می\u{200c}خواهم",
        "क्\u{200d}ष",
        "👩\u{200d}👩\u{200d}👧",
        "❤\u{fe0f}",
        "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
        "ភាសា\u{200b}ខ្មែរ",
        "\u{2068}Ada\u{2069} עדה",
        "!",
        "\u{378}",
    ] {
        assert_eq!(read(name, Title::as_str).as_deref(), Ok(name));
    }
    for name in ["zoë", "ада", "हिन्दी", "日本", "a.b_c-1", ".."] {
        assert_eq!(read(name, Username::as_str).as_deref(), Ok(name));
    }
}

#[test]
fn an_e_mail_address_has_one_plain_form() {
    for right in [
        "ada@example.org",
        "ada+daybook@example.org",
        "Ada.O'Brien_{x}@EXAMPLE.org",
        "ada@localhost",
        "a@1a.e--f.org",
        "zoë@bücher.example",
        "ада@пример.рф",
        "a@xn--bcher-kva.example",
    ] {
        assert_eq!(read(right, Email::as_str).as_deref(), Ok(right));
    }
    for wrong in [
        "ada",
        "ada@",
        "@example.org",
        "a b@example.org",
        "a@b@c",
        "a@.org",
        "<a@e.org>",
        "Ada <a@e.org>",
        "a@e.org?bcc=x",
        "a@e.org,b@e.org",
        "a..b@e.org",
        ".a@e.org",
        "a.@e.org",
        "a@e..org",
        "a@e.org.",
        "a@-e.org",
        "a@e-.org",
        "a@e_f.org",
        "\"a\"@e.org",
        "\"a b\"@e.org",
        "a(b)@e.org",
        "a@(b)e.org",
        "a@[127.0.0.1]",
        "a@127.0.0.1",
        "a@1",
        "mailto:a@e.org",
        "a@e.org/b",
        "a@e\u{200b}.org",
        "a@xn--\u{e9}.org",
        "a@xn--zzzzzzzz999999.org",
        "a\u{1f600}@e.org",
        "a@\u{1f600}.org",
        "a\\@e.org",
        "a;b@e.org",
        "a:b@e.org",
        "a@e.org:25",
        "\u{301}a@e.org",
    ] {
        assert!(read(wrong, Email::as_str).is_err(), "{wrong} was accepted");
    }
    let (local, label) = ("a".repeat(65), "a".repeat(64));
    for wrong in
        [format!("{local}@e.org"), format!("a@{label}.org"), format!("a@{}org", "a23456789.".repeat(25))]
    {
        assert!(read(&wrong, Email::as_str).is_err(), "{wrong} was accepted");
    }
}

#[test]
fn a_web_address_leads_to_a_host() {
    for right in [
        "https://example.org",
        "http://localhost:5000/a.png?b=c#d",
        "https://127.0.0.1/a",
        "https://bücher.example/ä",
        "https://e.org:65535?a=@b",
    ] {
        assert_eq!(read(right, WebAddress::as_str).as_deref(), Ok(right));
    }
    for wrong in [
        "https://",
        "https:///a.png",
        "https://?a",
        "https://:80/",
        "javascript:alert(1)",
        "ftp://e.org/a",
        "//e.org/a",
        "HTTPS://e.org",
        "https://e.org\\a",
        "https://e.org/a b",
        "https://e.org/a\tb",
        "https://ada@e.org/",
        "https://e.org:x/",
        "https://e.org:/",
        "https://e.org:65536/",
        "https://1.2.3/",
        "https://256.1.1.1/",
        "https://e..org/",
        "https://e.org/\u{202e}",
        "https://e.org/<a>",
    ] {
        assert!(read(wrong, WebAddress::as_str).is_err(), "{wrong} was accepted");
    }
}

#[test]
fn bounds_count_characters_as_sent_and_as_kept() {
    let title = |text: &str| read(text, Title::as_str);
    assert_eq!(title(&"é".repeat(500)), Ok("é".repeat(500)));
    assert_eq!(title(&"e\u{301}".repeat(250)), Ok("é".repeat(250)));
    assert_eq!(title(&"e\u{301}".repeat(251)), Err(TextError::TooLong(500)));
    // Composed it is longer.
    assert_eq!(title(&"\u{958}".repeat(251)), Err(TextError::TooLong(500)));
    assert_eq!(title(&format!("{} ", "a".repeat(500))), Err(TextError::TooLong(500)));
    assert_eq!(read("e\u{301}", Username::as_str), Err(TextError::TooShort(2)));
    assert_eq!(read("\u{958}", Username::as_str), Err(TextError::TooShort(2)));
}

/// A type: its schema, as clients read it, and its constructor.
struct Published {
    bounds: std::ops::RangeInclusive<usize>,
    pattern: regress::Regex,
    takes: fn(&str) -> bool,
    /// Whether the pattern tells less of a character than the constructor.
    is_unsure: fn(char) -> bool,
}

impl Published {
    fn of<T: PartialSchema + TryFrom<String>>(is_unsure: fn(char) -> bool) -> Self {
        let schema = serde_json::to_value(T::schema()).expect("a schema is plain data");
        let length = |name: &str| schema[name].as_u64().and_then(|length| usize::try_from(length).ok());
        let pattern = schema["pattern"].as_str().expect("a pattern");
        Self {
            bounds: length("minLength").expect("a bound")..=length("maxLength").expect("a bound"),
            pattern: regress::Regex::with_flags(pattern, "u").expect("a pattern of ECMA-262"),
            takes: |text| T::try_from(text.to_owned()).is_ok(),
            is_unsure,
        }
    }

    fn agrees(&self, text: &str) -> Result<(), TestCaseError> {
        let described = self.bounds.contains(&text.chars().count()) && self.pattern.find(text).is_some();
        let taken = (self.takes)(text);
        // What no regular expression can tell: how long it is when it is composed.
        let composed: String = text.trim().nfc().collect();
        if composed == text.trim() && !text.contains(self.is_unsure) {
            prop_assert_eq!(described, taken, "{:?}", text);
        } else {
            prop_assert!(described || !taken, "{:?}", text);
        }
        Ok(())
    }
}

/// Pieces of texts: plain ones, and those that some type refuses.
const PIECES: [&str; 40] = [
    "a", "B", "7", "é", "日", "आ", " ", "\t", "\n", "\u{85}", "\u{a0}", "\u{2003}", "\u{200b}", "\u{200d}",
    "\u{feff}", "\u{2028}", "\u{202e}", "\0", "\u{7f}", "\u{301}", "\u{20dd}", "\u{fe0f}", "\u{3164}",
    "\u{2800}", "\u{fffe}", "\u{fdd0}", "\u{600}", "\u{fff9}", "😀", ".", "-", "_", "@", "+", "/", ":", "?",
    "#", "%", "\"",
];
/// Pieces of addresses.
const PARTS: [&str; 28] = [
    "a",
    "b7",
    "7",
    "127",
    "256",
    "0",
    "-",
    "_",
    ".",
    ".",
    "@",
    "@",
    "+",
    "'",
    ":",
    ":80",
    ":65536",
    "/",
    "?",
    "#",
    "\"",
    "(",
    "<",
    "\\",
    " ",
    "https://",
    "http://",
    "example.org",
];

fn text_of(pieces: &'static [&'static str], max: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(select(pieces), 0..max).prop_map(|pieces| pieces.concat())
}

/// Lets a law hold for many texts.
fn law<S: Strategy>(texts: S, holds: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let mut runner = TestRunner::new(ProptestConfig::with_cases(2_000));
    if let Err(broken) = runner.run(&texts, holds) {
        panic!("{broken}");
    }
}

#[test]
fn the_schema_of_a_name_takes_what_its_constructor_takes() {
    let types = [
        Published::of::<Title>(is_mark),
        Published::of::<DisplayName>(is_mark),
        Published::of::<Username>(|c| !c.is_ascii() && (!is_word(c) || is_mark(c))),
        Published::of::<Description>(|_| false),
        Published::of::<Language>(|_| false),
    ];
    law(text_of(&PIECES, 6), |text| types.iter().try_for_each(|each| each.agrees(&text)));
}

#[test]
fn the_schema_of_an_address_takes_what_its_constructor_takes() {
    let types = [Published::of::<Email>(|_| false), Published::of::<WebAddress>(|_| false)];
    let parts = (text_of(&PARTS, 8), text_of(&PARTS[..10], 8), text_of(&PARTS[10..], 4));
    law(parts, |(text, host, rest)| {
        let texts = [format!("{text}@{host}"), format!("a@{host}"), format!("https://{host}{rest}"), text];
        texts.iter().try_for_each(|text| types.iter().try_for_each(|each| each.agrees(text)))
    });
    for length in [1, 63, 64, 65] {
        for text in [format!("{}@e.org", "a".repeat(length)), format!("a@{}.org", "a".repeat(length))] {
            types[0].agrees(&text).unwrap_or_else(|wrong| panic!("{wrong}"));
        }
    }
}

#[test]
fn what_is_kept_is_kept_again_as_it_is() {
    law(text_of(&PIECES, 12), |text| {
        for (name, read, ..) in TYPES {
            if let Ok(kept) = read(&text) {
                prop_assert_eq!(read(&kept), Ok(kept.clone()), "{} {:?}", name, text);
            }
        }
        Ok(())
    });
}

#[test]
fn every_line_end_of_a_longer_text_becomes_one_line_feed() {
    for (given, kept) in
        [("a\r\nb", "a\nb"), ("a\rb\r", "a\nb\n"), ("\r\r\n\n", "\n\n\n"), ("a\n\tb", "a\n\tb")]
    {
        let text = Description::try_from(given.to_owned()).map(String::from);
        assert_eq!(text, Ok(kept.to_owned()), "{given:?}");
    }
    // It counts once.
    assert!(Description::try_from("\r\n".repeat(10_000)).is_ok());
    assert_eq!(Description::try_from("\r\n".repeat(10_001)), Err(TextError::TooLong(10_000)));
    assert_eq!(Description::try_from("a\u{b}b".to_owned()), Err(TextError::Control));
}
