//! Properties of the codec over frames made from the schema itself: every frame survives both formats,
//! and no bytes whatever make a decoder panic.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod schema;

use bobchat_proto::codec::{
    Format, decode_client_frame, decode_server_frame, encode_client_frame, encode_server_frame,
};
use bobchat_proto::wire::{ClientFrame, ServerFrame};
use bytes::BytesMut;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use prost::Message as _;
use protox::prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

/// The times that have a JSON form, in microseconds: jiff's years -9999 to 9999.
const TIME_MICROS_MIN: i64 = -377_705_023_201_000_000;
const TIME_MICROS_MAX: i64 = 253_402_207_200_000_000;

type Field = Option<(FieldDescriptor, Value)>;

/// Any message of this kind: each field present or not, one field of each `oneof` or none.
fn any_message(message: &MessageDescriptor) -> BoxedStrategy<DynamicMessage> {
    let alone = message.fields().filter(|field| !is_choice(field)).map(|field| any_field(&field));
    let choices = message.oneofs().filter(|choice| !choice.is_synthetic()).map(|choice| {
        let fields: Vec<_> = choice.fields().map(|field| present(&field)).collect();
        option::weighted(0.95, proptest::strategy::Union::new(fields)).prop_map(Option::flatten).boxed()
    });
    let fields: Vec<BoxedStrategy<Field>> = alone.chain(choices).collect();
    let message = message.clone();
    fields
        .prop_map(move |fields| {
            let mut made = DynamicMessage::new(message.clone());
            fields.into_iter().flatten().for_each(|(field, value)| made.set_field(&field, value));
            made
        })
        .boxed()
}

fn is_choice(field: &FieldDescriptor) -> bool {
    field.containing_oneof().is_some_and(|choice| !choice.is_synthetic())
}

/// A field that may be absent where its absence differs from its default. An identifier that is always
/// there is: 0 is no identifier, and JSON refuses it.
fn any_field(field: &FieldDescriptor) -> BoxedStrategy<Field> {
    if field.supports_presence() { prop_oneof![1 => Just(None), 2 => present(field)].boxed() } else { present(field) }
}

fn present(field: &FieldDescriptor) -> BoxedStrategy<Field> {
    let value = if field.is_list() {
        vec(any_value(&field.kind()), 0..4).prop_map(Value::List).boxed()
    } else {
        any_value(&field.kind())
    };
    let field = field.clone();
    value.prop_map(move |value| Some((field.clone(), value))).boxed()
}

fn any_value(kind: &Kind) -> BoxedStrategy<Value> {
    match kind {
        Kind::Fixed64 => edges(1, i64::MAX as u64, 1..=u64::MAX).prop_map(Value::U64).boxed(),
        Kind::Uint64 => edges(0, 1 << 53, 0..=u64::MAX).prop_map(Value::U64).boxed(),
        Kind::Int64 => edges(0, TIME_MICROS_MAX, TIME_MICROS_MIN..=TIME_MICROS_MAX).prop_map(Value::I64).boxed(),
        Kind::Uint32 => any::<u32>().prop_map(Value::U32).boxed(),
        Kind::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Kind::String => vec(any::<char>(), 0..12).prop_map(|chars| Value::String(chars.into_iter().collect())).boxed(),
        Kind::Enum(names) => {
            let numbers: Vec<_> = names.values().map(|name| Value::EnumNumber(name.number())).collect();
            select(numbers).boxed()
        }
        Kind::Message(inner) => any_message(inner).prop_map(Value::Message).boxed(),
        other => panic!("the schema uses {other:?}: say how to make one and what its JSON form is"),
    }
}

/// Mostly the range, often its interesting ends.
fn edges<T>(low: T, high: T, range: std::ops::RangeInclusive<T>) -> impl Strategy<Value = T>
where
    T: Copy + std::fmt::Debug + 'static,
    std::ops::RangeInclusive<T>: Strategy<Value = T>,
{
    prop_oneof![1 => Just(low), 1 => Just(high), 4 => range]
}

fn client_frame() -> impl Strategy<Value = ClientFrame> {
    any_message(&schema::message("ClientFrame"))
        .prop_map(|made| ClientFrame::decode(made.encode_to_vec().as_slice()).expect("the schema's own bytes"))
}

fn server_frame() -> impl Strategy<Value = ServerFrame> {
    any_message(&schema::message("ServerFrame"))
        .prop_map(|made| ServerFrame::decode(made.encode_to_vec().as_slice()).expect("the schema's own bytes"))
}

fn format() -> impl Strategy<Value = Format> {
    select(&Format::ALL[..])
}

fn client_bytes(frame: &ClientFrame, format: Format) -> BytesMut {
    let mut out = BytesMut::new();
    encode_client_frame(frame, format, &mut out);
    out
}

fn server_bytes(frame: &ServerFrame, format: Format) -> BytesMut {
    let mut out = BytesMut::new();
    encode_server_frame(frame, format, &mut out);
    out
}

/// Decodes as both sides and in both formats: what it says does not matter, that it says something does.
fn decode_as_everything(bytes: &[u8]) {
    for format in Format::ALL {
        let _outcome = decode_client_frame(bytes, format);
        let _outcome = decode_server_frame(bytes, format);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_client_frame_survives_both_formats(frame in client_frame(), format in format()) {
        prop_assert_eq!(decode_client_frame(&client_bytes(&frame, format), format), Ok(frame));
    }

    #[test]
    fn a_server_frame_survives_both_formats(frame in server_frame(), format in format()) {
        prop_assert_eq!(decode_server_frame(&server_bytes(&frame, format), format), Ok(frame));
    }

    #[test]
    fn json_cut_short_is_never_a_frame(frame in client_frame(), cut in any::<Index>()) {
        let bytes = client_bytes(&frame, Format::Json);
        let shorter = bytes.get(..cut.index(bytes.len())).unwrap_or_default();
        prop_assert!(decode_client_frame(shorter, Format::Json).is_err());
    }

    #[test]
    fn frames_cut_short_never_panic(client in client_frame(), server in server_frame(), cut in any::<Index>()) {
        for format in Format::ALL {
            for bytes in [client_bytes(&client, format), server_bytes(&server, format)] {
                decode_as_everything(bytes.get(..cut.index(bytes.len() + 1)).unwrap_or_default());
            }
        }
    }

    #[test]
    fn a_frame_with_a_changed_byte_never_panics(frame in client_frame(), at in any::<Index>(), byte in any::<u8>()) {
        for format in Format::ALL {
            let mut bytes = client_bytes(&frame, format);
            let length = bytes.len();
            if let Some(place) = bytes.get_mut(at.index(length.max(1))) {
                *place = byte;
            }
            decode_as_everything(&bytes);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..256)) {
        decode_as_everything(&bytes);
    }
}
