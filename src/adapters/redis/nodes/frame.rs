//! What nodes publish for one another, and what of it is believed.

// Reads what anybody may have published: a sum that does not fit has to be decided about.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use bobchat_actors::ports::{NodeLife, NodeReply, NodeRequest, Packet, SettingsReport, SignedOutDevice};
use bobchat_proto::ids::{DeviceId, NodeId, Position, RoomId, UserId};
use bobchat_proto::node::{self, Frame, frame::Body, reply, request};
use prost::Message as _;

/// The version of what is published: nodes of another one are not understood, and do not answer.
const FRAME_VERSION: u32 = 1;

/// The largest things that are said: a room as it stands in lists, which is two texts of some hundred letters, and the
/// places of the events of one batch.
const FRAME_BYTES_MAX: usize = 16 * 1024;

/// Why a frame is thrown away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is larger than any frame.
    TooLarge,
    /// It is not one, or is not for this node.
    Broken,
    /// A node with another version sent it.
    OtherVersion,
}

/// What is heard.
#[derive(Debug, PartialEq)]
pub(super) enum Heard {
    /// Another node says something.
    Packet(NodeLife, Packet),
    /// What this node said itself, to all.
    Own,
    /// What this node said to hear it.
    Probe,
}

/// Says something.
pub(super) fn write(from: NodeLife, to: Option<NodeId>, packet: Packet) -> Vec<u8> {
    let body = match packet {
        Packet::Ask { id, request } => Body::Request(node::Request { id, body: Some(write_request(request)) }),
        Packet::Reply { id, reply } => Body::Reply(node::Reply { id, body: Some(write_reply(reply)) }),
        Packet::Came => Body::Changed(node::Changed { left: false }),
        Packet::Left => Body::Changed(node::Changed { left: true }),
        Packet::Membership { user, signal } => {
            Body::Membership(node::Membership { user: user.get(), signal: Some(signal) })
        }
        Packet::SettingsChanged => Body::SettingsChanged(node::SettingsChanged {}),
    };
    write_body(from, to, body)
}

/// What a node says to hear itself.
pub(super) fn probe(node: NodeId) -> Vec<u8> {
    write_body(NodeLife { node, life: 0 }, Some(node), Body::Probe(node::Probe {}))
}

fn write_body(from: NodeLife, to: Option<NodeId>, body: Body) -> Vec<u8> {
    let (node, life, to) = (from.node.get(), from.life, to.map(NodeId::get));
    Frame { version: FRAME_VERSION, node, life, to, body: Some(body) }.encode_to_vec()
}

fn write_request(request: NodeRequest) -> request::Body {
    match request {
        NodeRequest::Status => request::Body::Status(node::Status {}),
        NodeRequest::SignOut(SignedOutDevice { user, device }) => {
            request::Body::SignOut(node::SignOut { user: user.get(), device: device.map(DeviceId::get) })
        }
        NodeRequest::Places { room, ids } => request::Body::PlacesAsked(node::PlacesAsked { room: room.get(), ids }),
        NodeRequest::Settings => request::Body::SettingsAsked(node::SettingsAsked {}),
    }
}

fn write_reply(reply: NodeReply) -> reply::Body {
    match reply {
        NodeReply::Status(status) => reply::Body::Status(status),
        NodeReply::SignedOut { connections } => reply::Body::SignedOut(node::SignedOut { connections }),
        NodeReply::Places(places) => {
            let place = |(id, first): (u64, Position)| node::Place { id, first: Some(first.into()) };
            reply::Body::Places(node::Places { places: places.into_iter().map(place).collect() })
        }
        NodeReply::Settings(SettingsReport { version, refused, faults, ignored, looked_at, unheeded }) => {
            reply::Body::Settings(node::Settings { version, refused, faults, ignored, looked_at, unheeded })
        }
    }
}

/// Reads what was published for `own`, or for all.
pub(super) fn read(own: NodeId, payload: &[u8]) -> Result<Heard, Refusal> {
    if payload.len() > FRAME_BYTES_MAX {
        return Err(Refusal::TooLarge);
    }
    let frame = Frame::decode(payload).map_err(|_| Refusal::Broken)?;
    if frame.version != FRAME_VERSION {
        return Err(Refusal::OtherVersion);
    }
    let Frame { node, life, to, body, .. } = frame;
    if to.is_some_and(|to| to != own.get()) {
        return Err(Refusal::Broken);
    }
    let node = NodeId::new(node).map_err(|_| Refusal::Broken)?;
    match (node == own, body.ok_or(Refusal::Broken)?) {
        (true, Body::Probe(_)) => Ok(Heard::Probe),
        (true, _) => Ok(Heard::Own),
        (false, body) => Ok(Heard::Packet(NodeLife { node, life }, read_body(body).ok_or(Refusal::Broken)?)),
    }
}

fn read_body(body: Body) -> Option<Packet> {
    Some(match body {
        Body::Request(node::Request { id, body }) => Packet::Ask { id, request: read_request(body?)? },
        Body::Reply(node::Reply { id, body }) => Packet::Reply { id, reply: read_reply(body?) },
        Body::Changed(node::Changed { left: false }) => Packet::Came,
        Body::Changed(node::Changed { left: true }) => Packet::Left,
        Body::Membership(node::Membership { user, signal }) => {
            Packet::Membership { user: UserId::new(user).ok()?, signal: signal.filter(|signal| signal.room.is_some())? }
        }
        Body::SettingsChanged(node::SettingsChanged {}) => Packet::SettingsChanged,
        Body::Probe(_) => return None,
    })
}

fn read_request(body: request::Body) -> Option<NodeRequest> {
    Some(match body {
        request::Body::Status(node::Status {}) => NodeRequest::Status,
        request::Body::SignOut(node::SignOut { user, device }) => {
            let device = device.map(DeviceId::new).transpose().ok()?;
            NodeRequest::SignOut(SignedOutDevice { user: UserId::new(user).ok()?, device })
        }
        request::Body::PlacesAsked(node::PlacesAsked { room, ids }) => {
            NodeRequest::Places { room: RoomId::new(room).ok()?, ids }
        }
        request::Body::SettingsAsked(node::SettingsAsked {}) => NodeRequest::Settings,
    })
}

fn read_reply(body: reply::Body) -> NodeReply {
    match body {
        reply::Body::Status(status) => NodeReply::Status(status),
        reply::Body::SignedOut(node::SignedOut { connections }) => NodeReply::SignedOut { connections },
        reply::Body::Places(node::Places { places }) => {
            let place = |node::Place { id, first }| first.map(|first| (id, Position::from(first)));
            NodeReply::Places(places.into_iter().filter_map(place).collect())
        }
        reply::Body::Settings(node::Settings { version, refused, faults, ignored, looked_at, unheeded }) => {
            NodeReply::Settings(SettingsReport { version, refused, faults, ignored, looked_at, unheeded })
        }
    }
}

#[cfg(test)]
mod tests {
    use bobchat_proto::ids::{Epoch, Sequence};
    use bobchat_proto::wire;
    use proptest::prelude::*;

    use super::*;

    fn id(node: u64) -> NodeId {
        NodeId::new(node).unwrap()
    }

    fn from() -> NodeLife {
        NodeLife { node: id(2), life: 7 }
    }

    fn said() -> Frame {
        Frame { version: 1, node: 2, life: 7, to: Some(1), body: Some(Body::Changed(node::Changed::default())) }
    }

    fn sign_out(user: u64, device: Option<u64>) -> Body {
        let body = Some(request::Body::SignOut(node::SignOut { user, device }));
        Body::Request(node::Request { id: 1, body })
    }

    /// As large as any.
    fn places(count: u64) -> Vec<(u64, Position)> {
        let first = Position { epoch: Epoch(u64::from(u32::MAX)), seq: Sequence(1 << 53) };
        (0..count).map(|number| (u64::MAX - number, first)).collect()
    }

    #[test]
    fn what_is_known_of_a_whole_batch_is_heard() {
        let reply = Packet::Reply { id: 1, reply: NodeReply::Places(places(512)) };
        let heard = read(id(1), &write(from(), None, reply.clone()));
        assert_eq!(heard, Ok(Heard::Packet(from(), reply)));
    }

    #[test]
    fn what_is_said_is_what_is_heard() {
        let (user, device) = (UserId::new(5).unwrap(), DeviceId::new(6).ok());
        let signal = wire::MembershipSignal { room: Some(wire::Room::default()), member: false };
        for packet in [
            Packet::Came,
            Packet::Left,
            Packet::Ask { id: 1, request: NodeRequest::Status },
            Packet::Ask { id: 2, request: NodeRequest::SignOut(SignedOutDevice { user, device }) },
            Packet::Ask { id: 3, request: NodeRequest::SignOut(SignedOutDevice { user, device: None }) },
            Packet::Reply { id: u64::MAX, reply: NodeReply::SignedOut { connections: 9 } },
            Packet::Ask {
                id: 4,
                request: NodeRequest::Places { room: RoomId::new(9).unwrap(), ids: vec![1, u64::MAX] },
            },
            Packet::Reply { id: 4, reply: NodeReply::Places(places(2)) },
            Packet::Membership { user, signal },
            Packet::SettingsChanged,
            Packet::Ask { id: 5, request: NodeRequest::Settings },
            Packet::Reply { id: 5, reply: NodeReply::Settings(SettingsReport { version: 7, ..Default::default() }) },
        ] {
            for to in [None, Some(id(1))] {
                let heard = read(id(1), &write(from(), to, packet.clone()));
                assert_eq!(heard, Ok(Heard::Packet(from(), packet.clone())));
            }
            assert_eq!(read(id(2), &write(from(), None, packet)), Ok(Heard::Own));
        }
        assert_eq!(read(id(1), &probe(id(1))), Ok(Heard::Probe));
    }

    #[test]
    fn what_contradicts_itself_or_is_for_another_is_refused() {
        let membership = Body::Membership(node::Membership { user: 5, signal: None });
        let body = Some(request::Body::PlacesAsked(node::PlacesAsked { room: 0, ids: vec![1] }));
        let places_asked = Body::Request(node::Request { id: 1, body });
        for broken in [
            Frame { to: Some(3), ..said() },
            Frame { node: 0, ..said() },
            Frame { body: None, ..said() },
            Frame { body: Some(Body::Request(node::Request { id: 1, body: None })), ..said() },
            Frame { body: Some(Body::Reply(node::Reply { id: 1, body: None })), ..said() },
            Frame { body: Some(sign_out(0, None)), ..said() },
            Frame { body: Some(places_asked), ..said() },
            Frame { body: Some(sign_out(1, Some(0))), ..said() },
            Frame { body: Some(membership), ..said() },
            Frame { body: Some(Body::Probe(node::Probe {})), ..said() },
        ] {
            assert_eq!(read(id(1), &broken.encode_to_vec()), Err(Refusal::Broken), "{broken:?}");
        }
        assert!(read(id(1), &said().encode_to_vec()).is_ok());
        assert_eq!(read(id(1), &Frame { version: 2, ..said() }.encode_to_vec()), Err(Refusal::OtherVersion));
        assert_eq!(read(id(1), &vec![0; FRAME_BYTES_MAX + 1]), Err(Refusal::TooLarge));
    }

    #[test]
    fn a_frame_that_was_cut_is_never_taken_for_another_sign_out() {
        let user = UserId::new(5).unwrap();
        let request = NodeRequest::SignOut(SignedOutDevice { user, device: DeviceId::new(6).ok() });
        let whole = write(from(), Some(id(1)), Packet::Ask { id: 1, request });
        for length in 0..whole.len() {
            assert!(read(id(1), &whole[..length]).is_err(), "cut after {length} bytes");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_no_harm(bytes: Vec<u8>) {
            let _ = read(id(1), &bytes);
        }
    }
}
