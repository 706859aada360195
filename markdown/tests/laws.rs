//! The two laws of reading and writing, on whatever chance brings.

mod support;

use markdown::{parse, write};
use proptest::collection::vec;
use proptest::prelude::*;
use shared::domain::blocks::{
    Address, Align, Alt, BlockText, Content, Depth, Format, HeaderLevel, Language, OBJECT, QuoteDepth,
    RichText, Source, Span, SpanKind, Table,
};
use uuid::Uuid;

fn reads_back(blocks: &[Content]) -> Result<(), TestCaseError> {
    let written = write(None, blocks);
    prop_assert_eq!(&parse(&written).blocks, blocks, "{}", written);
    Ok(())
}

fn of<T: TryFrom<String, Error: std::fmt::Debug>>(text: &str) -> T {
    text.to_owned().try_into().expect("a value of this type")
}

fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(words).prop_map(str::to_owned)
}

/// Texts that look like Markdown, in all the places where that could matter.
fn any_text() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        6 => "[ab ]{1,3}",
        6 => one_of(&[
            "\n", " ", "  ", "\t", "*", "**", "_", "__", "`", "``", "```", "~", "~~", "~~~", "#", "# ", "## ", "-", "- ",
            "---", "- [ ] ", "[x] ", "+ ", "1. ", "2) ", "999999999. ", "=", "===", ">", "> ", "|", "| a |", "|-|", ":-:",
            "\n| - |", "\n--|--", "[", "]", "](", "(", ")", "!", "![", "[a](b)", "[^1]", "[^1]: ", "[a]: b", "<", "<b>",
            "</b>", "<br>", "<div>", "<!--", "-->", "<!-- -->", "<u>", "http://x.y", "<http://x.y>", "www.x.y", "a@b.c",
            "&", "&amp;", "&#32;", "&#", "&a", "\\", "\\\\", "\\\n", ":", "{", "}", "$", "$$", "^", "\"", "'", "    ",
        ]),
        2 => one_of(&[
            "🦀", "é", "e\u{301}", "\u{a0}", "\u{2003}", "\u{2028}", "\u{feff}", "\u{200b}", "\u{fffc}", "\u{fffd}", "§",
            "€", "„", "。", "中", "\u{301}", "0", "\u{3000}",
        ]),
    ];
    vec(token, 0..9).prop_map(|tokens| tokens.concat())
}

fn any_address() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        2 => "[a-z]{1,3}",
        1 => one_of(&[
            "(", ")", "[", "]", "*", "_", "`", "~", "|", "&", "&amp;", "&#32;", "&colon;", "'", "!", "#", "?", "/", "{", "$",
            "é", "🦀", "%20", ".", "^", ";", "=", "-", "+",
        ]),
    ];
    let start = one_of(&["https://a.b/", "mailto:a", "/", ""]);
    (start, vec(token, 1..5)).prop_map(|(start, tokens)| format!("{start}{}", tokens.concat()))
}

fn any_kind() -> impl Strategy<Value = Option<SpanKind>> {
    prop_oneof![
        Just(Some(SpanKind::Bold)),
        Just(Some(SpanKind::Italic)),
        Just(Some(SpanKind::Underline)),
        Just(Some(SpanKind::Strike)),
        Just(Some(SpanKind::Code)),
        any_address().prop_map(|href| Address::try_from(href).ok().map(|href| SpanKind::Link { href })),
        any_source().prop_map(|src| Some(SpanKind::Image { src, alt: of("") })),
    ]
}

fn any_source() -> impl Strategy<Value = Source> {
    prop_oneof![
        any_address().prop_map(|url| Source::Url(Address::try_from(url).unwrap_or_else(|_| of("a")))),
        any::<u128>().prop_map(|id| Source::Blob(Uuid::from_u128(id))),
    ]
}

/// A text with spans that cross each other as they like. An image finds its text, or puts one in.
fn any_rich() -> impl Strategy<Value = RichText> {
    (any_text(), vec((0usize..24, 1usize..9, any_kind()), 0..6)).prop_map(|(text, wanted)| {
        let mut letters: Vec<char> = text.chars().collect();
        let mut rich = RichText::from(of::<BlockText>(&text));
        for (start, length, kind) in wanted {
            let Some(kind) = kind else { continue };
            let start = start % (letters.len() + 1);
            let mut end = (start + length).min(letters.len());
            let mut spans = rich.spans().to_vec();
            let kind = if let SpanKind::Image { src, .. } = kind {
                if start == letters.len() {
                    letters.push(OBJECT);
                    end += 1;
                    SpanKind::Image { src, alt: of("") }
                } else {
                    SpanKind::Image { src, alt: of(&letters[start..end].iter().collect::<String>()) }
                }
            } else {
                kind
            };
            let place = |at: usize| u32::try_from(at).expect("short");
            spans.push(Span { start: place(start), end: place(end), kind });
            let text: String = letters.iter().collect();
            rich = RichText::new(of(&text), spans)
                .unwrap_or_else(|_| RichText::new(of(&text), rich.spans().to_vec()).expect("what there was"));
        }
        rich
    })
}

fn any_table() -> impl Strategy<Value = Content> {
    let align = prop::sample::select(vec![Align::Left, Align::Center, Align::Right, Align::None]);
    (1usize..4, 1usize..4)
        .prop_flat_map(move |(columns, rows)| {
            (vec(align.clone(), columns), vec(vec(any_rich(), columns), rows))
        })
        .prop_map(|(align, rows)| Content::Table(Table::new(align, rows).expect("a small table")))
}

fn any_block() -> impl Strategy<Value = Content> {
    let language = prop_oneof![
        Just(None),
        any_text().prop_map(|text| Language::try_from(text.trim().to_owned()).ok()),
        Just(Some(of("{=html}"))),
        Just(Some(of("rust"))),
    ];
    let format = one_of(&["html", "markdown", "front-matter", "latex", "a"]);
    let raw = prop_oneof![
        any_text(),
        one_of(&[
            "<div>\na\n</div>",
            "<!-- a",
            "<!-- -->",
            "<div>\n\n",
            "  <div>",
            "[^1]: a",
            "[^1]: a\n    b",
            "a: b",
            "---",
            "<b>",
            "a:\n...\nb",
            "<script>\n\n</script>",
            "[a]: b",
            "<?a",
            "</div>\n---\na",
        ]),
    ];
    prop_oneof![
        4 => any_rich().prop_map(|rich| Content::Text { rich }),
        1 => (1usize..7, any_rich())
            .prop_map(|(level, rich)| Content::Header { level: HeaderLevel::clamped(level), rich }),
        2 => (any::<bool>(), 0usize..9, any_rich())
            .prop_map(|(checked, depth, rich)| Content::Task { checked, depth: Depth::clamped(depth), rich }),
        4 => (any::<bool>(), 0usize..4, any_rich())
            .prop_map(|(ordered, depth, rich)| Content::ListItem { ordered, depth: Depth::clamped(depth), rich }),
        2 => (1usize..9, any_rich())
            .prop_map(|(depth, rich)| Content::Quote { depth: QuoteDepth::clamped(depth), rich }),
        1 => Just(Content::Rule {}),
        1 => (language, any_text()).prop_map(|(language, text)| Content::Code { language, text: of(&text) }),
        1 => (any_source(), any_text())
            .prop_map(|(src, alt)| Content::Image { src, alt: Alt::try_from(alt).expect("short") }),
        1 => any_table(),
        1 => (format, raw).prop_map(|(format, text)| Content::Raw { format: of::<Format>(&format), text: of(&text) }),
    ]
}

/// Lines that look like Markdown, nested and broken in any way.
fn any_markdown() -> impl Strategy<Value = String> {
    let margin = one_of(&[
        "", "", "", " ", "  ", "   ", "    ", "\t", "> ", ">", "- ", "* ", "1. ", "2) ", "- [ ] ", "- [x] ",
        "# ", "###### ", "[^1]: ", "| ", "```", "~~~ ", "<div>", "<!--", "[a]: ", ": ",
    ]);
    let inside = prop_oneof![
        4 => any_text(),
        1 => any_rich().prop_map(|rich| write(None, &[Content::Text { rich }])),
        1 => one_of(&[
            "***a** b*", "**a*b**c*", "[a](<b c> \"d\")", "[a][b]", "[a]", "![a](b)", "![*a*](b)", "[![a](b)](c)", "![a ![b](c)](d)",
            "<javascript:a>", "[a](javascript:b)", "[](a)", "![](a)", "[a]()", "~a~", "`` ` ``", "` `", "&nbsp;", "&#1;", "&#13;", "&#0;",
            "| a | b |", "|-|-|", "| --- | :-: |", "===", "---", "...", "{=html}", "a  ", "a\\", "<b>a</b>", "<B>a</B>", "a<br/>b",
            "<kbd>a</kbd>", "<b><i>a</b></i>", "\u{c}", "\u{b}a", "\r", "\u{1b}[0m", "\u{85}", "\0",
        ])
        ,
    ];
    let line = (vec(margin, 0..4), inside, one_of(&["\n", "\n", "\n\n", "\r\n", ""]));
    let line = line.prop_map(|(margins, inside, end)| format!("{}{inside}{end}", margins.concat()));
    let anything = ".{0,40}".prop_map(|text: String| text);
    prop_oneof![8 => vec(line, 0..8).prop_map(|lines| lines.concat()), 1 => anything]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_text_with_spans_reads_back(rich in any_rich()) {
        reads_back(&[Content::Text { rich }])?;
    }

    #[test]
    fn blocks_read_back(blocks in vec(any_block(), 0..8)) {
        reads_back(&blocks)?;
    }

    #[test]
    fn what_was_read_once_is_whole_and_stays(markdown in any_markdown()) {
        let blocks = parse(&markdown).blocks;
        prop_assert_eq!(support::lost(&markdown, &blocks), None);
        reads_back(&blocks)?;
    }

    #[test]
    fn a_title_comes_first_and_once(title in any_text(), blocks in vec(any_block(), 0..3)) {
        let written = parse(&write(Some(&title), &blocks));
        let first_line = title.trim().replace(['\n', '\t'], " ");
        if !first_line.is_empty() {
            prop_assert_eq!(written.title, Some(first_line));
        }
        let again = parse(&write(Some(&title), &written.blocks));
        prop_assert_eq!(again.blocks, written.blocks);
    }
}
