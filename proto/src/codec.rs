//! Frames to bytes and back, in JSON and in protobuf.

use std::fmt;
use std::marker::PhantomData;

use bytes::{BufMut, BytesMut};
use prost::Message as _;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

use crate::wire::{ClientFrame, ServerFrame, client_frame::Request};

/// The format of a connection's frames, chosen as its WebSocket subprotocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Text frames: `bobchat.v1.json`.
    Json,
    /// Binary frames: `bobchat.v1.proto`.
    Protobuf,
}

impl Format {
    /// Both, in the order of the server's preference when the client has none.
    pub const ALL: [Self; 2] = [Self::Json, Self::Protobuf];

    /// The name of the WebSocket subprotocol.
    pub const fn subprotocol(self) -> &'static str {
        match self {
            Self::Json => "bobchat.v1.json",
            Self::Protobuf => "bobchat.v1.proto",
        }
    }
}

/// Why bytes are not a frame. The connection stays usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DecodeError {
    /// For a person: 256 bytes of it at most, whatever it repeats of the input.
    pub message: String,
    /// The path of the field at fault, where it is known; in a client's frame from its request on. As long at most.
    pub field: Option<String>,
    /// The request's id, where it could be read: the error answers that request.
    pub id: Option<u64>,
}

/// Reads a frame that a client sent. `bytes` is bounded by the caller: decoding takes memory in
/// proportion to it and no more.
///
/// # Errors
/// [`DecodeError`] names the field and the request, where it can; answer with `invalid_request`.
pub fn decode_client_frame(bytes: &[u8], format: Format) -> Result<ClientFrame, DecodeError> {
    match format {
        Format::Json => decode_json(bytes).map_err(|error| DecodeError {
            id: salvage_id(bytes),
            field: error.field.map(without_request),
            ..error
        }),
        Format::Protobuf => ClientFrame::decode(bytes).map_err(|error| protobuf_error(&error)),
    }
}

/// Reads a frame that a server sent.
///
/// # Errors
/// [`DecodeError`] when it is not one of this protocol's version.
pub fn decode_server_frame(bytes: &[u8], format: Format) -> Result<ServerFrame, DecodeError> {
    match format {
        Format::Json => decode_json(bytes),
        Format::Protobuf => ServerFrame::decode(bytes).map_err(|error| protobuf_error(&error)),
    }
}

/// Appends a server's frame to `out`.
pub fn encode_server_frame(frame: &ServerFrame, format: Format, out: &mut BytesMut) {
    encode(frame, format, out);
}

/// Appends a client's frame to `out`.
pub fn encode_client_frame(frame: &ClientFrame, format: Format, out: &mut BytesMut) {
    encode(frame, format, out);
}

/// Reads a message of the protocol from JSON: the body of a REST request.
///
/// # Errors
/// [`DecodeError`] names the field.
pub fn decode_json<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, DecodeError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        // "." is the whole, "?" a place that was not reached: neither names a field.
        json_error(error.inner(), (path != "." && path != "?").then_some(path))
    })?;
    json.end().map_err(|error| json_error(&error, None))?;
    Ok(value)
}

fn encode<M: prost::Message + serde::Serialize>(frame: &M, format: Format, out: &mut BytesMut) {
    match format {
        Format::Json => {
            // Writing into memory cannot fail, and every value of a frame has a JSON form but a time
            // outside jiff's years -9999 to 9999, which no clock gives.
            let written = serde_json::to_writer((&mut *out).writer(), frame);
            debug_assert!(written.is_ok(), "a frame could not be written: {written:?}");
        }
        Format::Protobuf => {
            let written = frame.encode(out);
            debug_assert!(written.is_ok(), "BytesMut grows");
        }
    }
}

fn protobuf_error(error: &prost::DecodeError) -> DecodeError {
    let message = brief(format!("not a protobuf frame of this protocol: {error}"));
    DecodeError { message, field: None, id: None }
}

fn json_error(error: &serde_json::Error, field: Option<String>) -> DecodeError {
    let message = brief(format!("not a frame of this protocol: {error}"));
    DecodeError { message, field: field.map(brief), id: None }
}

/// What an error says of its input at most: serde repeats a wrong text whole, and longer than it was where it has to be
/// escaped. Nobody may make the server's answers and logs as long as they like.
const ERROR_BYTES_MAX: usize = 256;

/// Cuts what is too long, and says so.
fn brief(mut text: String) -> String {
    const CUT: &str = "..";
    if text.len() > ERROR_BYTES_MAX {
        let end = (0..=ERROR_BYTES_MAX.saturating_sub(CUT.len())).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or_default());
        text.push_str(CUT);
    }
    text
}

/// The path of a field from the request on: the same request in REST has no frame around it.
fn without_request(path: String) -> String {
    match path.split_once('.') {
        Some((_, field)) => field.to_owned(),
        None => path,
    }
}

/// Reads the id of a frame that is otherwise wrong, so that the error can answer it.
fn salvage_id(bytes: &[u8]) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct IdOnly {
        id: Option<u64>,
    }
    serde_json::from_slice::<IdOnly>(bytes).ok()?.id
}

/// Reads `{"id": 1, "<request>": {..}}` strictly and without buffering: unknown names are errors, so
/// that a misspelt request is told and not taken for an empty one.
macro_rules! client_frame_from_json {
    ($($name:literal => $variant:ident,)+) => {
        impl ClientFrame {
            /// The name of every request, as it stands in JSON.
            pub const REQUESTS: &'static [&'static str] = &[$($name,)+];
        }

        impl Request {
            /// The request's name, as it stands in JSON.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name,)+ }
            }
        }

        impl<'de> Visitor<'de> for ClientFrameVisitor {
            type Value = ClientFrame;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with `id` and one request")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ClientFrame, A::Error> {
                let mut frame = ClientFrame::default();
                while let Some(FieldName(name)) = map.next_key()? {
                    let request = match name {
                        "id" => {
                            frame.id = map.next_value()?;
                            continue;
                        }
                        $($name => Request::$variant(map.next_value::<Object<_>>()?.0),)+
                        other => return Err(A::Error::unknown_field(other, FieldName::ALL)),
                    };
                    if frame.request.replace(request).is_some() {
                        return Err(A::Error::custom("two requests in one frame"));
                    }
                }
                Ok(frame)
            }
        }

        impl FieldName {
            const ALL: &'static [&'static str] = &["id", $($name,)+];
        }
    };
}

struct ClientFrameVisitor;

/// A request that is written as an object. Serde would also take a list, field by field in the order of the
/// schema, which no client should come to rely on.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// A name that a client's frame may hold. An unknown one fails while the name itself is read, which is
/// what lets the error say its path.
struct FieldName(&'static str);

impl<'de> Deserialize<'de> for FieldName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_identifier(FieldNameVisitor)
    }
}

struct FieldNameVisitor;

impl Visitor<'_> for FieldNameVisitor {
    type Value = FieldName;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`id` or the name of a request")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<FieldName, E> {
        let known = FieldName::ALL.iter().find(|name| **name == text);
        known.map(|name| FieldName(name)).ok_or_else(|| E::unknown_field(text, FieldName::ALL))
    }
}

client_frame_from_json! {
    "auth" => Auth,
    "auth_renew" => AuthRenew,
    "ping" => Ping,
    "message_send" => MessageSend,
    "message_history" => MessageHistory,
    "subscribe" => Subscribe,
    "unsubscribe" => Unsubscribe,
    "typing" => Typing,
    "room_create" => RoomCreate,
    "room_get" => RoomGet,
    "room_list" => RoomList,
    "room_search" => RoomSearch,
    "room_update" => RoomUpdate,
    "room_join" => RoomJoin,
    "room_invite" => RoomInvite,
    "room_leave" => RoomLeave,
    "room_members" => RoomMembers,
    "room_presence" => RoomPresence,
    "room_events" => RoomEvents,
    "user_get" => UserGet,
}

impl<'de> Deserialize<'de> for ClientFrame {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ClientFrameVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::MessageSend;

    #[test]
    fn a_request_reads_as_a_person_would_type_it() {
        let typed = br#"{"id": 7, "message_send": {"room": "42", "key": "k-1", "text": "hi"}}"#;
        let expected = MessageSend { room: 42, key: "k-1".into(), text: "hi".into(), made_at: None };
        assert_eq!(
            decode_client_frame(typed, Format::Json),
            Ok(ClientFrame { id: 7, request: Some(Request::MessageSend(expected)) })
        );
    }

    #[test]
    fn errors_name_the_field_and_answer_the_request() {
        let cases = [
            (r#"{"id":7,"message_send":{"room":42}}"#, Some("room"), Some(7)),
            (r#"{"id":7,"message_send":{"room":"42","txet":"hi"}}"#, Some("txet"), Some(7)),
            (r#"{"id":7,"auth":{"token":"t","cursors":[{"room":"1"},{"room":1}]}}"#, Some("cursors[1].room"), Some(7)),
            (r#"{"id":7,"message_send":["42","k","hi"]}"#, Some("message_send"), Some(7)),
            (r#"{"id":7,"shout":{}}"#, Some("shout"), Some(7)),
            (r#"{"id":"seven","ping":{}}"#, Some("id"), None),
            (r#"{"id":7,"ping":{},"typing":{"room":"1"}}"#, None, Some(7)),
            (r#"{"id":7,"ping":{}} {}"#, None, None),
            ("", None, None),
            ("[]", None, None),
        ];
        for (typed, field, id) in cases {
            let error = decode_client_frame(typed.as_bytes(), Format::Json).unwrap_err();
            assert_eq!((error.field.as_deref(), error.id), (field, id), "{typed}: {error}");
        }
    }
}
