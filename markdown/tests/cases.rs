//! How things map, one by one, and texts that are meant to break a reader.

mod support;

use markdown::{parse, write};
use shared::domain::blocks::{BlockText, Content, RichText};

/// Blocks in a line each, short enough to be compared by eye.
fn short(blocks: &[Content]) -> Vec<String> {
    let spans = |block: &Content| {
        let spans = block.rich().map(|rich| rich.spans().to_vec()).unwrap_or_default();
        let spans = spans.iter().map(|span| format!(" {}-{} {:?}", span.start, span.end, span.kind));
        spans.collect::<Vec<_>>().concat()
    };
    let line = |block: &Content| {
        let what = match block {
            Content::Text { .. } => "text".to_owned(),
            Content::Header { level, .. } => format!("h{}", level.get()),
            Content::Task { checked, depth, .. } => format!("task {checked} {}", depth.get()),
            Content::ListItem { ordered, depth, .. } => {
                format!("{} {}", if *ordered { "number" } else { "item" }, depth.get())
            }
            Content::Quote { depth, .. } => format!("quote {}", depth.get()),
            Content::Rule {} => "rule".to_owned(),
            Content::Code { language, .. } => {
                format!("code {}", language.as_ref().map_or("-", |language| language.as_str()))
            }
            Content::Image { src, alt } => format!("image {src:?} {}", alt.as_str()),
            Content::Table(table) => {
                let cells = table.rows().iter().map(|row| row.iter().map(RichText::text).collect::<Vec<_>>());
                format!("table {:?} {:?}", table.align(), cells.collect::<Vec<_>>())
            }
            Content::Raw { format, .. } => format!("raw {}", format.as_str()),
        };
        format!("{what}{}{}", block.text().map_or_else(String::new, |text| format!(": {text}")), spans(block))
    };
    blocks.iter().map(line).collect()
}

/// What it reads as; that it reads back, and loses nothing, is checked along the way.
fn read(markdown: &str) -> Vec<String> {
    let blocks = parse(markdown).blocks;
    assert_eq!(parse(&write(None, &blocks)).blocks, blocks, "{markdown:?}");
    assert_eq!(support::lost(markdown, &blocks), None, "{markdown:?}");
    short(&blocks)
}

#[test]
fn each_block_has_its_type() {
    assert_eq!(read("# a\n\nb\nc  \nd\n\n***\n"), ["h1: a", "text: b c\nd", "rule"]);
    assert_eq!(read("```rust,ignore x\na\n```\n\n    b\n"), ["code rust,ignore x: a", "code -: b"]);
    assert_eq!(read("````\n```\na\n```\n````\n"), ["code -: ```\na\n```"]);
    assert_eq!(
        read("| a | b |\n|:-:|--:|\n| `c\\|d` | |\n"),
        ["table [Center, Right] [[\"a\", \"b\"], [\"c|d\", \"\"]]"]
    );
    assert_eq!(read("<div>\na\n</div>\n\nb\n"), ["raw html: <div>\na\n</div>", "text: b"]);
    assert_eq!(read("```{=latex}\n\\a\n```\n"), ["raw latex: \\a"]);
    assert_eq!(read("---\ntitle: a\n---\nb\n"), ["raw front-matter: title: a", "text: b"]);
    assert_eq!(read("---\n\na: b\n\n---\n"), ["rule", "text: a: b", "rule"]);
    assert_eq!(read("a[^1]\n\n[^1]: b\n"), ["text: a[^1]", "raw markdown: [^1]: b"]);
}

#[test]
fn items_and_quotes_are_as_deep_as_what_is_around_them() {
    assert_eq!(
        read("- a\n  - b\n    1. c\n- [x] d\n  - [ ] e\n"),
        ["item 0: a", "item 1: b", "number 2: c", "task true 0: d", "task false 1: e"]
    );
    assert_eq!(
        read("- a\n\n  b\n\n  > c\n\n  ```\n  d\n  ```\n"),
        ["item 0: a", "text: b", "quote 2: c", "code -: d"]
    );
    assert_eq!(
        read("> a\n>\n> > b\n>\n> - c\n>\n>   d\n"),
        ["quote 1: a", "quote 2: b", "item 1: c", "quote 2: d"]
    );
    assert_eq!(read("- - - a\n-\n- # b\n"), ["item 2: a", "item 0: ", "h1: b"]);
    assert_eq!(read(&format!("{}a", "- ".repeat(12))), ["item 8: a"]);
    assert_eq!(read(&format!("{}a", "> ".repeat(12))), ["quote 8: a"]);
    assert_eq!(read("- a\n\n1. b\n\n* c\n"), ["item 0: a", "number 0: b", "item 0: c"]);
}

#[test]
fn an_image_alone_is_a_block() {
    let url = "Url(Address(\"b\"))";
    assert_eq!(read("![*a*](b)"), [format!("image {url} a")]);
    assert_eq!(read("a ![](b)"), [format!("text: a \u{fffc} 2-3 Image {{ src: {url}, alt: Alt(\"\") }}")]);
    assert_eq!(
        read("[![a](b)](c)"),
        [format!("text: a 0-1 Link {{ href: Address(\"c\") }} 0-1 Image {{ src: {url}, alt: Alt(\"a\") }}")]
    );
    let blob = "0193a5f0-0000-7000-8000-000000000001";
    assert_eq!(read(&format!("![](blob:{blob})")), [format!("image Blob({blob}) ")]);
}

#[test]
fn marks_become_spans() {
    assert_eq!(read("**a *b*** ~~c~~ `d`"), ["text: a b c d 0-3 Bold 2-3 Italic 4-5 Strike 6-7 Code"]);
    assert_eq!(read("<b>a<i>b</b>c</i> <u>d</u><br>e"), ["text: abc d\ne 0-2 Bold 1-3 Italic 4-5 Underline"]);
    assert_eq!(read("a<b>b <kbd>c</kbd></i>"), ["text: a<b>b <kbd>c</kbd></i>"]);
    assert_eq!(
        read("<ada@example.org>"),
        ["text: ada@example.org 0-15 Link { href: Address(\"mailto:ada@example.org\") }"]
    );
    assert_eq!(read("[a](<b c>)"), ["text: a 0-1 Link { href: Address(\"b%20c\") }"]);
    for literal in ["[a](javascript:b)", "[](b)", "[a]()"] {
        assert_eq!(read(literal), [format!("text: {literal}")]);
    }
}

#[test]
fn text_that_looks_like_markdown_stays_text() {
    for text in [
        "1. x",
        "2) x",
        "# x",
        "- [ ] y",
        "---",
        "- x",
        "+ x",
        "* x",
        "<div>",
        "&amp;",
        "\\",
        "*",
        "_",
        "http://x.y",
        "| a |\n|---|",
        "a\n===",
        "a\n---",
        "```",
        "~~~",
        "[a]: b",
        "[a](b)",
        "![a](b)",
        "<!-- -->",
        "[^1]: a",
        " a ",
        "\ta",
        "    a",
        "a\n\n\nb",
        "\n",
        " ",
        "<b>a</b>",
        "**a**",
        "`a`",
        "> a",
        "a\\\nb",
        "{=html}",
        "\u{feff}a",
        "snake_case_",
        "a  \nb",
        "",
    ] {
        let rich = || BlockText::try_from(text.to_owned()).unwrap().into();
        for blocks in [
            vec![Content::Text { rich: rich() }],
            vec![Content::Text { rich: rich() }; 3],
            vec![Content::Code { language: None, text: text.to_owned().try_into().unwrap() }; 2],
        ] {
            assert_eq!(parse(&write(None, &blocks)).blocks, blocks, "{text:?}");
        }
    }
}

/// What is written is read by people and other programs too.
#[test]
fn markdown_is_written_as_people_write_it() {
    for markdown in [
        "# A snake_case title\n\nSome **bold**, _italic_ and `code` text (with [a link](https://a.b/c_d?e=f&g=h)).\n",
        "- a\n- b\n  1. c\n  2. d\n     - [x] e\n- f\n\ng\n",
        "> a\n>\n> b\n>\n> > c\n",
        "| a | b |\n| :-- | --- |\n| **c** | d, e & f |\n",
        "```rust\nfn main() {}\n```\n\n***\n\n![An image](a.png)\n",
        "<details>\n<summary>a</summary>\n</details>\n\na\\\nb\n",
        "---\ntags: [a]\n---\n\n# b\n",
        "[![a](b)](c)\n\nA note[^1], and **another**[^2]\n\n[^1]: here\n",
    ] {
        assert_eq!(write(None, &parse(markdown).blocks), markdown);
    }
}

#[test]
fn the_title_is_the_first_header() {
    assert_eq!(parse("---\na: b\n---\n# A *b*\n").title.as_deref(), Some("A b"));
    assert_eq!(parse("a\n\n# b\n").title, None);
    assert_eq!(parse("## b\n").title, None);
    assert_eq!(write(Some("A"), &parse("# A\n\nb\n").blocks), "# A\n\nb\n");
    assert_eq!(write(Some("A"), &parse("b\n").blocks), "# A\n\nb\n");
    assert_eq!(write(Some("A"), &parse("---\na: b\n---\nb\n").blocks), "---\na: b\n---\n\n# A\n\nb\n");
    assert_eq!(write(None, &[]), "");
}

#[test]
fn hostile_texts_are_read_and_read_back() {
    for text in ["[", ">", "*", "*a", "<b>"] {
        read(&text.repeat(1_000_000 / text.len()));
    }
    for text in [
        "]",
        "![",
        "[a](",
        "[](",
        "> ",
        "**",
        "_",
        "_a_ ",
        "*a ",
        "a*",
        "~",
        "`",
        "`a",
        "<",
        "<a",
        "<!--",
        "&",
        "\\",
        "- ",
        "1. ",
        "|",
        "|a",
        "a|",
        "#",
        "\n",
        "\t",
        " ",
        "\0",
        "\r",
        "\u{fffc}",
        "🦀",
        "a",
        "a ",
        "[^1]: ",
        "[a]: b\n",
        "- a\n",
        "> a\n",
        "<b></b>",
        "![a](b)",
        "[a](b)",
        "**a** ",
        "***\n",
        "&#1;",
        "[a]: b\n[a]",
    ] {
        read(&text.repeat(100_000 / text.len()));
    }
    for depth in [100, 10_000] {
        read(&(0..200).map(|n| ["  ".repeat(n).as_str(), "- a\n"].concat()).collect::<String>());
        read(&format!("{}a\n{}", "> ".repeat(depth), "b\n".repeat(1_000)));
        read(&format!("{}a{}", "<b>".repeat(depth), "</b>".repeat(depth)));
        read(&format!("{}a{}", "[".repeat(depth), "](b)".repeat(depth)));
        read(&format!("{}a{}", "![".repeat(depth), "](b)".repeat(depth)));
        read(&format!("{}a{}", "*".repeat(depth), "*".repeat(depth)));
    }
}

#[test]
fn what_is_too_large_is_cut() {
    let kinds = |markdown: &str| {
        let mut kinds: Vec<_> =
            read(markdown).iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
        kinds.dedup();
        kinds
    };
    let words = "word **bold** [link](https://a.example/b) ".repeat(5_000);
    assert_eq!(kinds(&words), ["text:"]);
    assert_eq!(kinds(&format!("# {words}")), ["h1:"]);
    assert_eq!(kinds(&format!("- [ ] {words}")), ["task"]);
    assert_eq!(kinds(&format!("> {words}")), ["quote"]);
    assert_eq!(kinds(&format!("```\n{}\n```", "🦀 line\n".repeat(20_000))), ["code"]);
    assert_eq!(kinds(&format!("<div>\n{}\n</div>", "line\n".repeat(20_000))), ["raw"]);
    assert_eq!(kinds(&format!("[a](https://a.example/{})", "b".repeat(100_000))), ["text:"]);
    assert_eq!(kinds(&format!("a ![{}](b) c", "alt ".repeat(30_000))), ["text:"]);
    let table = format!("| a | b |\n|---|---|\n{}", "| some cell | other cell |\n".repeat(5_000));
    assert_eq!(kinds(&table), ["table"]);
    assert_eq!(
        kinds(&format!("{}\n{}\n{}\n", "|a".repeat(200), "|-".repeat(200), "|b".repeat(200))),
        ["text:"]
    );
    assert_eq!(kinds(&format!("| a |\n|---|\n| {words} |\n")), ["text:"]);
}
