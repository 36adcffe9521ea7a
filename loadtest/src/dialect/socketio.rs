//! Socket.IO's protocol, version 5 on Engine.IO 4, as much of it as a room needs: a digit for each of the two layers,
//! a number that asks for an ack, and JSON. <https://socket.io/docs/v4/socket-io-protocol/>
//!
//! What is said in a room is between clients and `loadtest/peers/socketio.mjs`: `join ROOM`, answered with
//! `ROOM SEQ`; `send ROOM KEY TEXT`, acked with `ROOM SEQ`; `event ROOM SEQ KEY TEXT`.

use anyhow::{Context as _, bail, ensure};

use super::{ENTER_REQUEST, Greeting, Incoming, JOIN_REQUEST, Placed, bobchat};
use crate::message::Messages;

/// Where the WebSocket is, for clients that begin with it and not with long polling.
pub(super) const PATH: &str = "/socket.io/?EIO=4&transport=websocket";

/// Connects to the namespace.
const CONNECT: &str = "40";

/// The heartbeat of Engine.IO, and the answer to it.
const PING: &str = "2";
const PONG: &str = "3";

/// Connects, then joins the room.
pub(super) fn greetings(room: u64) -> [Greeting; 2] {
    let join = format!("42{JOIN_REQUEST}{}", serde_json::json!(["join", room]));
    [Greeting { request: ENTER_REQUEST, text: CONNECT.to_owned() }, Greeting { request: JOIN_REQUEST, text: join }]
}

/// What posts a message and asks for its ack.
pub(super) fn send_text(room: u64, index: u64, messages: &Messages) -> String {
    let request = bobchat::request_of(index);
    format!("42{request}{}", serde_json::json!(["send", room, messages.key(index), messages.text(index)]))
}

pub(super) fn decode(text: &str, messages: &Messages) -> anyhow::Result<Incoming> {
    if let Some(json) = text.strip_prefix("42") {
        return event(json, messages);
    }
    if let Some(rest) = text.strip_prefix("43") {
        return ack(rest);
    }
    match text {
        PING => Ok(Incoming::Asked(PONG)),
        // Engine.IO opens, and says how it will ping.
        open if open.starts_with('0') => Ok(Incoming::Signal),
        connected if connected.starts_with(CONNECT) => Ok(super::connected()),
        refused if refused.starts_with("44") => bail!("Socket.IO refused the connection: {refused}"),
        other => bail!("Socket.IO said {other:?}"),
    }
}

fn event(json: &str, messages: &Messages) -> anyhow::Result<Incoming> {
    let (name, room, seq, key, text): (&str, u64, u64, &str, String) =
        serde_json::from_str(json).context("an event of Socket.IO")?;
    ensure!(name == "event", "Socket.IO sent {name:?}");
    Ok(super::event(room, seq, messages.index(key), text))
}

fn ack(rest: &str) -> anyhow::Result<Incoming> {
    let begin = rest.find('[').context("an ack without figures")?;
    let (request, json) = rest.split_at(begin);
    let request = request.parse().with_context(|| format!("an ack for {request:?}"))?;
    let (room, seq) = serde_json::from_str(json).context("an ack of Socket.IO")?;
    if request == JOIN_REQUEST {
        return Ok(super::joined(request, room, seq));
    }
    let index = bobchat::index_of(request).context("an ack for what was not posted")?;
    Ok(Incoming::Ack { index, placed: Some(Placed { room, seq, id: seq }) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_says_is_told_apart() {
        let messages = Messages::new(40).unwrap();
        let decode = |text: &str| decode(text, &messages).unwrap();
        assert!(matches!(decode("0{\"sid\":\"x\",\"pingInterval\":25000}"), Incoming::Signal));
        assert!(matches!(decode("2"), Incoming::Asked("3")));
        assert!(matches!(decode("40{\"sid\":\"x\"}"), Incoming::Answer { request: ENTER_REQUEST, result: Ok(_) }));
        assert!(matches!(decode("433[7,5]"), Incoming::Answer { request: JOIN_REQUEST, result: Ok(_) }));
        let Incoming::Ack { index, placed } = decode(&format!("43{}[7,6]", bobchat::request_of(4))) else { panic!() };
        assert_eq!((index, placed), (4, Some(Placed { room: 7, seq: 6, id: 6 })));
        let event = serde_json::json!(["event", 7, 6, messages.key(4), messages.text(4)]);
        let Incoming::Event(delivery) = decode(&format!("42{event}")) else { panic!() };
        let said = delivery.said.unwrap();
        assert_eq!((delivery.room, delivery.seq, said.index, said.text), (7, 6, Some(4), messages.text(4)));
    }

    #[test]
    fn what_is_no_socket_io_is_an_error() {
        let messages = Messages::new(40).unwrap();
        for text in ["", "1", "44{\"message\":\"no\"}", "42[\"other\",1,1,\"\",\"\"]", "43[1,2]", "43x[1,2]", "4310"] {
            assert!(decode(text, &messages).is_err(), "{text}");
        }
    }
}
