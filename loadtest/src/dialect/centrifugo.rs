//! Centrifugo's client protocol in JSON, as much of it as a room needs: a room is a channel, a position is the offset
//! in its history. <https://centrifugal.dev/docs/transports/client_protocol>
//!
//! A frame holds one reply or several, a line each; commands go one a frame. Acks do not say where a message stands.
//! Channels are named anew in each run, so all of them begin at offset 1.

use anyhow::{Context as _, bail};
use bobchat_proto::wire;
use serde::{Deserialize, Serialize};

use super::{ENTER_REQUEST, Greeting, Incoming, JOIN_REQUEST, bobchat};
use crate::message::Messages;

/// Where the WebSocket is unless its configuration says otherwise; without a parameter it speaks JSON.
pub(super) const PATH: &str = "/connection/websocket";

/// The heartbeat, and the answer to it.
const PONG: &str = "{}";

/// What we put into a publication.
#[derive(Serialize, Deserialize)]
struct Data {
    key: String,
    text: String,
}

/// What the server says: a reply to a command, a push, or nothing, which is a ping.
#[derive(Deserialize)]
struct Reply {
    id: Option<u64>,
    error: Option<Failure>,
    subscribe: Option<Subscribed>,
    push: Option<Push>,
}

#[derive(Deserialize)]
struct Failure {
    code: u32,
    #[serde(default)]
    message: String,
    #[serde(default)]
    temporary: bool,
}

#[derive(Deserialize)]
struct Subscribed {
    /// Absent where the channel gives no positions to subscribers, and while it is empty.
    #[serde(default)]
    offset: u64,
}

/// Something in a channel; what is no publication is not ours.
#[derive(Deserialize)]
struct Push {
    #[serde(default)]
    channel: String,
    #[serde(rename = "pub")]
    publication: Option<Publication>,
    disconnect: Option<Failure>,
}

#[derive(Deserialize)]
struct Publication {
    data: Data,
    /// Absent where the channel has no history.
    offset: Option<u64>,
}

/// A room's channel: the key of a message that is never sent there, which no other run has.
fn channel(room: u64, messages: &Messages) -> String {
    messages.key(room)
}

/// The request that subscribes to a room: its answer does not name the channel, so its id does.
const fn subscribing(room: u64) -> u64 {
    JOIN_REQUEST + 2 * room
}

/// The room that a request subscribes to.
const fn subscribed_room(request: u64) -> Option<u64> {
    match request.checked_sub(JOIN_REQUEST) {
        Some(rooms) if rooms.is_multiple_of(2) => Some(rooms / 2),
        _ => None,
    }
}

/// Connects without a token, then subscribes to the room.
pub(super) fn greetings(room: u64, messages: &Messages) -> [Greeting; 2] {
    let connect = serde_json::json!({ "id": ENTER_REQUEST, "connect": {} });
    let request = subscribing(room);
    let subscribe = serde_json::json!({ "id": request, "subscribe": { "channel": channel(room, messages) } });
    [Greeting { request: ENTER_REQUEST, text: connect.to_string() }, Greeting { request, text: subscribe.to_string() }]
}

/// What posts a message.
pub(super) fn send_text(room: u64, index: u64, messages: &Messages) -> String {
    let data = Data { key: messages.key(index), text: messages.text(index) };
    let publish = serde_json::json!({ "channel": channel(room, messages), "data": data });
    serde_json::json!({ "id": bobchat::request_of(index), "publish": publish }).to_string()
}

pub(super) fn decode(line: &[u8], messages: &Messages) -> anyhow::Result<Incoming> {
    let reply: Reply = serde_json::from_slice(line).context("Centrifugo said what is no reply")?;
    match (reply.id, reply.push) {
        (Some(request), _) => answer(request, reply.error, reply.subscribe),
        (None, Some(push)) => pushed(push, messages),
        (None, None) => Ok(Incoming::Asked(PONG)),
    }
}

fn answer(request: u64, error: Option<Failure>, subscribed: Option<Subscribed>) -> anyhow::Result<Incoming> {
    let index = bobchat::index_of(request);
    if let Some(Failure { code, message, temporary }) = error {
        let error = wire::Error { code: code.to_string(), message, temporary, ..wire::Error::default() };
        return Ok(match index {
            Some(index) => Incoming::Refused { index, error },
            None => Incoming::Answer { request, result: Err(error) },
        });
    }
    Ok(match (index, subscribed) {
        (Some(index), _) => Incoming::Ack { index, placed: None },
        (None, Some(Subscribed { offset })) => {
            let room = subscribed_room(request).context("a subscription that nobody asked for")?;
            super::joined(request, room, offset)
        }
        (None, None) => super::connected(),
    })
}

fn pushed(push: Push, messages: &Messages) -> anyhow::Result<Incoming> {
    if let Some(Failure { code, message, .. }) = push.disconnect {
        bail!("Centrifugo disconnects: {code} {message}");
    }
    let Some(Publication { data, offset }) = push.publication else { return Ok(Incoming::Signal) };
    let offset = offset.context(
        "a publication without an offset: the channels need history (history_size and history_ttl of Centrifugo)",
    )?;
    let room = messages.index(&push.channel).context("a publication in a channel of somebody else")?;
    Ok(super::event(room, offset, messages.index(&data.key), data.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a server said, as the documentation of the protocol has it.
    fn said(line: &serde_json::Value, messages: &Messages) -> Incoming {
        decode(line.to_string().as_bytes(), messages).unwrap()
    }

    #[test]
    fn what_is_asked_is_what_the_documentation_has() {
        let messages = Messages::new(40).unwrap();
        let [connect, subscribe] = greetings(7, &messages);
        assert_eq!((connect.request, connect.text.as_str()), (1, r#"{"connect":{},"id":1}"#));
        let subscribe: serde_json::Value = serde_json::from_str(&subscribe.text).unwrap();
        assert_eq!(subscribe, serde_json::json!({ "id": 17, "subscribe": { "channel": messages.key(7) } }));
        let publish: serde_json::Value = serde_json::from_str(&send_text(7, 4, &messages)).unwrap();
        let data = serde_json::json!({ "key": messages.key(4), "text": messages.text(4) });
        let channel = messages.key(7);
        assert_eq!(publish, serde_json::json!({ "id": 10, "publish": { "channel": channel, "data": data } }));
    }

    #[test]
    fn what_the_server_says_is_told_apart() {
        let messages = Messages::new(40).unwrap();
        let json = |value| said(&value, &messages);
        let connected = json(serde_json::json!({ "id": 1, "connect": { "client": "x", "ping": 25, "pong": true } }));
        assert!(matches!(connected, Incoming::Answer { request: ENTER_REQUEST, result: Ok(_) }));
        let Incoming::Answer { request: 17, result: Ok(result) } =
            json(serde_json::json!({ "id": 17, "subscribe": { "offset": 5, "epoch": "x" } }))
        else {
            panic!()
        };
        let wire::ok::Result::Subscribe(subscribed) = *result else { panic!() };
        assert_eq!((subscribed.room, subscribed.head.map(|head| head.seq)), (7, Some(5)));
        assert!(matches!(json(serde_json::json!({})), Incoming::Asked("{}")));
        let ack = json(serde_json::json!({ "id": 10, "publish": {} }));
        assert!(matches!(ack, Incoming::Ack { index: 4, placed: None }));
        let refused = json(serde_json::json!({ "id": 10, "error": { "code": 103, "message": "permission denied" } }));
        assert!(matches!(refused, Incoming::Refused { index: 4, error } if error.code == "103"));
        let join = json(serde_json::json!({ "push": { "channel": messages.key(7), "join": { "info": {} } } }));
        assert!(matches!(join, Incoming::Signal));
    }

    #[test]
    fn a_publication_stands_at_its_offset_and_without_one_the_history_is_asked_for() {
        let messages = Messages::new(40).unwrap();
        let mut publication = serde_json::json!({
            "data": { "key": messages.key(4), "text": messages.text(4) }, "info": { "client": "x" }, "offset": 6,
        });
        let push = |publication: &serde_json::Value| {
            serde_json::json!({ "push": { "channel": messages.key(7), "pub": publication } }).to_string()
        };
        let Incoming::Event(delivery) = decode(push(&publication).as_bytes(), &messages).unwrap() else { panic!() };
        let said = delivery.said.unwrap();
        assert_eq!((delivery.room, delivery.seq, said.index, said.text), (7, 6, Some(4), messages.text(4)));
        publication.as_object_mut().unwrap().remove("offset");
        let error = decode(push(&publication).as_bytes(), &messages).unwrap_err();
        assert!(error.to_string().contains("history_size"), "{error}");
    }
}
