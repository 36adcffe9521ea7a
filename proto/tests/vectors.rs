//! Runs the golden vectors: each frame of `vectors/` as JSON and as protobuf, written and read. The
//! browser client runs the same files, so the two sides cannot drift apart.
//!
//! The JSON of a vector is written by hand, and the protobuf of those that stand here was made by
//! another implementation, not by the code that they test. A new one may leave `protobuf` empty: the
//! failing test says what this codec would write, to be checked and pasted.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod schema;

use std::collections::BTreeSet;
use std::fmt::Debug;

use bobchat_proto::codec::{
    DecodeError, Format, decode_client_frame, decode_server_frame, encode_client_frame, encode_server_frame,
};
use bobchat_proto::wire::{ClientFrame, ServerFrame};
use bytes::BytesMut;
use protox::prost_reflect::{DynamicMessage, Kind, MessageDescriptor, Value};

/// One frame in both formats.
#[derive(serde::Deserialize)]
struct Vector {
    name: String,
    json: serde_json::Value,
    protobuf: String,
}

impl Vector {
    fn protobuf(&self) -> Vec<u8> {
        assert!(self.protobuf.len().is_multiple_of(2), "{}: half a byte", self.name);
        let digits = |at| u8::from_str_radix(&self.protobuf[at..at + 2], 16).expect("hexadecimal digits");
        (0..self.protobuf.len()).step_by(2).map(digits).collect()
    }
}

fn vectors(text: &str) -> Vec<Vector> {
    serde_json::from_str(text).expect("the vectors are JSON")
}

fn client_vectors() -> Vec<Vector> {
    vectors(include_str!("../vectors/client.json"))
}

fn server_vectors() -> Vec<Vector> {
    vectors(include_str!("../vectors/server.json"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads and writes one vector in both formats with the codec of its side.
fn run<F: PartialEq + Debug>(
    vector: &Vector,
    decode: impl Fn(&[u8], Format) -> Result<F, DecodeError>,
    encode: impl Fn(&F, Format, &mut BytesMut),
) {
    let name = &vector.name;
    let written = |frame: &F, format| {
        let mut out = BytesMut::new();
        encode(frame, format, &mut out);
        out
    };
    let typed = serde_json::to_vec(&vector.json).expect("a value can be written");
    let from_json = decode(&typed, Format::Json).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(hex(&written(&from_json, Format::Protobuf)), vector.protobuf, "{name}: as protobuf");

    let from_protobuf = decode(&vector.protobuf(), Format::Protobuf).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(from_protobuf, from_json, "{name}: both formats hold the same frame");
    let json: serde_json::Value =
        serde_json::from_slice(&written(&from_protobuf, Format::Json)).expect("the codec writes JSON");
    assert_eq!(json, vector.json, "{name}: as JSON");
}

#[test]
fn client_frames_are_read_and_written_as_the_vectors_say() {
    for vector in client_vectors() {
        run::<ClientFrame>(&vector, decode_client_frame, encode_client_frame);
    }
}

#[test]
fn server_frames_are_read_and_written_as_the_vectors_say() {
    for vector in server_vectors() {
        run::<ServerFrame>(&vector, decode_server_frame, encode_server_frame);
    }
}

#[test]
fn every_vector_has_a_name_of_its_own() {
    for vectors in [client_vectors(), server_vectors()] {
        let names: BTreeSet<_> = vectors.iter().map(|vector| &vector.name).collect();
        assert_eq!(names.len(), vectors.len());
    }
}

#[test]
fn every_request_has_at_least_two_vectors() {
    let vectors = client_vectors();
    for request in ClientFrame::REQUESTS {
        let count = vectors.iter().filter(|vector| vector.json.get(request).is_some()).count();
        assert!(count >= 2, "{request} has {count} vectors in vectors/client.json");
    }
}

#[test]
fn every_field_and_every_name_of_the_schema_stands_in_a_vector() {
    for (frame, vectors) in [("ClientFrame", client_vectors()), ("ServerFrame", server_vectors())] {
        let descriptor = schema::message(frame);
        let mut missing = BTreeSet::new();
        demand(&descriptor, &mut missing);
        for vector in &vectors {
            let frame = DynamicMessage::decode(descriptor.clone(), vector.protobuf().as_slice());
            strike(&frame.expect("the vector is a frame"), &mut missing);
        }
        assert!(missing.is_empty(), "no vector of {frame} holds: {missing:#?}");
    }
}

/// Adds every field of the message, and of those inside it, and every name of its enums.
fn demand(message: &MessageDescriptor, all: &mut BTreeSet<String>) {
    for field in message.fields() {
        if !all.insert(field.full_name().to_owned()) {
            continue;
        }
        match field.kind() {
            Kind::Message(inner) => demand(&inner, all),
            Kind::Enum(names) => {
                // 0 says nothing: it is what absence reads as.
                all.extend(names.values().filter(|name| name.number() != 0).map(|name| name.full_name().to_owned()));
            }
            _ => {}
        }
    }
}

/// Strikes out what the message holds.
fn strike(message: &DynamicMessage, missing: &mut BTreeSet<String>) {
    for (field, value) in message.fields() {
        missing.remove(field.full_name());
        let values = match value {
            Value::List(values) => values.as_slice(),
            one => std::slice::from_ref(one),
        };
        for value in values {
            match (value, field.kind()) {
                (Value::Message(inner), _) => strike(inner, missing),
                (Value::EnumNumber(number), Kind::Enum(names)) => {
                    let name = names.get_value(*number).expect("the vector uses names that exist");
                    missing.remove(name.full_name());
                }
                _ => {}
            }
        }
    }
}
