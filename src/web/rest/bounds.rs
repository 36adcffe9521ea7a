//! What the types of the API do not say: how identifiers are written, how long texts and how large numbers may be.
//! Added to the OpenAPI document in one place, from the limits that hold.

use bobchat_proto::limits::{
    KEY_LENGTH_MAX, MESSAGE_GRAPHEMES_MAX, PAGE_ITEMS_MAX, ROOM_NAME_CHARS_MAX, ROOM_TOPIC_CHARS_MAX, USER_GET_MAX,
    USER_NAME_CHARS_MAX,
};
use serde_json::{Map, Value, json};

/// An identifier: from 1 to 9223372036854775807, without sign or leading zero. The last tenth of the range is left
/// out, which no identifier reaches for decades: spelt out digit by digit nobody could read it.
const IDENTIFIER: &str = "([1-9][0-9]{0,17}|[1-8][0-9]{18})";

/// A text that has something to see.
const VISIBLE: &str = r"[^\s\u0000-\u001F\u007F-\u009F]";

/// Texts of bodies, and how many characters they have at least and at most.
const TEXTS: [(&str, &str, usize, usize); 6] = [
    ("GuestCreate", "name", 1, USER_NAME_CHARS_MAX),
    ("NewMessage", "text", 1, MESSAGE_GRAPHEMES_MAX),
    ("NewRoom", "name", 1, ROOM_NAME_CHARS_MAX),
    ("NewRoom", "topic", 0, ROOM_TOPIC_CHARS_MAX),
    ("RoomChange", "name", 1, ROOM_NAME_CHARS_MAX),
    ("RoomChange", "topic", 0, ROOM_TOPIC_CHARS_MAX),
];

/// Adds the bounds to a document.
pub(super) fn add(document: &mut Value) {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    let operations = paths.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut);
    for operation in operations.flat_map(Map::values_mut) {
        let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
        parameters.into_iter().flatten().for_each(bound_parameter);
    }
    for (schema, property, least, most) in TEXTS {
        if let Some(text) = property_of(document, schema, property) {
            text.insert("minLength".to_owned(), json!(least));
            text.insert("maxLength".to_owned(), json!(most));
            if least > 0 {
                text.insert("pattern".to_owned(), json!(VISIBLE));
            }
        }
    }
    if let Some(user) = property_of(document, "Invitation", "user") {
        user.insert("pattern".to_owned(), json!(format!("^{IDENTIFIER}$")));
    }
}

fn property_of<'a>(document: &'a mut Value, schema: &str, property: &str) -> Option<&'a mut Map<String, Value>> {
    document.pointer_mut(&format!("/components/schemas/{schema}/properties/{property}"))?.as_object_mut()
}

fn bound_parameter(parameter: &mut Value) {
    let name = parameter.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let Some(schema) = parameter.get_mut("schema").and_then(Value::as_object_mut) else { return };
    let is_text = schema.get("type").is_some_and(|kind| kind == "string");
    match name.as_str() {
        "room" => set(schema, "pattern", json!(format!("^{IDENTIFIER}$"))),
        // Elsewhere it is a seq.
        "after" if is_text => set(schema, "pattern", json!(format!("^{IDENTIFIER}$"))),
        "ids" => {
            let others = USER_GET_MAX - 1;
            set(schema, "pattern", json!(format!("^{IDENTIFIER}(,{IDENTIFIER}){{0,{others}}}$")));
        }
        "limit" => {
            set(schema, "minimum", json!(1));
            set(schema, "maximum", json!(PAGE_ITEMS_MAX));
        }
        "Idempotency-Key" => {
            // A header is there or not; keys that begin with ~ are the server's own.
            set(schema, "type", json!("string"));
            set(schema, "pattern", json!(format!("^[!-}}][!-~]{{0,{}}}$", KEY_LENGTH_MAX - 1)));
        }
        _ => {}
    }
}

fn set(schema: &mut Map<String, Value>, key: &str, value: Value) {
    schema.insert(key.to_owned(), value);
}
