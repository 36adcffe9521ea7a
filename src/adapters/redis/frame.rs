//! What is published on a room's channel, and what of it is believed.

use bobchat_actors::ports::Told;
use bobchat_proto::backplane::Frame;
use bobchat_proto::ids::RoomId;
use bobchat_proto::wire;
use prost::Message as _;

use super::keys::room_of;

/// The version of what is published: nodes of another one are not understood, and read the log instead.
pub(super) const FRAME_VERSION: u32 = 1;

/// The largest batch that a room appends is a megabyte; with what stands around each event it stays below this.
const FRAME_BYTES_MAX: usize = 4 << 20;

/// What a frame says.
#[derive(Debug, PartialEq)]
pub(super) struct Heard {
    /// Of which room.
    pub(super) room: RoomId,
    /// What.
    pub(super) told: Told,
    /// The trace that it belongs to.
    pub(super) trace: Option<String>,
}

/// Why a frame is thrown away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is larger than any frame.
    TooLarge,
    /// It is not one, or contradicts itself or its channel.
    Broken,
    /// A node with another version sent it.
    OtherVersion,
}

/// A frame that says that somebody is typing.
pub(super) fn typing(node: u64, signal: wire::TypingSignal) -> Vec<u8> {
    let wire::TypingSignal { room, user } = signal;
    Frame { version: FRAME_VERSION, node, room, typing: Some(user), ..Frame::default() }.encode_to_vec()
}

/// Reads what came on a channel; nothing when this node sent it.
pub(super) fn read(own_node: u64, channel: &[u8], payload: &[u8]) -> Result<Option<Heard>, Refusal> {
    if payload.len() > FRAME_BYTES_MAX {
        return Err(Refusal::TooLarge);
    }
    let frame = Frame::decode(payload).map_err(|_| Refusal::Broken)?;
    if frame.version != FRAME_VERSION {
        return Err(Refusal::OtherVersion);
    }
    if frame.node == own_node {
        return Ok(None);
    }
    let room = room_of(channel).filter(|room| room.get() == frame.room).ok_or(Refusal::Broken)?;
    let told = match frame.typing {
        Some(user) => Told::Typing(wire::TypingSignal { room: frame.room, user }),
        None if is_whole(&frame) => Told::Events(frame.events),
        None => return Err(Refusal::Broken),
    };
    Ok(Some(Heard { room, told, trace: frame.trace }))
}

/// Whether the events are the room's, of one epoch, and follow one another.
fn is_whole(frame: &Frame) -> bool {
    let first = frame.events.first().map_or(0, |event| event.seq);
    let seqs = first..=u64::MAX;
    let belongs = |event: &wire::Event| (event.room, event.epoch) == (frame.room, frame.epoch) && event.body.is_some();
    first > 0 && frame.events.iter().zip(seqs).all(|(event, seq)| event.seq == seq && belongs(event))
}

#[cfg(test)]
mod tests {
    use super::super::keys::RoomKeys;
    use super::*;
    use proptest::prelude::*;

    fn channel() -> String {
        RoomKeys::new(RoomId::new(42).unwrap()).channel()
    }

    fn frame(seqs: &[u64]) -> Frame {
        let body = wire::event::Body::Message(wire::Message { text: "hello".to_owned() });
        let event = |seq: &u64| wire::Event {
            room: 42,
            epoch: 1,
            seq: *seq,
            body: Some(body.clone()),
            ..wire::Event::default()
        };
        let events = seqs.iter().map(event).collect();
        Frame { version: FRAME_VERSION, node: 2, room: 42, epoch: 1, events, ..Frame::default() }
    }

    fn read_frame(frame: &Frame) -> Result<Option<Heard>, Refusal> {
        read(1, channel().as_bytes(), &frame.encode_to_vec())
    }

    #[test]
    fn another_nodes_events_are_read_and_the_own_ones_are_not() {
        let good = frame(&[7, 8]);
        let heard = read_frame(&Frame { trace: Some("any".to_owned()), ..good.clone() }).unwrap().unwrap();
        assert_eq!((heard.room.get(), heard.told), (42, Told::Events(good.events.clone())));
        assert_eq!(heard.trace.as_deref(), Some("any"));
        assert_eq!(read_frame(&Frame { node: 1, ..good }), Ok(None));
    }

    #[test]
    fn a_frame_that_contradicts_itself_or_its_channel_is_refused() {
        for broken in [
            frame(&[]),
            frame(&[0]),
            frame(&[7, 9]),
            frame(&[7, 7]),
            Frame { room: 43, ..frame(&[7]) },
            Frame { epoch: 2, ..frame(&[7]) },
        ] {
            assert_eq!(read_frame(&broken), Err(Refusal::Broken), "{broken:?}");
        }
        assert_eq!(read_frame(&Frame { version: 2, ..frame(&[7]) }), Err(Refusal::OtherVersion));
        assert_eq!(read(1, channel().as_bytes(), &vec![0; FRAME_BYTES_MAX + 1]), Err(Refusal::TooLarge));
    }

    #[test]
    fn who_types_is_read() {
        let signal = wire::TypingSignal { room: 42, user: 5 };
        let heard = read(1, channel().as_bytes(), &typing(2, signal)).unwrap().unwrap();
        assert_eq!(heard.told, Told::Typing(signal));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_no_harm(bytes: Vec<u8>) {
            let _ = read(1, channel().as_bytes(), &bytes);
        }
    }
}
