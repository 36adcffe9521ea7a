//! What is published on a room's channel, and what of it is believed.

// Reads what anybody may have published: a sum that does not fit has to be decided about.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use bobchat_actors::ports::{NodeLife, NodePresence, Told, WhoIsHere};
use bobchat_proto::backplane::{Frame, Presence};
use bobchat_proto::ids::{NodeId, RoomId, UserId};
use bobchat_proto::limits::PRESENT_USERS_MAX;
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

/// A frame that says which people of a room are at this node.
pub(super) fn presence(node: u64, room: RoomId, told: NodePresence) -> Vec<u8> {
    let NodePresence { life, number, who, count, ask } = told;
    let raw = |users: Vec<UserId>| users.into_iter().map(UserId::get).collect();
    let (everybody, came, left) = match who {
        WhoIsHere::Everybody(users) => (true, raw(users), Vec::new()),
        WhoIsHere::Changed { came, left } => (false, raw(came), raw(left)),
    };
    let presence = Presence { life: life.life, number, everybody, came, left, count, ask };
    let frame = Frame { version: FRAME_VERSION, node, room: room.get(), presence: Some(presence), ..Frame::default() };
    frame.encode_to_vec()
}

fn read_presence(node: u64, told: Presence) -> Option<NodePresence> {
    let Presence { life, number, everybody, came, left, count, ask } = told;
    if came.len() > PRESENT_USERS_MAX || left.len() > PRESENT_USERS_MAX || (everybody && !left.is_empty()) {
        return None;
    }
    let users = |raw: Vec<u64>| raw.into_iter().map(|raw| UserId::new(raw).ok()).collect::<Option<Vec<_>>>();
    let (came, left) = (users(came)?, users(left)?);
    let who = if everybody { WhoIsHere::Everybody(came) } else { WhoIsHere::Changed { came, left } };
    let life = NodeLife { node: NodeId::new(node).ok()?, life };
    Some(NodePresence { life, number, who, count, ask })
}

/// Reads what came on a channel; nothing when this node sent it.
pub(super) fn read(own_node: u64, channel: &[u8], payload: &[u8]) -> Result<Option<Heard>, Refusal> {
    if payload.len() > FRAME_BYTES_MAX {
        return Err(Refusal::TooLarge);
    }
    let mut frame = Frame::decode(payload).map_err(|_| Refusal::Broken)?;
    if frame.version != FRAME_VERSION {
        return Err(Refusal::OtherVersion);
    }
    if frame.node == own_node {
        return Ok(None);
    }
    let room = room_of(channel).filter(|room| room.get() == frame.room).ok_or(Refusal::Broken)?;
    let told = match (frame.typing, frame.presence.take()) {
        (Some(user), None) if frame.events.is_empty() => Told::Typing(wire::TypingSignal { room: frame.room, user }),
        (None, Some(told)) if frame.events.is_empty() => {
            Told::Presence(read_presence(frame.node, told).ok_or(Refusal::Broken)?)
        }
        (None, None) if is_whole(&frame) => Told::Events(frame.events),
        _ => return Err(Refusal::Broken),
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

    #[test]
    fn who_is_there_is_read() {
        let room = RoomId::new(42).unwrap();
        let users = |raw: &[u64]| raw.iter().map(|raw| UserId::new(*raw).unwrap()).collect::<Vec<_>>();
        let life = NodeLife { node: NodeId::new(2).unwrap(), life: 9 };
        for who in [
            WhoIsHere::Everybody(users(&[5, 6])),
            WhoIsHere::Everybody(users(&[])),
            WhoIsHere::Changed { came: users(&[7]), left: users(&[8, 9]) },
        ] {
            let told = NodePresence { life, number: 3, who, count: 2, ask: true };
            let heard = read(1, channel().as_bytes(), &presence(2, room, told.clone())).unwrap();
            let expected = Heard { room, told: Told::Presence(told.clone()), trace: None };
            assert_eq!(heard, Some(expected));
            assert_eq!(read(2, channel().as_bytes(), &presence(2, room, told)), Ok(None), "one's own");
        }
    }

    #[test]
    fn who_is_there_in_a_forged_frame_is_refused() {
        let good = Presence { life: 9, number: 1, everybody: true, came: vec![5], ..Presence::default() };
        let said = |presence| Frame { events: Vec::new(), epoch: 0, presence: Some(presence), ..frame(&[]) };
        assert!(read_frame(&said(good.clone())).is_ok());
        let many = vec![5; PRESENT_USERS_MAX + 1];
        for broken in [
            said(Presence { came: vec![0], ..good.clone() }),
            said(Presence { left: vec![6], ..good.clone() }),
            said(Presence { everybody: false, left: many.clone(), ..good.clone() }),
            said(Presence { came: many, ..good.clone() }),
            Frame { typing: Some(5), ..said(good.clone()) },
            Frame { events: frame(&[7]).events, ..said(good) },
        ] {
            assert_eq!(read_frame(&broken), Err(Refusal::Broken), "{broken:?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_no_harm(bytes: Vec<u8>) {
            let _ = read(1, channel().as_bytes(), &bytes);
        }
    }
}
