use bobchat_proto::codec::{
    DecodeError, Format, decode_client_frame, decode_server_frame, encode_client_frame, encode_server_frame,
};
use bobchat_proto::limits::FRAME_BYTES_MAX;
use bobchat_proto::wire::{ClientFrame, ServerFrame};
use bytes::BytesMut;

/// A frame in JSON, of either side.
///
/// Held: what is read survives both formats, and what is refused is told in few words that name no more of it than
/// a field.
pub(super) fn json_envelope(bytes: &[u8]) {
    let bytes = bytes.get(..FRAME_BYTES_MAX).unwrap_or(bytes);
    match decode_client_frame(bytes, Format::Json) {
        Ok(frame) => Format::ALL.into_iter().for_each(|format| client_survives(&frame, format)),
        Err(error) => is_brief(&error),
    }
    if let Ok(frame) = decode_server_frame(bytes, Format::Json) {
        Format::ALL.into_iter().for_each(|format| server_survives(&frame, format));
    }
}

/// A frame in protobuf, of either side. Held as for JSON, but that protobuf carries values that JSON has no form for:
/// they are refused further in.
pub(super) fn protobuf_envelope(bytes: &[u8]) {
    let bytes = bytes.get(..FRAME_BYTES_MAX).unwrap_or(bytes);
    match decode_client_frame(bytes, Format::Protobuf) {
        Ok(frame) => client_survives(&frame, Format::Protobuf),
        Err(error) => is_brief(&error),
    }
    if let Ok(frame) = decode_server_frame(bytes, Format::Protobuf) {
        server_survives(&frame, Format::Protobuf);
    }
}

fn client_survives(frame: &ClientFrame, format: Format) {
    let mut out = BytesMut::new();
    encode_client_frame(frame, format, &mut out);
    if format != Format::Json || !names_nothing(&out) {
        assert_eq!(decode_client_frame(&out, format).as_ref(), Ok(frame), "in {format:?}");
    }
}

fn server_survives(frame: &ServerFrame, format: Format) {
    let mut out = BytesMut::new();
    encode_server_frame(frame, format, &mut out);
    if format != Format::Json || !names_nothing(&out) {
        assert_eq!(decode_server_frame(&out, format).as_ref(), Ok(frame), "in {format:?}");
    }
}

/// Whether an identifier is zero: one that was left out is, which is refused further in. Written out, JSON refuses it.
fn names_nothing(json: &[u8]) -> bool {
    const ZERO: &[u8] = b"\"0\"";
    json.windows(ZERO.len()).any(|part| part == ZERO)
}

/// An error that repeats its input would let a client make the server's answers, and its logs, as long as it likes.
fn is_brief(error: &DecodeError) {
    let field = error.field.as_ref().map_or(0, String::len);
    assert!(error.message.len() <= 256, "{} bytes of error", error.message.len());
    assert!(field <= 256, "{field} bytes of field");
}
