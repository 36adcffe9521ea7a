//! A server that speaks as much of Tinode's protocol as the harness uses, and refuses what Tinode refuses: written from
//! the protocol's documentation. In memory.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::ws;

/// What a Tinode answers with at any time.
const NOW: &str = "2026-11-23T06:00:00.000Z";

/// How the server is configured.
#[derive(Clone)]
pub struct Tinode {
    pub api_key: &'static str,
    pub max_subscriber_count: usize,
    /// Whether people may sign up without credentials.
    pub anonymous: bool,
    /// Leaves out one delivery in so many.
    pub loses_one_in: Option<u64>,
}

impl Default for Tinode {
    /// As Tinode comes.
    fn default() -> Self {
        let api_key = "AQEAAAABAAD_rAp4DJh05a1HAwFT3A6K";
        Self { api_key, max_subscriber_count: 128, anonymous: true, loses_one_in: None }
    }
}

/// One connection.
#[derive(Default)]
struct Session {
    said_hello: bool,
    user: Option<String>,
}

/// A user in a group, there with a connection.
struct Member {
    user: String,
    /// What they may do, a letter each.
    mode: String,
    sender: mpsc::UnboundedSender<Vec<u8>>,
}

#[derive(Default)]
struct Group {
    seq: u64,
    /// What whoever enters may do, if they are anonymous.
    anonymous_mode: String,
    members: Vec<Member>,
}

struct State {
    configured: Tinode,
    users: u64,
    deliveries: u64,
    groups: HashMap<String, Group>,
}

/// A way out to a client.
type Out = mpsc::UnboundedSender<Vec<u8>>;

impl Tinode {
    /// Starts the server on a thread of its own.
    pub fn start(self) -> SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let state = State { configured: self, users: 0, deliveries: 0, groups: HashMap::new() };
                let state = Arc::new(Mutex::new(state));
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, Arc::clone(&state)));
                }
            });
        });
        address
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    stream.set_nodelay(true).unwrap();
    let mut buffer = BytesMut::with_capacity(64 * 1024);
    let Some(head) = ws::read_head(&mut stream, &mut buffer).await else { return };
    let path = format!("/v0/channels?apikey={}", state.lock().unwrap().configured.api_key);
    if head.split(' ').nth(1) != Some(path.as_str()) {
        let refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
        return stream.write_all(refusal).await.unwrap_or_default();
    }
    ws::upgrade(&mut stream, &ws::header(&head, "sec-websocket-key").unwrap(), None).await;
    let (mut read, mut write) = stream.into_split();
    let (out, mut outgoing) = mpsc::unbounded_channel::<Vec<u8>>();
    let writer = tokio::spawn(async move {
        while let Some(bytes) = outgoing.recv().await {
            if write.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let mut session = Session::default();
    loop {
        while let Some((opcode, payload)) = ws::client_frame(&mut buffer) {
            if opcode == ws::TEXT {
                let asked: Value = serde_json::from_slice(&payload).unwrap();
                answer(&asked, &mut session, &out, &mut state.lock().unwrap());
            }
        }
        if read.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
            return writer.abort();
        }
    }
}

fn say(out: &Out, said: &Value) {
    // A client that went away misses nothing.
    let _ = out.send(ws::frame(ws::TEXT, said.to_string().as_bytes()));
}

/// What comes of a request; parameters are left out where there are none.
fn control(asked: &Value, topic: Option<&str>, (code, text): (u16, &str), params: Value) -> Value {
    let mut ctrl = json!({ "id": asked["id"], "code": code, "text": text, "ts": NOW });
    if let Some(topic) = topic {
        ctrl["topic"] = json!(topic);
    }
    if !params.is_null() {
        ctrl["params"] = params;
    }
    json!({ "ctrl": ctrl })
}

fn answer(asked: &Value, session: &mut Session, out: &Out, state: &mut State) {
    let (name, asked) = asked.as_object().unwrap().iter().next().unwrap();
    let topic = asked["topic"].as_str();
    if name == "hi" {
        session.said_hello = true;
        let limit = state.configured.max_subscriber_count;
        let params = json!({ "ver": "0.22", "build": "postgres:undef", "maxSubscriberCount": limit });
        return say(out, &control(asked, None, (201, "created"), params));
    }
    if !session.said_hello {
        return say(out, &control(asked, topic, (409, "command out of sequence"), Value::Null));
    }
    match (name.as_str(), &session.user) {
        ("acc", None) => sign_up(asked, session, out, state),
        ("acc", Some(_)) => say(out, &control(asked, None, (409, "already authenticated"), Value::Null)),
        ("sub", Some(user)) => subscribe(asked, user, out, state),
        ("pub", Some(user)) => publish(asked, user, out, state),
        // Who reads and who types: never answered.
        ("note", _) => {}
        ("sub" | "pub", None) => say(out, &control(asked, topic, (401, "authentication required"), Value::Null)),
        (other, _) => panic!("the small server does not know {other}"),
    }
}

fn sign_up(asked: &Value, session: &mut Session, out: &Out, state: &mut State) {
    assert!(asked["user"].as_str().unwrap().starts_with("new") && asked["login"] == true, "{asked}");
    if asked["scheme"] != "anonymous" || !state.configured.anonymous {
        return say(out, &control(asked, None, (422, "policy violation"), json!({ "creds": ["email"] })));
    }
    state.users += 1;
    let user = format!("usr{:011}", state.users);
    let params = json!({ "user": user, "authlvl": "anon", "token": "dG9rZW4=", "expires": NOW, "desc": {} });
    session.user = Some(user);
    say(out, &control(asked, None, (200, "ok"), params));
}

/// Makes a group or enters one, and describes it if that is asked.
fn subscribe(asked: &Value, user: &str, out: &Out, state: &mut State) {
    let topic = asked["topic"].as_str().unwrap();
    let is_new = topic.starts_with("new");
    let name = if is_new { format!("grp{:011}", state.groups.len() + 1) } else { topic.to_owned() };
    let limit = state.configured.max_subscriber_count;
    if is_new {
        let anonymous_mode = asked["set"]["desc"]["defacs"]["anon"].as_str().unwrap_or("N").to_owned();
        state.groups.insert(name.clone(), Group { anonymous_mode, ..Group::default() });
    }
    let refuse = |code| say(out, &control(asked, Some(topic), code, Value::Null));
    let Some(group) = state.groups.get_mut(&name) else { return refuse((404, "topic not found")) };
    if group.members.iter().any(|member| member.user == user) {
        return refuse((304, "already subscribed"));
    }
    if group.members.len() >= limit {
        return refuse((422, "policy violation"));
    }
    // Whoever made it owns it, with all rights that they want.
    let wanted = asked["set"]["sub"]["mode"].as_str().unwrap_or("JRWPASD");
    let mode = if is_new { format!("{wanted}O") } else { group.anonymous_mode.clone() };
    if !mode.contains('J') {
        return refuse((403, "permission denied"));
    }
    let mut params = json!({ "acs": { "want": mode, "given": mode, "mode": mode } });
    if is_new {
        params["tmpname"] = json!(topic);
    }
    say(out, &control(asked, Some(&name), (200, "ok"), params));
    // Who owns a group is told of whoever enters.
    let entered = json!({ "pres": { "topic": name, "src": user, "what": "acs", "dacs": { "want": mode } } });
    group.members.iter().filter(|member| member.mode.contains('O')).for_each(|owner| say(&owner.sender, &entered));
    group.members.push(Member { user: user.to_owned(), mode, sender: out.clone() });
    if asked["get"]["what"] == "desc" {
        let mut desc = json!({ "created": NOW, "updated": NOW });
        if group.seq > 0 {
            desc["seq"] = json!(group.seq);
        }
        say(out, &json!({ "meta": { "id": asked["id"], "topic": name, "ts": NOW, "desc": desc } }));
    }
}

/// Takes a message, acks it, and gives it to everybody in the group.
fn publish(asked: &Value, user: &str, out: &Out, state: &mut State) {
    let topic = asked["topic"].as_str().unwrap();
    let group = state.groups.get_mut(topic);
    let Some(group) = group.filter(|group| group.members.iter().any(|member| member.user == user)) else {
        return say(out, &control(asked, Some(topic), (409, "must attach first"), Value::Null));
    };
    group.seq += 1;
    say(out, &control(asked, Some(topic), (202, "accepted"), json!({ "seq": group.seq })));
    let (head, content) = (&asked["head"], &asked["content"]);
    let data = json!({ "topic": topic, "from": user, "ts": NOW, "seq": group.seq, "head": head, "content": content });
    let said = json!({ "data": data });
    let skips = |member: &Member| asked["noecho"] == true && member.sender.same_channel(out);
    for member in group.members.iter().filter(|member| member.mode.contains('R') && !skips(member)) {
        state.deliveries += 1;
        if state.configured.loses_one_in.is_none_or(|every| !state.deliveries.is_multiple_of(every)) {
            say(&member.sender, &said);
        }
    }
}
