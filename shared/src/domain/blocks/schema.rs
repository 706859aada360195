//! What blocks look like, for the description of the API: each type with the one form of its content, and every limit
//! that [`Content::parse`](super::Content::parse) holds it to, as far as JSON Schema can say it.

use serde_json::{Map, Value, json};
use strum::VariantArray;
use utoipa::PartialSchema;
use utoipa::openapi::schema::{Object, OneOf};
use utoipa::openapi::{Ref, RefOr, Schema};

use super::address::Address;
use super::table::{Align, MOST_COLUMNS, MOST_ROWS};
use super::values::{Alt, BlockText, Depth, Format, HeaderLevel, Language, QuoteDepth};
use super::{BlockType, MOST_SPANS};

/// The forms that several contents share, by their names in the description.
pub fn components() -> Vec<(String, RefOr<Schema>)> {
    let contents =
        BlockType::VARIANTS.iter().map(|block_type| (content_name(*block_type), content(*block_type)));
    let shared = [
        ("blocks.RichText".to_owned(), rich_text()),
        ("blocks.Span".to_owned(), span()),
        ("blocks.Source".to_owned(), source()),
    ];
    contents.chain(shared).map(|(name, schema)| (name, read(schema))).collect()
}

/// An object with the fields `type` and `content`, with one form for each type of block.
pub fn of_each_type(object: &Object) -> OneOf {
    let form = |block_type: &BlockType| {
        let mut form = object.clone();
        let r#type = json!({"type": "string", "enum": [block_type.as_ref()]});
        form.properties.insert("type".to_owned(), read(r#type));
        let content = Ref::from_schema_name(content_name(*block_type));
        form.properties.insert("content".to_owned(), content.into());
        form.description = None;
        Schema::Object(form).into()
    };
    let mut forms = OneOf::new();
    forms.items = BlockType::VARIANTS.iter().map(form).collect();
    forms.description.clone_from(&object.description);
    forms
}

/// Fields of a content of whatever type, each of them optional: what a change may bring.
pub fn any_content() -> RefOr<Schema> {
    let mut all = Map::new();
    for block_type in BlockType::VARIANTS {
        if let Value::Object(content) = content(*block_type)
            && let Some(Value::Object(fields)) = content.get("properties").cloned()
        {
            all.extend(fields);
        }
    }
    // Both kinds of depth, of which this is the wider one.
    all.insert("depth".to_owned(), json!(Depth::schema()));
    read(json!({"type": "object", "properties": all, "additionalProperties": false}))
}

fn content_name(block_type: BlockType) -> String {
    let name: String = block_type.as_ref().split('_').map(capitalized).collect();
    format!("blocks.{name}Content")
}

fn capitalized(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    format!("{}{rest}", first.to_ascii_uppercase())
}

/// The content of a block of this type.
pub(super) fn content(block_type: BlockType) -> Value {
    match block_type {
        BlockType::Text => rich(&json!({})),
        BlockType::Header => rich(&json!({"level": HeaderLevel::schema()})),
        BlockType::Task => rich(&json!({"checked": {"type": "boolean"}, "depth": Depth::schema()})),
        BlockType::ListItem => rich(&json!({"ordered": {"type": "boolean"}, "depth": Depth::schema()})),
        BlockType::Quote => rich(&json!({"depth": QuoteDepth::schema()})),
        BlockType::Rule => form(&json!({}), &[]),
        BlockType::Code => {
            let language = json!({"oneOf": [Language::schema(), {"type": "null"}]});
            form(&json!({"language": language, "text": text()}), &["language"])
        }
        BlockType::Image => form(&json!({"src": reference("blocks.Source"), "alt": Alt::schema()}), &[]),
        BlockType::Table => form(&json!({"align": aligns(), "rows": rows()}), &[]),
        BlockType::Raw => form(&json!({"format": Format::schema(), "text": text()}), &[]),
    }
}

/// A form with a text and its spans besides the fields.
fn rich(fields: &Value) -> Value {
    let mut form = form(fields, &[]);
    form["properties"]["text"] = text();
    form["properties"]["spans"] = json!({
        "type": "array", "items": reference("blocks.Span"), "maxItems": MOST_SPANS,
        "description": "Absent: none.",
    });
    if let Some(required) = form["required"].as_array_mut() {
        required.push("text".into());
    }
    form
}

fn rich_text() -> Value {
    rich(&json!({}))
}

fn span() -> Value {
    let plain = json!({"type": "string", "enum": ["bold", "italic", "underline", "strike", "code"]});
    let of_kind = |kind: &str, more: Value| {
        let mut form = placed(&json!({"type": "string", "enum": [kind]}));
        if let (Value::Object(more), Some(fields)) = (more, form["properties"].as_object_mut()) {
            fields.extend(more);
        }
        closed(form)
    };
    json!({
        "description": "A part of a text that is more than text.",
        "oneOf": [
            closed(placed(&plain)),
            of_kind("link", json!({"href": Address::schema()})),
            of_kind("image", json!({"src": reference("blocks.Source"), "alt": Alt::schema()})),
        ],
    })
}

fn placed(kind: &Value) -> Value {
    let place = |description: &str, minimum: u8| json!({"type": "integer", "format": "int32", "minimum": minimum, "maximum": u32::MAX, "description": description});
    json!({"type": "object", "properties": {
        "start": place("Its first character, counted from 0 in Unicode scalar values.", 0),
        "end": place("The character after its last one.", 1),
        "kind": kind,
    }})
}

fn source() -> Value {
    json!({
        "description": "Where an image comes from: bytes that are kept here, or an address.",
        "oneOf": [
            form(&json!({"blob": {"type": "string", "format": "uuid"}}), &[]),
            form(&json!({"url": Address::schema()}), &[]),
        ],
    })
}

fn aligns() -> Value {
    json!({"type": "array", "items": Align::schema(), "minItems": 1, "maxItems": MOST_COLUMNS,
        "description": "One for each column."})
}

fn rows() -> Value {
    let row = json!({"type": "array", "items": reference("blocks.RichText"), "minItems": 1, "maxItems": MOST_COLUMNS});
    json!({"type": "array", "items": row, "minItems": 1, "maxItems": MOST_ROWS,
        "description": "The first row is the head. Every row has as many cells as there are columns."})
}

fn text() -> Value {
    json!(BlockText::schema())
}

fn reference(name: &str) -> Value {
    json!(Ref::from_schema_name(name))
}

/// An object with these fields and no others. All but the `optional` ones are needed.
fn form(fields: &Value, optional: &[&str]) -> Value {
    let mut form = closed(json!({"type": "object", "properties": fields}));
    if let Some(required) = form["required"].as_array_mut() {
        required.retain(|name| !optional.iter().any(|optional| name == optional));
    }
    form
}

fn closed(mut form: Value) -> Value {
    let names = form["properties"].as_object().into_iter().flat_map(Map::keys).cloned().collect::<Vec<_>>();
    form["required"] = names.into();
    form["additionalProperties"] = false.into();
    form
}

fn read(schema: Value) -> RefOr<Schema> {
    serde_json::from_value(schema)
        .expect("each schema is written in this file, and the description's test reads it")
}
