use bobchat_proto::error::CloseCode;
use bytes::BytesMut;

use crate::web::ws::guard::{Guard, Incoming, Limits};

/// A control frame's payload, which may wait beside a message.
const CONTROL_BYTES_MAX: usize = 125;

/// The first byte says how the rest is cut and which limits hold; the rest is what a client sends.
///
/// Held: the outcome does not depend on how the bytes are cut, what is kept stays within the limit, and nothing is
/// kept between messages or after the end.
pub(super) fn frame_guard(bytes: &[u8]) {
    let Some((choice, sent)) = bytes.split_first() else { return };
    let limits = if choice & 1 == 0 { Limits::BEFORE_AUTH } else { Limits::SIGNED_IN };
    let piece = usize::from(choice >> 1).max(1);
    let whole = feed(limits, sent, sent.len().max(1));
    assert_eq!(feed(limits, sent, piece), whole, "in pieces of {piece}");
}

/// Everything that comes out, and the code of the violation that ended it.
fn feed(limits: Limits, sent: &[u8], piece: usize) -> (Vec<Incoming>, Option<CloseCode>) {
    let mut guard = Guard::new(limits);
    let mut out = Vec::new();
    for piece in sent.chunks(piece) {
        let mut input = BytesMut::from(piece);
        loop {
            match guard.next(&mut input) {
                Ok(None) => break,
                Ok(Some(incoming)) => out.push(incoming),
                Err(violation) => {
                    assert_eq!((guard.buffered_bytes(), input.len()), (0, 0), "nothing is kept after a violation");
                    return (out, Some(violation.close_code()));
                }
            }
        }
        assert!(input.is_empty(), "what is not complete is kept by the guard");
        assert!(guard.buffered_bytes() <= limits.message_bytes_max + CONTROL_BYTES_MAX);
        assert!(!guard.is_idle() || guard.buffered_bytes() == 0);
    }
    (out, None)
}
