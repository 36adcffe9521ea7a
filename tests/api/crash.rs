//! What a crash loses: nothing that was acknowledged.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::Client;
use crate::process::Process;

/// Kills in the middle of load.
const ROUNDS: usize = 20;

/// People who send at the same time.
const SENDERS: usize = 4;

/// Messages of one sender that are not acknowledged yet.
const WINDOW: usize = 16;

/// What one sender knows of its messages.
#[derive(Default)]
struct Outbox {
    acked: HashMap<String, Value>,
    /// Sent, and not answered when the server died.
    pending: Vec<String>,
    made: usize,
}

impl Outbox {
    /// Sends what is pending again, then new messages, until the server dies.
    async fn send_until_death(&mut self, sender: usize, mut client: Client, room: String) {
        let mut asked: HashMap<u64, String> = HashMap::new();
        for key in std::mem::take(&mut self.pending) {
            self.send(&mut client, &room, key, &mut asked).await;
        }
        loop {
            while asked.len() < WINDOW {
                self.made += 1;
                let key = format!("s{sender}-{}", self.made);
                self.send(&mut client, &room, key, &mut asked).await;
            }
            let Some(frame) = client.try_read().await else { break };
            let Some(key) = frame["id"].as_u64().and_then(|id| asked.remove(&id)) else { continue };
            let ack = frame["ok"]["message_send"].clone();
            assert!(ack.is_object(), "{frame}");
            if let Some(before) = self.acked.insert(key, ack.clone()) {
                assert_eq!(before, ack, "the same key, the same answer");
            }
        }
        self.pending = asked.into_values().collect();
    }

    async fn send(&self, client: &mut Client, room: &str, key: String, asked: &mut HashMap<u64, String>) {
        let id = client.next_id();
        asked.insert(id, key.clone());
        client.try_ask(id, "message_send", json!({"room": room, "key": key, "text": key})).await;
    }
}

#[tokio::test]
async fn twenty_kills_in_the_middle_of_load_lose_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut server = Process::start(&data);
    let tokens: Vec<String> =
        (0..SENDERS).map(|sender| server.guest(&format!("sender {sender}")).access_token).collect();
    let mut owner = Client::signed_in(server.address, &tokens[0]).await;
    let room = owner.make_room("load").await;
    for token in &tokens {
        Client::signed_in(server.address, token).await.join(&room).await;
    }
    let mut outboxes: Vec<Outbox> = (0..SENDERS).map(|_| Outbox::default()).collect();
    for round in 0..ROUNDS {
        let mut clients = Vec::new();
        for token in &tokens {
            clients.push(Client::signed_in(server.address, token).await);
        }
        // Different moments of the load: right at its start, and later.
        let delay = Duration::from_millis(40 + 35 * (round as u64 * 7 % 10));
        let killer = tokio::task::spawn_blocking(move || {
            std::thread::sleep(delay);
            server.kill();
        });
        let senders = outboxes
            .iter_mut()
            .zip(clients)
            .enumerate()
            .map(|(sender, (outbox, client))| outbox.send_until_death(sender, client, room.clone()));
        futures_util::future::join_all(senders).await;
        killer.await.unwrap();
        server = Process::start(&data);
    }
    let history = read_all(server.address, &tokens[0], &room).await;
    check(&history, &outboxes);
}

/// Every event of the room, as a reader sees it.
async fn read_all(address: SocketAddr, token: &str, room: &str) -> Vec<Value> {
    let mut reader = Client::signed_in(address, token).await;
    let mut events: Vec<Value> = Vec::new();
    loop {
        let after = events.last().map_or(0, |event| event["seq"].as_u64().unwrap());
        let page = reader.ok("room_events", json!({"room": room, "after": after, "limit": 200})).await;
        events.extend(page["events"].as_array().unwrap().iter().cloned());
        if page["has_more"] == false {
            return events;
        }
    }
}

fn check(history: &[Value], outboxes: &[Outbox]) {
    let seqs: Vec<u64> = history.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "dense");
    let messages: Vec<&Value> = history.iter().filter(|event| event["message"].is_object()).collect();
    let keys: HashSet<&str> = messages.iter().map(|event| event["key"].as_str().unwrap()).collect();
    assert_eq!(keys.len(), messages.len(), "no message twice");
    let by_key: HashMap<&str, &Value> = messages.iter().map(|event| (event["key"].as_str().unwrap(), *event)).collect();
    let mut acked = 0;
    for outbox in outboxes {
        acked += outbox.acked.len();
        for (key, ack) in &outbox.acked {
            let event = by_key.get(key.as_str()).unwrap_or_else(|| panic!("{key} was acknowledged and is lost"));
            assert_eq!((&event["seq"], &event["id"]), (&ack["position"]["seq"], &ack["id"]), "{key}");
            assert_eq!(event["message"]["text"], key.as_str(), "unchanged");
        }
    }
    let known: HashSet<&String> =
        outboxes.iter().flat_map(|outbox| outbox.acked.keys().chain(&outbox.pending)).collect();
    assert!(by_key.keys().all(|key| known.contains(&(*key).to_owned())), "nothing that nobody sent");
    assert!(acked > ROUNDS * SENDERS, "the load was none: {acked} acknowledged");
    println!("{acked} messages acknowledged over {ROUNDS} kills, {} in history", messages.len());
}
