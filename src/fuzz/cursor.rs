use bobchat_actors::ports::{Cursor, Span, judge_cursor, owner};
use bobchat_proto::ids::{Epoch, Position, RoomId, Sequence};

/// A client's cursor before a log that was cut some times: eight bytes a number, first the cursor, then the head, then
/// how far each span lies beyond the one before. The same bytes as text are an identifier.
///
/// Held: a cursor that is good is not ahead of the head, and stands where the log is what the client has seen; an
/// identifier is written as it was read.
pub(super) fn cursor(bytes: &[u8]) {
    identifier(bytes);
    let mut numbers = bytes.chunks_exact(8).filter_map(|chunk| chunk.first_chunk().copied()).map(u64::from_le_bytes);
    let mut next = || numbers.next();
    let (Some(epoch), Some(seq), Some(beyond)) = (next(), next(), next()) else { return };
    let cursor = Position { epoch: Epoch(epoch), seq: Sequence(seq) };
    let spans = spans(std::iter::from_fn(next));
    let Some(newest) = spans.last() else { return };
    // The newest span may have no event yet.
    let head = Position { epoch: newest.epoch, seq: Sequence((newest.base.0 - 1).saturating_add(beyond)) };
    match judge_cursor(&spans, head, cursor) {
        Cursor::Good(good) => {
            assert!(good == cursor.seq && good <= head.seq, "{cursor:?} before {head:?}");
            let seen_there = owner(&spans, good);
            assert!(good == Sequence::ZERO || seen_there <= Some(cursor.epoch), "{cursor:?} in {spans:?}");
        }
        Cursor::Never => assert!(cursor > head, "{cursor:?} before {head:?}"),
        Cursor::Lost => assert!(cursor.epoch != head.epoch, "{cursor:?} before {head:?}"),
    }
}

/// A log as it can be: epochs and bases that grow.
fn spans(distances: impl Iterator<Item = u64>) -> Vec<Span> {
    let mut spans = vec![Span::FIRST];
    for distance in distances.take(16) {
        let Some(Span { epoch, base }) = spans.last().copied() else { break };
        let next = (epoch.0.checked_add(1 + (distance >> 32)), base.0.checked_add(distance & 0xffff_ffff));
        let (Some(epoch), Some(base)) = next else { break };
        spans.push(Span { epoch: Epoch(epoch), base: Sequence(base) });
    }
    spans
}

fn identifier(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(room) = text.parse::<RoomId>() {
        assert_eq!(room.to_string(), text, "there is one way to write an identifier");
    }
}
