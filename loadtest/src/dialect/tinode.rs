//! Tinode's protocol in JSON, as much of it as a room needs: a room is a group topic, a position is the id of a message
//! in it. <https://github.com/tinode/chat/blob/master/docs/API.md>
//!
//! Tinode names a group when its first member asks for one that is `new`; the others enter by that name. Whoever enters
//! asks for the group's description in the same breath: only that says how far the group is, and it comes before any
//! message. Every connection is somebody else, an account of the scheme `anonymous`.

use anyhow::{Context as _, bail};
use bobchat_proto::wire;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{ENTER_REQUEST, Greeting, Incoming, JOIN_REQUEST, Known, Placed, bobchat};

/// Where the WebSocket is; the API key follows.
pub(super) const PATH: &str = "/v0/channels?apikey=";

/// The key that fits the `api_key_salt` which Tinode comes with: that of its demonstration clients.
pub(crate) const API_KEY: &str = "AQEAAAABAAD_rAp4DJh05a1HAwFT3A6K";

/// The protocol that is spoken; servers refuse those that are too old for them.
const VERSION: &str = "0.22";

/// The request for an account, after the one that says hello.
const ACCOUNT_REQUEST: u64 = JOIN_REQUEST;

/// The first request that enters a room: an answer does not say which room was asked for, so the id does.
const ROOM_REQUEST: u64 = ACCOUNT_REQUEST + 2;

/// Join, read and write. Presence is not asked for: nobody else of those who are compared tells it.
const MODE: &str = "JRW";

/// What was too much, or too little, for the server's rules.
const POLICY: u32 = 422;

/// Already in the room.
const NOT_MODIFIED: u32 = 304;

/// What stands beside a message's text, unchanged for its receivers. Applications have names of this form.
#[derive(Serialize, Deserialize)]
struct Head {
    #[serde(rename = "x-bobchat-key", default)]
    key: String,
}

/// What the server says: one of these.
#[derive(Deserialize)]
struct Said {
    ctrl: Option<Ctrl>,
    data: Option<Data>,
    meta: Option<Meta>,
    /// Who comes and goes.
    pres: Option<serde::de::IgnoredAny>,
    /// Who types, or has read.
    info: Option<serde::de::IgnoredAny>,
}

/// What came of a request; without an id, of the connection.
#[derive(Deserialize)]
struct Ctrl {
    id: Option<String>,
    #[serde(default)]
    topic: String,
    code: u32,
    #[serde(default)]
    text: String,
    /// More about it, of a form that depends on what was asked.
    #[serde(default)]
    params: serde_json::Value,
}

/// A message of a group.
#[derive(Deserialize)]
struct Data {
    topic: String,
    seq: u64,
    head: Option<Head>,
    content: String,
}

/// What was asked about a group.
#[derive(Deserialize)]
struct Meta {
    id: Option<String>,
    desc: Option<Description>,
}

#[derive(Deserialize)]
struct Description {
    /// Absent where nobody has said anything.
    #[serde(default)]
    seq: u64,
}

/// Says hello, then signs up.
pub(super) fn greetings() -> [Greeting; 2] {
    let hello = json!({ "hi": { "id": ENTER_REQUEST.to_string(), "ver": VERSION, "ua": "bobchat-loadtest" } });
    let account = json!({
        "acc": { "id": ACCOUNT_REQUEST.to_string(), "user": "new", "scheme": "anonymous", "login": true },
    });
    [
        Greeting { request: ENTER_REQUEST, text: hello.to_string() },
        Greeting { request: ACCOUNT_REQUEST, text: account.to_string() },
    ]
}

/// Enters a room that has a name, or makes the room.
pub(super) fn entrance(room: u64, name: Option<&str>) -> Greeting {
    let request = ROOM_REQUEST + 2 * room;
    let (id, get) = (request.to_string(), json!({ "what": "desc" }));
    let sub = match name {
        Some(name) => json!({ "id": id, "topic": name, "get": get }),
        None => {
            let access = json!({ "auth": MODE, "anon": MODE });
            let set = json!({ "desc": { "defacs": access }, "sub": { "mode": MODE } });
            json!({ "id": id, "topic": format!("new{room}"), "set": set, "get": get })
        }
    };
    Greeting { request, text: json!({ "sub": sub }).to_string() }
}

/// What posts a message; nothing before the room has a name.
pub(super) fn send_text(room: u64, index: u64, known: Known<'_>) -> Option<String> {
    let (topic, id) = (known.names.of(room)?, bobchat::request_of(index).to_string());
    let head = Head { key: known.messages.key(index) };
    let publish = json!({ "id": id, "topic": topic, "head": head, "content": known.messages.text(index) });
    Some(json!({ "pub": publish }).to_string())
}

pub(super) fn decode(frame: &[u8], known: Known<'_>) -> anyhow::Result<Incoming> {
    match serde_json::from_slice(frame).context("Tinode said what is none of its messages")? {
        Said { data: Some(data), .. } => message(data, known),
        Said { ctrl: Some(ctrl), .. } => control(ctrl, known),
        Said { meta: Some(meta), .. } => described(&meta),
        Said { pres: Some(_), .. } | Said { info: Some(_), .. } => Ok(Incoming::Signal),
        _ => bail!("Tinode said what is none of its messages: {}", String::from_utf8_lossy(frame)),
    }
}

fn message(data: Data, known: Known<'_>) -> anyhow::Result<Incoming> {
    let room = known.names.room(&data.topic).context("a message in a group of somebody else")?;
    let index = data.head.and_then(|head| known.messages.index(&head.key));
    Ok(super::event(room, data.seq, index, data.content))
}

fn control(ctrl: Ctrl, known: Known<'_>) -> anyhow::Result<Incoming> {
    let Some(request) = ctrl.id.as_deref() else { return Ok(unasked(ctrl)) };
    let request = number(request)?;
    let is_done = matches!(ctrl.code, 200..=299 | NOT_MODIFIED);
    if let Some(index) = bobchat::index_of(request) {
        return if is_done {
            taken(index, &ctrl, known)
        } else {
            Ok(Incoming::Refused { index, error: error(ctrl, "") })
        };
    }
    Ok(match (entered_room(request), is_done) {
        (Some(room), true) => Incoming::Named { room, name: ctrl.topic },
        (None, true) => super::done(request),
        (Some(_), false) if ctrl.code == POLICY => {
            let remedy =
                "raise max_subscriber_count in tinode.conf, for a group takes 128 members unless that says more";
            Incoming::Answer { request, result: Err(error(ctrl, remedy)) }
        }
        (None, false) if request == ACCOUNT_REQUEST => {
            let remedy =
                "allow accounts of the scheme anonymous in tinode.conf: auth_config, and acc_validation without anon";
            Incoming::Answer { request, result: Err(error(ctrl, remedy)) }
        }
        (_, false) => Incoming::Answer { request, result: Err(error(ctrl, "")) },
    })
}

/// A message was stored.
fn taken(index: u64, ctrl: &Ctrl, known: Known<'_>) -> anyhow::Result<Incoming> {
    let seq = ctrl.params.get("seq").and_then(serde_json::Value::as_u64).context("an ack without a seq")?;
    let room = known.names.room(&ctrl.topic).context("an ack in a group of somebody else")?;
    Ok(Incoming::Ack { index, placed: Some(Placed { room, seq, id: seq }) })
}

/// What the server says by itself: that it stops, for instance.
fn unasked(ctrl: Ctrl) -> Incoming {
    match ctrl.code {
        200..=204 => Incoming::Signal,
        _ => Incoming::Failure(error(ctrl, "")),
    }
}

/// A group's description ends entering it.
fn described(meta: &Meta) -> anyhow::Result<Incoming> {
    let (Some(id), Some(Description { seq })) = (meta.id.as_deref(), meta.desc.as_ref()) else {
        return Ok(Incoming::Signal);
    };
    let request = number(id)?;
    let room = entered_room(request).context("a description that nobody asked for")?;
    Ok(super::joined(request, room, *seq))
}

/// The room that a request enters.
const fn entered_room(request: u64) -> Option<u64> {
    match request.checked_sub(ROOM_REQUEST) {
        Some(rooms) if rooms.is_multiple_of(2) => Some(rooms / 2),
        _ => None,
    }
}

fn number(id: &str) -> anyhow::Result<u64> {
    id.parse().with_context(|| format!("an answer to {id:?}, which nobody asked"))
}

fn error(ctrl: Ctrl, remedy: &str) -> wire::Error {
    let message = if remedy.is_empty() { ctrl.text } else { format!("{}; {remedy}", ctrl.text) };
    wire::Error { code: ctrl.code.to_string(), message, temporary: ctrl.code >= 500, ..wire::Error::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Names;
    use crate::message::Messages;

    /// Somebody in room 7, which the server calls `grp1`.
    struct Member {
        messages: Messages,
        names: Names,
    }

    impl Member {
        fn new() -> Self {
            let names = Names::default();
            names.give(7, "grp1".to_owned());
            Self { messages: Messages::new(40).unwrap(), names }
        }

        fn known(&self) -> Known<'_> {
            Known { messages: &self.messages, names: &self.names }
        }

        fn hears(&self, said: &serde_json::Value) -> Incoming {
            decode(said.to_string().as_bytes(), self.known()).unwrap()
        }

        /// What a request is refused with.
        fn refusal(&self, id: &str, code: u32, text: &str) -> wire::Error {
            match self.hears(&json!({ "ctrl": { "id": id, "topic": "grp1", "code": code, "text": text } })) {
                Incoming::Answer { result: Err(error), .. } | Incoming::Refused { error, .. } => error,
                other => panic!("{other:?}"),
            }
        }
    }

    fn parsed(text: &str) -> serde_json::Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_is_asked_is_what_the_documentation_has() {
        let member = Member::new();
        let [hello, account] = greetings();
        assert_eq!(parsed(&hello.text), json!({ "hi": { "id": "1", "ver": "0.22", "ua": "bobchat-loadtest" } }));
        let anonymous = json!({ "acc": { "id": "3", "user": "new", "scheme": "anonymous", "login": true } });
        assert_eq!((account.request, parsed(&account.text)), (3, anonymous));
        let set = json!({ "desc": { "defacs": { "auth": "JRW", "anon": "JRW" } }, "sub": { "mode": "JRW" } });
        let making = json!({ "sub": { "id": "19", "topic": "new7", "set": set, "get": { "what": "desc" } } });
        assert_eq!(parsed(&entrance(7, None).text), making);
        let entering = json!({ "sub": { "id": "19", "topic": "grp1", "get": { "what": "desc" } } });
        assert_eq!(parsed(&entrance(7, Some("grp1")).text), entering);
        let (key, text) = (member.messages.key(4), member.messages.text(4));
        let publish = json!({ "id": "10", "topic": "grp1", "head": { "x-bobchat-key": key }, "content": text });
        assert_eq!(parsed(&send_text(7, 4, member.known()).unwrap()), json!({ "pub": publish }));
        assert!(send_text(8, 4, member.known()).is_none(), "a room without a name");
    }

    #[test]
    fn a_group_is_named_before_it_is_described_and_only_then_entered() {
        let member = Member::new();
        let params = json!({ "acs": { "want": "JRWO", "given": "JRWPASDO", "mode": "JRWO" }, "tmpname": "new9" });
        let made = json!({ "id": "23", "topic": "grp2", "code": 200, "text": "ok", "params": params });
        let Incoming::Named { room: 9, name } = member.hears(&json!({ "ctrl": made })) else { panic!() };
        assert_eq!(name, "grp2");
        for (desc, head) in [(json!({ "acs": {} }), 0), (json!({ "seq": 5 }), 5)] {
            let meta = json!({ "meta": { "id": "23", "topic": "grp2", "desc": desc } });
            let Incoming::Answer { request: 23, result: Ok(result) } = member.hears(&meta) else { panic!() };
            let wire::ok::Result::Subscribe(subscribed) = *result else { panic!() };
            assert_eq!((subscribed.room, subscribed.head.map(|head| head.seq)), (9, Some(head)));
        }
    }

    #[test]
    fn what_the_server_says_is_told_apart() {
        let member = Member::new();
        let hello = json!({ "ctrl": { "id": "1", "code": 201, "text": "created", "params": { "ver": "0.22" } } });
        assert!(matches!(member.hears(&hello), Incoming::Answer { request: ENTER_REQUEST, result: Ok(_) }));
        let account = json!({ "ctrl": { "id": "3", "code": 200, "text": "ok", "params": { "user": "usr1" } } });
        assert!(matches!(member.hears(&account), Incoming::Answer { request: ACCOUNT_REQUEST, result: Ok(_) }));
        let ack = json!({ "id": "10", "topic": "grp1", "code": 202, "text": "accepted", "params": { "seq": 6 } });
        let Incoming::Ack { index: 4, placed } = member.hears(&json!({ "ctrl": ack })) else { panic!() };
        assert_eq!(placed, Some(Placed { room: 7, seq: 6, id: 6 }));
        let (key, text) = (member.messages.key(4), member.messages.text(4));
        let head = json!({ "x-bobchat-key": key });
        let data = json!({ "topic": "grp1", "from": "usr1", "seq": 6, "head": head, "content": text });
        let Incoming::Event(delivery) = member.hears(&json!({ "data": data })) else { panic!() };
        let said = delivery.said.unwrap();
        assert_eq!((delivery.room, delivery.seq, said.index, said.text), (7, 6, Some(4), text));
        for nothing in [json!({ "pres": { "topic": "grp1", "what": "on" } }), json!({ "info": { "what": "kp" } })] {
            assert!(matches!(member.hears(&nothing), Incoming::Signal));
        }
        let stops = json!({ "ctrl": { "code": 205, "text": "server shutdown" } });
        assert!(matches!(member.hears(&stops), Incoming::Failure(error) if error.code == "205"));
        assert!(decode(br#"{"data":{"topic":"grp2","seq":1,"content":"x"}}"#, member.known()).is_err());
        assert!(decode(b"{}", member.known()).is_err());
    }

    #[test]
    fn a_refusal_says_what_to_configure() {
        let member = Member::new();
        assert!(member.refusal("19", POLICY, "policy violation").message.contains("max_subscriber_count"));
        assert!(member.refusal("3", POLICY, "policy violation").message.contains("acc_validation"));
        assert!(member.refusal("3", 300, "validate credentials").message.contains("anonymous"));
        let busy = member.refusal("10", 503, "service unavailable");
        assert_eq!((busy.message.as_str(), busy.temporary), ("service unavailable", true));
    }
}
