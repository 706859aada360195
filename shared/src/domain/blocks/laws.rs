//! Property tests: laws that hold for all spans and contents.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::tests::{address, span, text};
use super::*;

fn any_kind() -> impl Strategy<Value = SpanKind> {
    let link = |href: &str| SpanKind::Link { href: address(href).expect("an address") };
    prop_oneof![Just(SpanKind::Bold), Just(SpanKind::Code), Just(link("a")), Just(link("b"))]
}

fn any_spans() -> impl Strategy<Value = Vec<Span>> {
    vec(
        (0u32..12, 1u32..6, any_kind()).prop_map(|(start, length, kind)| span(start, start + length, kind)),
        0..12,
    )
}

/// What each character is, which is what spans mean.
fn meaning(length: u32, spans: &[Span]) -> Vec<Vec<SpanKind>> {
    let at = |place| {
        let mut kinds: Vec<_> = spans
            .iter()
            .filter(|span| span.start <= place && place < span.end)
            .map(|span| span.kind.clone())
            .collect();
        kinds.sort();
        kinds.dedup();
        kinds
    };
    (0..length).map(at).collect()
}

proptest! {
    #[test]
    fn canonical_spans_mean_what_was_given(all in "[a🦀\u{301}]{0,14}", spans in any_spans()) {
        let length = u32::try_from(all.chars().count()).expect("short");
        if let Ok(rich) = RichText::new(text(&all), spans.clone()) {
            prop_assert_eq!(meaning(length, rich.spans()), meaning(length, &spans));
            prop_assert_eq!(RichText::new(text(&all), rich.spans().to_vec()), Ok(rich.clone()));
            prop_assert_eq!(RichText::new(text(&all), spans.into_iter().rev().collect()), Ok(rich));
        } else {
            let outside = spans.iter().any(|span| span.end > length);
            let link = |kind: &&SpanKind| matches!(kind, SpanKind::Link { .. });
            let two = |kinds: &Vec<SpanKind>| kinds.iter().filter(link).count() > 1;
            prop_assert!(outside || meaning(length, &spans).iter().any(two));
        }
    }

    #[test]
    fn line_ends_move_no_span_to_other_letters(given in "[ab\r\n🦀]{0,14}", spans in any_spans()) {
        let content = json!({"text": given, "spans": spans});
        let read = Content::parse(BlockType::Text, content);
        let length = u32::try_from(given.chars().count()).expect("short");
        if let Some(rich) = read.as_ref().ok().and_then(Content::rich) {
            let letters = |text: &str, meant: Vec<Vec<SpanKind>>| -> Vec<(char, Vec<SpanKind>)> {
                text.chars().zip(meant).filter(|(c, _)| !matches!(c, '\r' | '\n')).collect()
            };
            let kept = u32::try_from(rich.text().chars().count()).expect("shorter");
            prop_assert_eq!(
                letters(rich.text(), meaning(kept, rich.spans())),
                letters(&given, meaning(length, &spans))
            );
        } else {
            // Refused is what any letters in their place would be refused for, and two links on the halves of one.
            let plain = RichText::new(text(&given.replace(['\r', '\n'], "x")), spans);
            prop_assert!(plain.is_err() || given.contains("\r\n"));
        }
    }

    #[test]
    fn spans_stay_on_the_same_letters(old in "[ab🦀]{0,14}", new in "[ab🦀]{0,14}", spans in any_spans()) {
        if let Ok(rich) = RichText::new(text(&old), spans) {
            let now = rich.clone().with_text(text(&new));
            prop_assert_eq!(now.text(), &new);
            let letters = |text: &str, span: &Span| -> String {
                text.chars().take(span.end as usize).skip(span.start as usize).collect()
            };
            for span in now.spans() {
                let same = |was: &&Span| was.kind == span.kind && letters(&old, was).contains(&letters(&new, span));
                let joined = |_: &Span| rich.spans().iter().filter(|was| was.kind == span.kind).count() > 1;
                prop_assert!(rich.spans().iter().find(same).is_some() || joined(span));
            }
            prop_assert_eq!(rich.clone().with_text(text(&old)), rich);
        }
    }

    #[test]
    fn whatever_is_read_is_written_the_same(block_type in 0usize..10, mut content in any_json()) {
        let types = [
            BlockType::Text, BlockType::Header, BlockType::Task, BlockType::ListItem, BlockType::Quote, BlockType::Rule,
            BlockType::Code, BlockType::Image, BlockType::Table, BlockType::Raw,
        ];
        if let Ok(read) = Content::parse(types[block_type], content.clone()) {
            with_line_feeds(&mut content);
            let fields = content.as_object_mut().expect("nothing else is read");
            if read.rich().is_some() {
                fields.insert("spans".to_owned(), read.data()["spans"].clone());
            }
            if types[block_type] == BlockType::Code {
                fields.entry("language").or_insert(Value::Null);
            }
            prop_assert_eq!(read.data(), content);
        }
    }
}

/// The texts of a content as they are kept.
fn with_line_feeds(value: &mut Value) {
    if let Value::String(text) = value {
        *text = text.replace("\r\n", "\n").replace('\r', "\n");
    }
    value.as_array_mut().into_iter().flatten().for_each(with_line_feeds);
    value.as_object_mut().into_iter().flatten().for_each(|(_, value)| with_line_feeds(value));
}

/// JSON that is now and then a content.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => Just(json!("a")),
        1 => "[a\u{0}\r\n🦀]{0,3}".prop_map(Value::from),
        2 => (0u32..10).prop_map(Value::from),
        1 => Just(json!(1.5)),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(json!([])),
        1 => Just(json!([{"start": 0, "end": 1, "kind": "code"}])),
    ];
    let name = prop_oneof![
        Just("text"),
        Just("spans"),
        Just("level"),
        Just("depth"),
        Just("checked"),
        Just("ordered")
    ];
    let more =
        prop_oneof![Just("language"), Just("format"), Just("alt"), Just("src"), Just("rows"), Just("align")];
    proptest::collection::hash_map(prop_oneof![3 => name, 1 => more], leaf, 0..5)
        .prop_map(|fields| json!(fields))
}
