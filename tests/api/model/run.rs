//! Real people at a real server, and beside it what they should see.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::reference::{Entry, Reference};
use super::{PEOPLE, ROOMS, Step};
use crate::client::Client;
use crate::process::Process;

/// A message that somebody was told stands in a room.
struct Sent {
    who: usize,
    room: usize,
    key: String,
    text: String,
    /// The answer, which is the same each time.
    answer: Value,
}

/// What one person has of one room.
#[derive(Clone, Copy, Default)]
struct Window {
    /// Whether events come.
    receives: bool,
    /// The seq of the newest event that was seen.
    seen: u64,
}

#[derive(Default)]
struct Person {
    token: String,
    id: String,
    client: Option<Client>,
    windows: [Window; ROOMS],
}

/// A server under test.
pub(super) struct Run {
    server: Option<Process>,
    data: TempDir,
    people: Vec<Person>,
    /// The identifiers of the rooms.
    rooms: Vec<String>,
    references: Vec<Reference>,
    sent: Vec<Sent>,
    made: usize,
}

impl Run {
    /// A server with people and rooms that the first of them has made.
    pub(super) async fn begin() -> Self {
        let data = tempfile::tempdir().unwrap();
        let server = Process::start(&data.path().join("data"));
        let mut people = Vec::new();
        for number in 0..PEOPLE {
            let grant = server.guest(&format!("Person {number}"));
            let id = grant.user.unwrap().id.to_string();
            people.push(Person { token: grant.access_token, id, ..Person::default() });
        }
        let references = vec![Reference::made(PEOPLE, true), Reference::made(PEOPLE, false)];
        let (server, rooms, sent) = (Some(server), Vec::new(), Vec::new());
        let mut run = Self { server, data, people, rooms, references, sent, made: 0 };
        for (name, history) in [("open", "everything"), ("closed", "from_join")] {
            let owner = run.client(0).await;
            let made = owner.ok("room_create", json!({"name": name, "key": name, "history": history})).await;
            let room = made["room"]["id"].as_str().unwrap().to_owned();
            owner.ok("subscribe", json!({"room": room, "cursor": {"epoch": 1, "seq": 1}})).await;
            run.people[0].windows[run.rooms.len()] = Window { receives: true, seen: 1 };
            run.rooms.push(room);
        }
        run
    }

    /// Does a step, then everybody who is here hears of it, and of nothing else.
    pub(super) async fn take(&mut self, step: Step) {
        match step {
            Step::Say { who, room, count } => self.say(who, room, count).await,
            Step::Retry { which, other_text } if !self.sent.is_empty() => {
                self.retry(which.index(self.sent.len()), other_text).await;
            }
            Step::Retry { .. } => {}
            Step::LoseAnswers { who, room, count } => {
                let messages = self.send_unheard(who, room, count).await;
                self.people[who].client = None;
                self.send_again(who, room, messages).await;
            }
            Step::Crash { who, room, count } => {
                let messages = self.send_unheard(who, room, count).await;
                self.crash();
                self.send_again(who, room, messages).await;
            }
            Step::Join { who, room } => self.join(who, room).await,
            Step::Leave { who, room } => self.leave(who, room).await,
            Step::GoAway { who } => self.people[who].client = None,
        }
        for who in 0..PEOPLE {
            self.hear(who).await;
        }
    }

    /// Everybody comes back, hears what they missed and nothing more, and reads all that they may.
    pub(super) async fn end(mut self) {
        for who in 0..PEOPLE {
            self.client(who).await;
            self.hear(who).await;
        }
        let here = self.people.iter_mut().filter_map(|person| person.client.as_mut());
        futures_util::future::join_all(here.map(Client::hears_no_event)).await;
        for (who, room) in (0..PEOPLE).flat_map(|who| (0..ROOMS).map(move |room| (who, room))) {
            let expected = self.references[room].shown(who, 0);
            let request = json!({"room": self.rooms[room], "after": 0, "limit": 200});
            let client = self.client(who).await;
            if expected.is_empty() {
                assert_eq!(client.error("room_events", request).await["code"], "not_a_member");
                continue;
            }
            let page = client.ok("room_events", request).await;
            let read: Vec<_> = page["events"].as_array().unwrap().iter().map(|event| self.entry(event)).collect();
            assert_eq!(read, expected, "what {who} reads in room {room}");
        }
    }

    async fn say(&mut self, who: usize, room: usize, count: usize) {
        let messages = self.make(count);
        let is_member = self.references[room].is_member(who);
        let room_id = self.rooms[room].clone();
        let client = self.client(who).await;
        let mut asked = Vec::new();
        for (key, text) in &messages {
            asked.push(client.ask("message_send", json!({"room": room_id, "key": key, "text": text})).await);
        }
        let mut answers = Vec::new();
        for id in asked {
            answers.push(client.answer(id).await);
        }
        for ((key, text), answer) in messages.into_iter().zip(answers) {
            if is_member {
                self.placed(who, room, key, text, &answer);
            } else {
                assert_eq!(answer["error"]["code"], "not_a_member", "{answer}");
            }
        }
    }

    /// The next place is the only one that a new message can have.
    fn placed(&mut self, who: usize, room: usize, key: String, text: String, answer: &Value) {
        let answer = answer["ok"]["message_send"].clone();
        let seq = self.references[room].say(who, &text);
        assert_eq!(answer["position"], json!({"epoch": 1, "seq": seq}), "{key}: {answer}");
        self.sent.push(Sent { who, room, key, text, answer });
    }

    async fn retry(&mut self, which: usize, other_text: bool) {
        let Sent { who, room, key, text, answer } = &self.sent[which];
        let (who, room, answer) = (*who, *room, answer.clone());
        let text = if other_text { format!("not {text}") } else { text.clone() };
        let request = json!({"room": self.rooms[room], "key": key, "text": text});
        let is_member = self.references[room].is_member(who);
        let client = self.client(who).await;
        if !is_member {
            assert_eq!(client.error("message_send", request).await["code"], "not_a_member");
        } else if other_text {
            assert_eq!(client.error("message_send", request).await["code"], "idempotency_conflict");
        } else {
            assert_eq!(client.ok("message_send", request).await, answer);
        }
    }

    /// Sends without waiting for anything; who is no member sends nothing.
    async fn send_unheard(&mut self, who: usize, room: usize, count: usize) -> Vec<(String, String)> {
        if !self.references[room].is_member(who) {
            return Vec::new();
        }
        let messages = self.make(count);
        let room = self.rooms[room].clone();
        let client = self.client(who).await;
        for (key, text) in &messages {
            let id = client.next_id();
            client.try_ask(id, "message_send", json!({"room": room, "key": key, "text": text})).await;
        }
        messages
    }

    /// Whatever came of them: each of them stands in the room once, in their order.
    async fn send_again(&mut self, who: usize, room: usize, messages: Vec<(String, String)>) {
        for (key, text) in messages {
            let request = json!({"room": self.rooms[room], "key": key, "text": text});
            let client = self.client(who).await;
            let id = client.ask("message_send", request).await;
            let answer = client.answer(id).await;
            self.placed(who, room, key, text, &answer);
        }
    }

    fn crash(&mut self) {
        self.server.take().unwrap().kill();
        self.server = Some(Process::start(&self.data.path().join("data")));
        self.people.iter_mut().for_each(|person| person.client = None);
    }

    async fn join(&mut self, who: usize, room: usize) {
        let id = self.rooms[room].clone();
        let window = self.people[who].windows[room];
        let client = self.client(who).await;
        client.join(&id).await;
        if !window.receives {
            client.ok("subscribe", json!({"room": id, "cursor": {"epoch": 1, "seq": window.seen}})).await;
        }
        self.people[who].windows[room].receives = true;
        self.references[room].join(who);
    }

    async fn leave(&mut self, who: usize, room: usize) {
        let request = json!({"room": self.rooms[room]});
        let client = self.client(who).await;
        let id = client.ask("room_leave", request).await;
        client.answer(id).await;
        self.references[room].leave(who);
    }

    /// Hears everything that came since, in each room in order and without a hole.
    async fn hear(&mut self, who: usize) {
        let Some(mut client) = self.people[who].client.take() else { return };
        let mut windows = self.people[who].windows;
        let expected = (0..ROOMS).filter(|room| windows[*room].receives);
        let mut expected: Vec<_> =
            expected.map(|room| (room, self.references[room].shown(who, windows[room].seen))).collect();
        let count: usize = expected.iter().map(|(_, entries)| entries.len()).sum();
        for _ in 0..count {
            let event = client.event().await;
            let room = self.rooms.iter().position(|id| event["room"] == id.as_str()).unwrap();
            let (_, entries) = expected.iter_mut().find(|(known, _)| *known == room).expect("a room that is received");
            let heard = self.entry(&event);
            assert!(!entries.is_empty() && entries[0] == heard, "{who} in room {room}: {heard:?} before {entries:?}");
            entries.remove(0);
            windows[room].seen = heard.0;
            if heard.1 == Entry::Left(who) {
                windows[room].receives = false;
            }
        }
        self.people[who].windows = windows;
        self.people[who].client = Some(client);
    }

    /// The connection of a person, who comes back from where they were.
    async fn client(&mut self, who: usize) -> &mut Client {
        if self.people[who].client.is_none() {
            let person = &self.people[who];
            let received = (0..ROOMS).filter(|room| person.windows[*room].receives);
            let cursor = |room: usize| json!({"room": self.rooms[room], "epoch": 1, "seq": person.windows[room].seen});
            let cursors: Vec<_> = received.map(cursor).collect();
            let address = self.server.as_ref().unwrap().address;
            let (client, answer) = Client::resumed(address, &person.token, json!(cursors)).await;
            for subscribed in answer["subscribed"].as_array().into_iter().flatten() {
                assert!(subscribed["reset"].is_null() && subscribed["error"].is_null(), "{subscribed}");
            }
            self.people[who].client = Some(client);
        }
        self.people[who].client.as_mut().unwrap()
    }

    fn make(&mut self, count: usize) -> Vec<(String, String)> {
        self.made += count;
        (self.made - count..self.made).map(|number| (format!("key-{number}"), format!("text {number}"))).collect()
    }

    /// An event as the reference has it.
    fn entry(&self, event: &Value) -> (u64, Entry) {
        let person = |id: &Value| self.people.iter().position(|person| id == person.id.as_str()).expect("a person");
        let entry = if let Some(text) = event["message"]["text"].as_str() {
            Entry::Message(person(&event["author"]), text.to_owned())
        } else if event["joined"].is_object() {
            Entry::Joined(person(&event["joined"]["user"]))
        } else if event["left"].is_object() {
            Entry::Left(person(&event["left"]["user"]))
        } else {
            assert!(event["created"].is_object(), "{event}");
            Entry::Created
        };
        (event["seq"].as_u64().unwrap(), entry)
    }
}
