//! Each rule of the guard, then what holds for all bytes however they are cut.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

const SMALL: Limits = Limits { message_bytes_max: 1024, fragments_max: 8 };
const MASK: [u8; 4] = [0xA5, 0x00, 0xFF, 0x3C];

/// A frame with its final bit and opcode as `first`, masked and of the shortest length.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..126 => bytes.push(0x80 | length as u8),
        length @ 126..65_536 => {
            bytes.push(0x80 | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ MASK[at % 4]));
    bytes
}

/// The head of a frame that declares `length` and never sends it, without the masking key.
fn declaring(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first, 0x80 | 127];
    bytes.extend(length.to_be_bytes());
    bytes
}

fn text(payload: &str) -> Incoming {
    Incoming::Text(Bytes::copy_from_slice(payload.as_bytes()))
}

fn binary(payload: &[u8]) -> Incoming {
    Incoming::Binary(Bytes::copy_from_slice(payload))
}

/// Feeds `pieces` one by one; everything that came out, and the violation that ended it.
fn feed(limits: Limits, pieces: &[&[u8]]) -> (Vec<Incoming>, Option<Violation>) {
    let mut guard = Guard::new(limits);
    let mut all = Vec::new();
    for piece in pieces {
        let mut input = BytesMut::from(*piece);
        loop {
            match guard.next(&mut input) {
                Ok(Some(incoming)) => all.push(incoming),
                Ok(None) => break,
                Err(violation) => return (all, Some(violation)),
            }
            assert!(guard.buffered_bytes() <= limits.message_bytes_max);
        }
        assert!(input.is_empty(), "what is not complete is kept by the guard");
        assert!(guard.buffered_bytes() <= limits.message_bytes_max + 125, "{}", guard.buffered_bytes());
        assert!(!guard.is_idle() || guard.buffered_bytes() == 0);
    }
    (all, None)
}

fn messages(bytes: &[u8]) -> Vec<Incoming> {
    let (all, violation) = feed(SMALL, &[bytes]);
    assert_eq!(violation, None);
    all
}

fn violation(bytes: &[u8]) -> Violation {
    let whole = feed(SMALL, &[bytes]);
    let by_byte: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(feed(SMALL, &by_byte), whole, "byte by byte");
    whole.1.expect("the bytes break a rule")
}

#[test]
fn whole_frames_are_read_one_after_the_other() {
    let mut bytes = frame(0x81, b"hello");
    bytes.extend(frame(0x82, &[0, 1, 2]));
    bytes.extend(frame(0x89, b"are you there"));
    bytes.extend(frame(0x8A, b""));
    bytes.extend(frame(0x81, b""));
    let expected = [
        text("hello"),
        binary(&[0, 1, 2]),
        Incoming::Ping(Bytes::from_static(b"are you there")),
        Incoming::Pong(Bytes::new()),
        text(""),
    ];
    assert_eq!(messages(&bytes), expected);
}

#[test]
fn every_form_of_a_length_is_read() {
    for length in [0, 125, 126, 127, 65_535, 65_536, 70_000] {
        let payload: Vec<u8> = (0..length).map(|at| at as u8).collect();
        let roomy = Limits { message_bytes_max: 100_000, fragments_max: 1 };
        assert_eq!(feed(roomy, &[&frame(0x82, &payload)]), (vec![binary(&payload)], None), "{length}");
    }
}

#[test]
fn a_message_in_one_piece_is_a_slice_of_the_read_buffer() {
    let mut input = BytesMut::from(frame(0x82, &[7; 100]).as_slice());
    let place = input[6..].as_ptr();
    let mut guard = Guard::new(SMALL);
    let Ok(Some(Incoming::Binary(payload))) = guard.next(&mut input) else { panic!("a whole message") };
    assert_eq!(payload.as_ptr(), place);
    assert_eq!(guard.buffered_bytes(), 0);
}

#[test]
fn fragments_become_one_message_with_control_frames_between_them() {
    let mut bytes = frame(0x01, b"one ");
    bytes.extend(frame(0x89, b"p"));
    bytes.extend(frame(0x00, b""));
    bytes.extend(frame(0x00, b"two "));
    bytes.extend(frame(0x8A, b"q"));
    bytes.extend(frame(0x80, b"three"));
    let ping = Incoming::Ping(Bytes::from_static(b"p"));
    let pong = Incoming::Pong(Bytes::from_static(b"q"));
    assert_eq!(messages(&bytes), [ping, pong, text("one two three")]);
}

#[test]
fn a_terabyte_is_refused_when_it_is_declared() {
    let mut guard = Guard::new(Limits::SIGNED_IN);
    let mut input = BytesMut::from(declaring(0x82, 1 << 40).as_slice());
    assert_eq!(guard.next(&mut input), Err(Violation::TooLarge));
    assert_eq!(guard.buffered_bytes(), 0);
    assert_eq!(Violation::TooLarge.close_code(), CloseCode::TooLarge);
}

#[test]
fn a_declared_length_takes_no_memory_before_its_bytes_come() {
    let mut guard = Guard::new(Limits::SIGNED_IN);
    let mut bytes = declaring(0x82, 65_536);
    bytes.extend(MASK);
    bytes.extend([1; 10]);
    assert_eq!(guard.next(&mut BytesMut::from(bytes.as_slice())), Ok(None));
    assert_eq!(guard.buffered_bytes(), 10);
}

#[test]
fn the_limit_counts_all_fragments_together() {
    let mut bytes = frame(0x02, &[0; 1000]);
    bytes.extend(frame(0x00, &[0; 24]));
    let mut over = bytes.clone();
    bytes.extend(frame(0x80, &[]));
    assert_eq!(messages(&bytes), [binary(&[0; 1024])]);
    over.extend(frame(0x80, &[0]));
    assert_eq!(violation(&over), Violation::TooLarge);
}

#[test]
fn endless_empty_fragments_are_refused() {
    let mut bytes = frame(0x01, b"");
    for _ in 0..SMALL.fragments_max {
        bytes.extend(frame(0x00, b""));
    }
    assert_eq!(violation(&bytes), Violation::TooManyFragments);
}

#[test]
fn limits_change_from_the_next_frame_on() {
    let mut guard = Guard::new(Limits::BEFORE_AUTH);
    let large = frame(0x82, &vec![0; limits::FRAME_BYTES_MAX]);
    guard.set_limits(Limits::SIGNED_IN);
    assert!(matches!(guard.next(&mut BytesMut::from(large.as_slice())), Ok(Some(_))));
    guard.set_limits(Limits::BEFORE_AUTH);
    assert_eq!(guard.next(&mut BytesMut::from(large.as_slice())), Err(Violation::TooLarge));
}

#[test]
fn heads_that_break_the_rules_are_protocol_errors() {
    let cases: [(&[u8], Violation); 16] = [
        (&[0xC1], Violation::ReservedBits),
        (&[0xA1], Violation::ReservedBits),
        (&[0x91], Violation::ReservedBits),
        (&[0x83], Violation::ReservedOpcode),
        (&[0x87], Violation::ReservedOpcode),
        (&[0x8B], Violation::ReservedOpcode),
        (&[0x0F], Violation::ReservedOpcode),
        (&[0x81, 0x05], Violation::Unmasked),
        (&[0x09], Violation::FragmentedControl),
        (&[0x08], Violation::FragmentedControl),
        (&[0x89, 0xFE], Violation::LongControl),
        (&[0x88, 0xFF], Violation::LongControl),
        (&[0x81, 0xFE, 0, 125], Violation::LengthNotMinimal),
        (&[0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], Violation::LengthNotMinimal),
        (&[0x81, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0], Violation::LengthNotMinimal),
        (&[0x80, 0x80, 0, 0, 0, 0], Violation::StrayContinuation),
    ];
    for (bytes, expected) in cases {
        assert_eq!(violation(bytes), expected, "{bytes:x?}");
        assert_eq!(expected.close_code(), CloseCode::ProtocolError);
    }
}

#[test]
fn a_message_may_not_begin_inside_another_one() {
    let mut bytes = frame(0x01, b"one");
    bytes.extend(frame(0x81, b"two"));
    assert_eq!(violation(&bytes), Violation::InterruptedMessage);
}

#[test]
fn a_finished_message_cannot_be_continued() {
    let mut bytes = frame(0x81, b"one");
    bytes.extend(frame(0x80, b"two"));
    assert_eq!(violation(&bytes), Violation::StrayContinuation);
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let cases: [&[u8]; 9] = [
        b"\xff",
        b"a\x80",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"cut \xe2\x82",
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
        b"\xe0\x80\x80",
    ];
    for payload in cases {
        assert_eq!(violation(&frame(0x81, payload)), Violation::InvalidUtf8, "{payload:x?}");
        let middle = payload.len() / 2;
        let mut fragments = frame(0x01, &payload[..middle]);
        fragments.extend(frame(0x80, &payload[middle..]));
        assert_eq!(violation(&fragments), Violation::InvalidUtf8, "{payload:x?} in fragments");
    }
    assert_eq!(Violation::InvalidUtf8.close_code(), CloseCode::InvalidData);
}

#[test]
fn bytes_need_not_be_utf8() {
    assert_eq!(messages(&frame(0x82, b"\xff\xfe")), [binary(b"\xff\xfe")]);
}

#[test]
fn bad_text_is_refused_before_its_frame_is_complete() {
    let whole = frame(0x81, b"fine \xf4\x90 and much more");
    let mut guard = Guard::new(SMALL);
    let (good, bad) = whole.split_at(6 + 6);
    assert_eq!(guard.next(&mut BytesMut::from(good)), Ok(None), "F4 may still become a character");
    assert_eq!(guard.next(&mut BytesMut::from(&bad[..1])), Err(Violation::InvalidUtf8));
}

#[test]
fn a_character_may_be_cut_by_fragments() {
    let euro = "€".as_bytes();
    let mut bytes = frame(0x01, &euro[..1]);
    bytes.extend(frame(0x00, &euro[1..2]));
    bytes.extend(frame(0x80, &euro[2..]));
    assert_eq!(messages(&bytes), [text("€")]);
}

#[test]
fn a_close_carries_an_allowed_code_and_reason() {
    assert_eq!(messages(&frame(0x88, b"")), [Incoming::Close(None)]);
    for code in [1000_u16, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] {
        let mut payload = code.to_be_bytes().to_vec();
        payload.extend("tschüß".as_bytes());
        let expected = CloseReason { code, reason: Bytes::from("tschüß") };
        assert_eq!(messages(&frame(0x88, &payload)), [Incoming::Close(Some(expected))]);
    }
}

#[test]
fn a_close_with_a_code_that_may_not_be_sent_is_a_protocol_error() {
    for code in [0_u16, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        assert_eq!(violation(&frame(0x88, &code.to_be_bytes())), Violation::BadCloseCode, "{code}");
    }
    assert_eq!(violation(&frame(0x88, &[3])), Violation::BadCloseCode, "half a code");
}

#[test]
fn a_close_reason_is_utf8() {
    assert_eq!(violation(&frame(0x88, b"\x03\xe8\xff")), Violation::InvalidUtf8);
}

#[test]
fn nothing_comes_after_a_close() {
    let mut bytes = frame(0x88, b"\x03\xe8");
    bytes.extend(frame(0x81, b"late"));
    bytes.extend([0xFF; 100]);
    let close = Incoming::Close(Some(CloseReason { code: 1000, reason: Bytes::new() }));
    assert_eq!(messages(&bytes), [close]);
}

#[test]
fn nothing_comes_after_a_violation() {
    let mut guard = Guard::new(SMALL);
    let mut input = BytesMut::from(frame(0x01, b"begun").as_slice());
    input.extend_from_slice(&[0xFF]);
    assert_eq!(guard.next(&mut input), Err(Violation::ReservedBits));
    input.extend_from_slice(&frame(0x81, b"late"));
    assert_eq!(guard.next(&mut input), Ok(None));
    assert_eq!((input.len(), guard.buffered_bytes(), guard.is_idle()), (0, 0, true));
}

#[test]
fn a_guard_keeps_nothing_between_messages() {
    let mut guard = Guard::new(SMALL);
    assert!(guard.is_idle());
    let bytes = frame(0x82, &[1; 500]);
    for piece in bytes.chunks(77) {
        guard.next(&mut BytesMut::from(piece)).expect("a proper message");
    }
    assert!(guard.is_idle());
    assert_eq!(guard.buffered_bytes(), 0);
    guard.next(&mut BytesMut::from(&[0x81_u8][..])).expect("the start of a head");
    assert!(!guard.is_idle(), "a client that stops within a head is not idle");
}

/// Frames as a client could send them, most of them proper.
fn some_frame() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        6 => proptest::sample::select(vec![0x81_u8, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8A]),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        4 => "[a-zé€🦀]{0,40}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..300),
    ];
    (first, payload).prop_map(|(first, payload)| frame(first, &payload))
}

/// Cuts `bytes` at the places.
fn cut<'a>(bytes: &'a [u8], places: &[proptest::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    places.sort_unstable();
    let mut start = 0;
    let mut pieces = Vec::new();
    for place in places.into_iter().chain([bytes.len()]) {
        pieces.push(&bytes[start..place]);
        start = place;
    }
    pieces
}

/// A message, cut into fragments, with pings between them.
fn fragmented(payload: &[u8], opcode: u8, pieces: &[&[u8]]) -> (Vec<u8>, usize) {
    debug_assert_eq!(payload.len(), pieces.iter().map(|piece| piece.len()).sum::<usize>());
    let last = pieces.len() - 1;
    let mut bytes = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        let first = if at == 0 { opcode } else { 0 } | if at == last { 0x80 } else { 0 };
        bytes.extend(frame(first, piece));
        if at != last {
            bytes.extend(frame(0x89, b"!"));
        }
    }
    (bytes, last)
}

proptest! {
    #[test]
    fn any_split_gives_the_same(
        frames in vec(some_frame(), 0..8),
        places in vec(any::<proptest::sample::Index>(), 0..12),
    ) {
        let bytes = frames.concat();
        prop_assert_eq!(feed(SMALL, &cut(&bytes, &places)), feed(SMALL, &[&bytes]));
    }

    #[test]
    fn arbitrary_bytes_never_panic_nor_take_more_than_the_limit(
        bytes in vec(any::<u8>(), 0..4096),
        places in vec(any::<proptest::sample::Index>(), 0..12),
    ) {
        prop_assert_eq!(feed(SMALL, &cut(&bytes, &places)), feed(SMALL, &[&bytes]));
    }

    #[test]
    fn a_message_arrives_as_it_was_sent_however_it_is_cut(
        payload in "\\PC{0,100}",
        fragments in vec(any::<proptest::sample::Index>(), 0..7),
        places in vec(any::<proptest::sample::Index>(), 0..12),
    ) {
        let (bytes, pings) = fragmented(payload.as_bytes(), 0x1, &cut(payload.as_bytes(), &fragments));
        let mut expected = vec![Incoming::Ping(Bytes::from_static(b"!")); pings];
        expected.push(text(&payload));
        prop_assert_eq!(feed(SMALL, &cut(&bytes, &places)), (expected, None));
    }
}
