//! Tries to store something wrong in a block.

use serde_json::{Value, json};
use strum::VariantArray;

use super::*;
use crate::domain::tests::{ID, text as sample};

fn refusal(block_type: BlockType, content: Value) -> (String, String) {
    let error = Content::parse(block_type, content).expect_err("must be refused");
    (error.pointer, error.detail)
}

fn pointer(block_type: BlockType, content: Value) -> String {
    refusal(block_type, content).0
}

pub(super) fn text(text: &str) -> BlockText {
    text.to_owned().try_into().expect("a text")
}

pub(super) fn address(address: &str) -> Result<Address, crate::domain::text::TextError> {
    Address::try_from(address.to_owned())
}

pub(super) fn span(start: u32, end: u32, kind: SpanKind) -> Span {
    Span { start, end, kind }
}

/// Samples of every type.
fn samples() -> Vec<Content> {
    let bold = || span(0, 1, SpanKind::Bold);
    let rich = |all: &str, spans| RichText::new(text(all), spans).expect("spans of the text");
    let plain = |all: &str| RichText::from(text(all));
    let url = |url: &str| Source::Url(address(url).expect("an address"));
    let link = SpanKind::Link { href: address("mailto:ada@example.org").expect("an address") };
    let image = |src, alt| SpanKind::Image { src, alt: sample(alt) };
    let spans =
        vec![span(0, 1, image(Source::Blob(ID), "a")), span(0, 2, link), span(2, 3, image(url("a"), ""))];
    let cells = vec![vec![rich("a", vec![bold()]), plain("")]];
    let kinds = [SpanKind::Italic, SpanKind::Underline, SpanKind::Strike, SpanKind::Code];
    let kinds = kinds.into_iter().map(|kind| span(0, 1, kind)).collect();
    vec![
        Content::Text { rich: rich("a\n\tb", vec![bold()]) },
        Content::Header { level: HeaderLevel::LEAST, rich: plain("a") },
        Content::Task { checked: true, depth: Depth::LEAST, rich: plain("") },
        Content::ListItem { ordered: false, depth: Depth::MOST, rich: rich("a", vec![bold()]) },
        Content::Quote { depth: QuoteDepth::MOST, rich: plain("a") },
        Content::Rule {},
        Content::Code { language: None, text: text("a") },
        Content::Code { language: Some(sample("rust")), text: text("") },
        Content::Image { src: Source::Blob(ID), alt: sample("") },
        Content::Image { src: url("/a.png"), alt: sample("A") },
        Content::Table(Table::new(vec![Align::Left, Align::None], cells).expect("a rectangle")),
        Content::Raw { format: sample("html"), text: text("<br>") },
        Content::Text { rich: rich("ab\u{fffc}", spans) },
        Content::Text { rich: rich("a", kinds) },
    ]
}

/// Stored JSON is a promise: what is stored of every type is read again for ever.
#[test]
fn every_type_keeps_its_stored_form() {
    for block_type in BlockType::VARIANTS {
        let has_sample = samples().iter().any(|content| content.block_type() == *block_type);
        assert!(has_sample, "{block_type:?} has no sample of its stored form");
    }
    let stored: Vec<String> = samples().iter().map(stored_form).collect();
    let advice = "What is stored of a block has changed, and events of the old form stay in the log. If there is more than \
        a new type, give the events that carry blocks new versions and upcasters (shared/src/log/upcasters.rs). Then write \
        the new form into the snapshot.";
    insta::with_settings!({description => advice}, {
        insta::assert_snapshot!(stored.join("\n"), @r#"
        {"content":{"spans":[{"end":1,"kind":"bold","start":0}],"text":"a\n\tb"},"type":"text"}
        {"content":{"level":1,"spans":[],"text":"a"},"type":"header"}
        {"content":{"checked":true,"depth":0,"spans":[],"text":""},"type":"task"}
        {"content":{"depth":8,"ordered":false,"spans":[{"end":1,"kind":"bold","start":0}],"text":"a"},"type":"list_item"}
        {"content":{"depth":8,"spans":[],"text":"a"},"type":"quote"}
        {"content":{},"type":"rule"}
        {"content":{"language":null,"text":"a"},"type":"code"}
        {"content":{"language":"rust","text":""},"type":"code"}
        {"content":{"alt":"","src":{"blob":"0193a5f0-0000-7000-8000-000000000001"}},"type":"image"}
        {"content":{"alt":"A","src":{"url":"/a.png"}},"type":"image"}
        {"content":{"align":["left","none"],"rows":[[{"spans":[{"end":1,"kind":"bold","start":0}],"text":"a"},{"spans":[],"text":""}]]},"type":"table"}
        {"content":{"format":"html","text":"<br>"},"type":"raw"}
        {"content":{"spans":[{"alt":"a","end":1,"kind":"image","src":{"blob":"0193a5f0-0000-7000-8000-000000000001"},"start":0},{"end":2,"href":"mailto:ada@example.org","kind":"link","start":0},{"alt":"","end":3,"kind":"image","src":{"url":"a"},"start":2}],"text":"ab￼"},"type":"text"}
        {"content":{"spans":[{"end":1,"kind":"italic","start":0},{"end":1,"kind":"underline","start":0},{"end":1,"kind":"strike","start":0},{"end":1,"kind":"code","start":0}],"text":"a"},"type":"text"}
        "#);
    });
}

/// What is stored of a content; it is read back.
fn stored_form(content: &Content) -> String {
    let (block_type, data) = (content.block_type(), content.data());
    let read = Content::parse(block_type, data.clone()).unwrap_or_else(|error| panic!("{data}: {error}"));
    assert_eq!((read.block_type(), read.data()), (block_type, data));
    let whole = serde_json::to_value(content).unwrap();
    assert_eq!(whole["type"], block_type.as_ref());
    assert_eq!(&serde_json::from_value::<Content>(whole.clone()).unwrap(), content);
    whole.to_string()
}

#[test]
fn the_schema_of_each_type_has_the_fields_that_are_read() {
    for content in samples() {
        let (block_type, data) = (content.block_type(), content.data());
        let schema = schema::content(block_type);
        let fields: Vec<_> = data.as_object().unwrap().keys().map(String::as_str).collect();
        for field in &fields {
            assert!(schema["properties"][field].is_object(), "{block_type:?} lacks {field}: {schema}");
        }
        let mut needed: Vec<_> =
            schema["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        needed.sort_unstable();
        let always = fields.into_iter().filter(|name| !matches!(*name, "spans" | "language"));
        assert_eq!(needed, always.collect::<Vec<_>>(), "{block_type:?}");
        assert_eq!(schema["additionalProperties"], false);
    }
}

#[test]
fn every_field_is_needed_and_no_other_is_taken() {
    for content in samples() {
        let (block_type, data) = (content.block_type(), content.data());
        let mut more = data.clone();
        more["a/b"] = json!(1);
        assert_eq!(pointer(block_type, more), "/a~1b");
        for name in
            data.as_object().unwrap().keys().filter(|name| !matches!(name.as_str(), "spans" | "language"))
        {
            let mut less = data.clone();
            less.as_object_mut().unwrap().remove(name);
            assert_eq!(refusal(block_type, less), (format!("/{name}"), "is missing".to_owned()));
            for wrong in [json!(null), json!(1.0), json!(-1), json!([0.5]), json!({"a": 1}), json!(u64::MAX)]
            {
                let mut other = data.clone();
                other[name] = wrong;
                assert!(pointer(block_type, other).starts_with(&format!("/{name}")), "{block_type:?} {name}");
            }
        }
    }
}

#[test]
fn a_wrong_part_is_pointed_at() {
    let cell = json!({"text": "a"});
    let spans = |spans: Value| json!({"text": "a\u{301}🦀", "spans": spans});
    for (block_type, content, at) in [
        (BlockType::Text, json!([]), ""),
        (BlockType::Header, json!({"level": 7, "text": "a"}), "/level"),
        (BlockType::Header, json!({"level": 0, "text": "a"}), "/level"),
        (BlockType::Header, json!({"level": 1.0, "text": "a"}), "/level"),
        (BlockType::Task, json!({"checked": 1, "depth": 0, "text": "a"}), "/checked"),
        (BlockType::Quote, json!({"depth": 0, "text": "a"}), "/depth"),
        (BlockType::Text, json!({"text": "a\u{0}"}), "/text"),
        (BlockType::Text, json!({"text": "a\u{85}"}), "/text"),
        (BlockType::Text, json!({"text": "a".repeat(50_001)}), "/text"),
        (BlockType::Text, json!({"text": "🦀".repeat(50_000)}), "/text"),
        (BlockType::Text, spans(json!({})), "/spans"),
        (BlockType::Text, spans(json!([[0, 1, "bold"]])), "/spans/0"),
        (BlockType::Text, spans(json!([{"start": 0, "end": 4, "kind": "bold"}])), "/spans/0/end"),
        (BlockType::Text, spans(json!([{"start": 1, "end": 1, "kind": "bold"}])), "/spans/0/end"),
        (BlockType::Text, spans(json!([{"start": 0, "end": 1u64 << 32, "kind": "bold"}])), "/spans/0/end"),
        (BlockType::Text, spans(json!([{"start": 0, "end": 1, "kind": "loud"}])), "/spans/0/kind"),
        (
            BlockType::Text,
            spans(json!([{"start": 0, "end": 1, "kind": "bold", "href": "a"}])),
            "/spans/0/href",
        ),
        (BlockType::Text, spans(json!([{"start": 0, "end": 1, "kind": "link"}])), "/spans/0/href"),
        (BlockType::Code, json!({"language": " a", "text": ""}), "/language"),
        (BlockType::Code, json!({"language": "a\nb", "text": ""}), "/language"),
        (BlockType::Raw, json!({"format": "HTML", "text": ""}), "/format"),
        (BlockType::Image, json!({"src": {"blob": "a"}, "alt": ""}), "/src/blob"),
        (BlockType::Image, json!({"src": {"url": "data:a"}, "alt": ""}), "/src/url"),
        (BlockType::Image, json!({"src": {"url": "a", "blob": "b"}, "alt": ""}), "/src/blob"),
        (BlockType::Image, json!({"src": {}, "alt": ""}), "/src"),
        (BlockType::Table, json!({"align": [], "rows": [[]]}), "/align"),
        (BlockType::Table, json!({"align": ["none"], "rows": []}), "/rows"),
        (BlockType::Table, json!({"align": ["up"], "rows": [[cell]]}), "/align/0"),
        (BlockType::Table, json!({"align": ["none"], "rows": [[cell], [cell, cell]]}), "/rows/1"),
        (BlockType::Table, json!({"align": ["none"], "rows": [[cell], [{"text": 1}]]}), "/rows/1/0/text"),
        (
            BlockType::Table,
            json!({"align": ["none"], "rows": [[{"text": "a", "spans": [{"start": 0, "end": 2, "kind": "bold"}]}]]}),
            "/rows/0/0/spans/0/end",
        ),
        (BlockType::Table, json!({"align": vec!["none"; 51], "rows": [vec![cell.clone(); 51]]}), "/align"),
        (BlockType::Table, json!({"align": ["none"], "rows": vec![json!([cell]); 1001]}), "/rows"),
    ] {
        assert_eq!(pointer(block_type, content.clone()), at, "{block_type:?} {content}");
    }
}

#[test]
fn every_line_end_becomes_one_line_feed_in_every_text() {
    let line_ends = "a\r\nb\rc\n";
    let cell = json!({"text": line_ends});
    for (block_type, content, at) in [
        (BlockType::Text, json!({"text": line_ends}), "/text"),
        (BlockType::Header, json!({"level": 1, "text": line_ends}), "/text"),
        (BlockType::Task, json!({"checked": true, "depth": 0, "text": line_ends}), "/text"),
        (BlockType::ListItem, json!({"ordered": false, "depth": 0, "text": line_ends}), "/text"),
        (BlockType::Quote, json!({"depth": 1, "text": line_ends}), "/text"),
        (BlockType::Code, json!({"language": null, "text": line_ends}), "/text"),
        (BlockType::Raw, json!({"format": "html", "text": line_ends}), "/text"),
        (BlockType::Image, json!({"src": {"url": "a"}, "alt": line_ends}), "/alt"),
        (BlockType::Table, json!({"align": ["none"], "rows": [[cell]]}), "/rows/0/0/text"),
    ] {
        let read =
            Content::parse(block_type, content).unwrap_or_else(|error| panic!("{block_type:?}: {error}"));
        assert_eq!(read.data().pointer(at), Some(&json!("a\nb\nc\n")), "{block_type:?}");
    }
    assert_eq!(text(&"\r\n".repeat(50_000)).as_str().len(), 50_000);
}

#[test]
fn spans_count_the_characters_of_the_text_as_it_was_sent() {
    let spans = |given: &[(u32, u32)]| {
        let spans: Vec<Value> =
            given.iter().map(|(start, end)| json!({"start": start, "end": end, "kind": "bold"})).collect();
        let content = json!({"text": "a\r\nb\rc\r\nd", "spans": spans});
        let read = Content::parse(BlockType::Text, content).map_err(|error| error.pointer)?;
        Ok::<_, String>(
            read.rich().unwrap().spans().iter().map(|span| (span.start, span.end)).collect::<Vec<_>>(),
        )
    };
    // a 0, \r\n 1 and 2, b 3, \r 4, c 5, \r\n 6 and 7, d 8; and then a 0, \n 1, b 2, \n 3, c 4, \n 5, d 6.
    for (given, kept) in [
        ((0, 1), (0, 1)),
        ((3, 4), (2, 3)),
        ((4, 6), (3, 5)),
        ((8, 9), (6, 7)),
        ((0, 9), (0, 7)),
        ((1, 3), (1, 2)),
        // Half of a line end is the whole of it.
        ((1, 2), (1, 2)),
        ((2, 3), (1, 2)),
        ((2, 4), (2, 3)),
        ((6, 7), (5, 6)),
        ((7, 8), (5, 6)),
    ] {
        assert_eq!(spans(&[given]), Ok(vec![kept]), "{given:?}");
    }
    assert_eq!(spans(&[(0, 1), (8, 10)]), Err("/spans/1/end".to_owned()));
    assert_eq!(spans(&[(3, 3)]), Err("/spans/0/end".to_owned()));
    assert_eq!(spans(&[(0, u32::MAX)]), Err("/spans/0/end".to_owned()));
    let image = json!({"start": 1, "end": 5, "kind": "image", "src": {"url": "a"}, "alt": "a\r\nb"});
    let content = json!({"text": "!a\r\nb", "spans": [image]});
    let read = Content::parse(BlockType::Text, content).unwrap();
    assert_eq!(
        read.rich().unwrap().spans().iter().map(|span| (span.start, span.end)).collect::<Vec<_>>(),
        [(1, 4)]
    );
}

#[test]
fn an_address_leads_where_it_seems_to() {
    for wrong in [
        "",
        " ",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java\tscript:alert(1)",
        "\u{1}javascript:a",
        " javascript:a",
        "java\nscript:a",
        "data:text/html,a",
        "vbscript:a",
        "file:///etc/passwd",
        "blob:a",
        "x:y",
        ":a",
        "//evil.example",
        "\\\\evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "http:evil.example",
        "https:/evil.example",
        "http://",
        "http:///evil.example",
        "https://?a",
        "https://#",
        "mailto:",
        "mailto://a",
        "http://a b",
        "a\u{a0}b",
        "a\u{202e}b",
        "http://a\u{200b}b",
        "\u{feff}javascript:a",
        "a\u{0}",
        "a\"b",
        "a<b",
        "//",
        "ftp://a",
        "ｊavascript:a",
    ] {
        assert!(address(wrong).is_err(), "{wrong:?} was accepted");
    }
    assert!(address(&"a".repeat(2_001)).is_err());
    for right in [
        "https://a.example",
        "HTTP://a.example/?b=c&d#e",
        "mailto:ada@example.org",
        "a",
        "/a",
        "./a:b",
        "../a",
        "#a",
        "?a=b:c",
        "a/b:c",
        "/a//b",
        "https://ä.example/🦀",
        "https://[::1]:80/(a)",
        "javascript%3Aalert(1)",
    ] {
        assert!(address(right).is_ok(), "{right:?} was refused");
    }
    assert!(address(&"🦀".repeat(2_000)).is_ok());
}

#[test]
fn equal_meanings_are_equal_values() {
    let link = |href: &str| SpanKind::Link { href: address(href).unwrap() };
    let rich = |spans| RichText::new(text("abcdef"), spans).map(|rich| rich.spans().to_vec());
    let bold = |start, end| span(start, end, SpanKind::Bold);
    assert_eq!(rich(vec![bold(3, 5), bold(0, 2), bold(2, 3), bold(1, 2)]), Ok(vec![bold(0, 5)]));
    assert_eq!(rich(vec![bold(0, 1), bold(2, 3)]), Ok(vec![bold(0, 1), bold(2, 3)]));
    assert_eq!(rich(vec![span(0, 3, link("a")), span(2, 5, link("a"))]), Ok(vec![span(0, 5, link("a"))]));
    assert_eq!(rich(vec![span(3, 5, link("b")), span(0, 3, link("a"))]).map(|spans| spans.len()), Ok(2));
    let crossing = rich(vec![bold(0, 1), span(0, 3, link("a")), span(2, 5, link("b"))]);
    assert_eq!(crossing.map_err(|error| error.pointer), Err("/spans/2".to_owned()));
}

#[test]
fn an_image_covers_its_alternative_text() {
    let image = |alt: &str| SpanKind::Image {
        src: Source::Url(address("a").unwrap()),
        alt: alt.to_owned().try_into().unwrap(),
    };
    let rich = |all: &str, spans| RichText::new(text(all), spans).map(|rich| rich.spans().len()).ok();
    assert_eq!(rich("🦀b", vec![span(1, 2, image("b"))]), Some(1));
    assert_eq!(rich("🦀b", vec![span(1, 2, image("c"))]), None);
    assert_eq!(rich("🦀b", vec![span(1, 2, image(""))]), None);
    assert_eq!(rich("🦀\u{fffc}", vec![span(1, 2, image(""))]), Some(1));
    assert_eq!(rich("\u{fffc}\u{fffc}", vec![span(0, 2, image(""))]), None);
    assert_eq!(rich("\u{fffc}\u{fffc}", vec![span(0, 1, image("")), span(1, 2, image(""))]), Some(2));
    assert_eq!(rich("bb", vec![span(0, 1, image("b")), span(0, 1, image("b"))]), Some(1));
    assert_eq!(rich("bbb", vec![span(0, 2, image("bb")), span(1, 3, image("bb"))]), None);
}

#[test]
fn nothing_is_too_large_to_be_stored() {
    let long = |n: u32| SpanKind::Link { href: address(&format!("{n}{}", "a".repeat(1_990))).unwrap() };
    let links = (0..200).map(|n| span(n, n + 1, long(n))).collect::<Vec<_>>();
    let many = RichText::new(text(&"a".repeat(200)), links.clone());
    assert_eq!(many.map_err(|error| error.pointer), Err("/spans".to_owned()));
    let bold = (0..2_001).map(|n| span(2 * n, 2 * n + 1, SpanKind::Bold)).collect();
    assert!(RichText::new(text(&"a".repeat(5_000)), bold).is_err());

    let largest = [text(&"\"".repeat(50_000)), text(&"🦀".repeat(45_000))];
    for text in largest {
        let json =
            serde_json::to_vec(&Content::Raw { format: "a".repeat(50).try_into().unwrap(), text }).unwrap();
        assert!(json.len() <= LARGEST_CONTENT);
    }
    // What no longer fits beside a longer text goes: the spans, not the text.
    let rich = RichText::new(text(&"a".repeat(80)), links[..80].to_vec()).unwrap();
    let grown = rich.clone().with_text(text(&format!("{}{}", "a".repeat(80), "🦀".repeat(40_000))));
    assert_eq!((grown.text().chars().count(), grown.spans().len()), (40_080, 0));
    let wide = Table::new(vec![Align::None; 50], vec![vec![rich; 50]; 1]);
    assert_eq!(wide.map_err(|error| error.pointer), Err("/rows".to_owned()));
}

#[test]
fn a_new_text_keeps_the_spans_that_still_match() {
    let spans = vec![span(0, 2, SpanKind::Bold), span(3, 5, SpanKind::Italic), span(6, 8, SpanKind::Code)];
    let rich = RichText::new(text("🦀b cd 🦀f"), spans).unwrap();
    let kept = |new: &str| {
        let rich = rich.clone().with_text(text(new));
        rich.spans().iter().map(|span| (span.start, span.end)).collect::<Vec<_>>()
    };
    assert_eq!(kept("🦀b cd 🦀f"), [(0, 2), (3, 5), (6, 8)]);
    assert_eq!(kept("🦀b c🦀d 🦀f"), [(0, 2), (7, 9)]);
    assert_eq!(kept("🦀b 🦀f"), [(0, 2), (3, 5)]);
    assert_eq!(kept("new: 🦀b cd 🦀f"), [(5, 7), (8, 10), (11, 13)]);
    assert_eq!(kept(""), []);
}

#[test]
fn a_task_becomes_text_and_back() {
    let rich = RichText::new(text("ab"), vec![span(0, 1, SpanKind::Bold)]).unwrap();
    let task = Content::Task { checked: true, depth: Depth::MOST, rich: rich.clone() };
    assert_eq!(task.as_text_block(), Content::Text { rich: rich.clone() });
    assert_eq!(
        task.as_task_block(false),
        Content::Task { checked: false, depth: Depth::MOST, rich: rich.clone() }
    );
    let back = task.as_text_block().as_task_block(true);
    assert_eq!(back, Content::Task { checked: true, depth: Depth::LEAST, rich });
    assert_eq!(Content::Rule {}.as_task_block(true), Content::Rule {});
    assert_eq!(Content::Rule {}.with_text(text("a")).text(), None);
}
