use bobchat_proto::codec::Format;
use bobchat_proto::wire::{self, server_frame::Body};
use bytes::{Bytes, BytesMut};

use crate::session::frame;

/// The same frames in every format that somebody receives: encoded once, shared by all.
#[derive(Debug, Clone, Default)]
pub struct Frames {
    /// How many events they carry.
    pub events: u64,
    json: Option<Bytes>,
    protobuf: Option<Bytes>,
}

impl Frames {
    /// Encodes events, one frame each, in the formats that are `wanted`.
    #[must_use]
    pub fn of_events(events: Vec<wire::Event>, wanted: impl Fn(Format) -> bool) -> Self {
        let count = events.len() as u64;
        let bodies: Vec<wire::ServerFrame> = events.into_iter().map(|event| unasked(Body::Event(event))).collect();
        Self { events: count, ..Self::encode(&bodies, wanted) }
    }

    /// Encodes one frame that nobody asked for, in both formats.
    #[must_use]
    pub fn of_body(body: Body) -> Self {
        Self::encode(&[unasked(body)], |_| true)
    }

    /// The bytes in one format.
    #[must_use]
    pub fn of(&self, format: Format) -> Option<&Bytes> {
        match format {
            Format::Json => self.json.as_ref(),
            Format::Protobuf => self.protobuf.as_ref(),
        }
    }

    fn encode(frames: &[wire::ServerFrame], wanted: impl Fn(Format) -> bool) -> Self {
        let encoded = |format| {
            wanted(format).then(|| {
                let mut out = BytesMut::new();
                for server_frame in frames {
                    frame::append_frame(server_frame, format, &mut out);
                }
                out.freeze()
            })
        };
        Self { events: 0, json: encoded(Format::Json), protobuf: encoded(Format::Protobuf) }
    }
}

fn unasked(body: Body) -> wire::ServerFrame {
    wire::ServerFrame { id: None, body: Some(body) }
}
