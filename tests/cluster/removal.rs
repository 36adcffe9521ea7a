//! Leaving is exact on every node, also on those that have not heard of it.

use serde_json::json;

use crate::client::Client;
use crate::pool;
use crate::set::sign_up;

/// How often somebody joins and leaves.
const ROUNDS: usize = 20;

/// Talks until it is told to stop, and gives the room's head then.
async fn talk(mut ada: Client, room: String, mut stop: tokio::sync::oneshot::Receiver<()>) -> u64 {
    loop {
        let ack = ada.say(&room, "something").await;
        if stop.try_recv().is_ok() {
            return ack["position"]["seq"].as_u64().unwrap();
        }
    }
}

#[tokio::test]
async fn whoever_left_at_one_node_is_refused_and_hears_nothing_at_the_others() {
    let standing = tokio::task::spawn_blocking(pool::take).await.unwrap();
    let set = &standing.set;
    let (ada, bob) = (sign_up(&set.nodes[0], "Ada"), sign_up(&set.nodes[0], "Bob"));
    let [at_0, at_1, at_2] = [0, 1, 2].map(|node| set.nodes[node].address);
    let mut owner = Client::signed_in(at_2, &ada).await;
    let room = owner.make_room("door").await;
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let talking = tokio::spawn(talk(Client::signed_in(at_2, &ada).await, room.clone(), stopped));
    let mut phone = Client::signed_in(at_0, &bob).await;
    let mut heard: Vec<serde_json::Value> = Vec::new();
    for round in 0..ROUNDS {
        phone.join(&room).await;
        let mut desk = Client::signed_in(at_1, &bob).await;
        desk.subscribe(&room).await;
        let here = json!({ "room": room, "key": format!("here-{round}"), "text": "here" });
        desk.ok("message_send", here).await;
        phone.ok("room_leave", json!({ "room": room })).await;
        // The answer says that it is done: wherever it is tried now, it is refused.
        let send = json!({ "room": room, "key": format!("late-{round}"), "text": "too late" });
        assert_eq!(desk.error("message_send", send.clone()).await["code"], "not_a_member");
        let mut fresh = Client::signed_in(at_2, &bob).await;
        assert_eq!(fresh.error("message_send", send).await["code"], "not_a_member");
        let left = loop {
            let event = desk.event().await;
            heard.push(event.clone());
            if event["left"]["user"] == desk.user.as_str() {
                break event["seq"].as_u64().unwrap();
            }
        };
        desk.hears_no_event().await;
        let last = fresh.ok("message_history", json!({ "room": room })).await;
        let last = last["messages"].as_array().unwrap().last().cloned().unwrap();
        assert!(last["seq"].as_u64().unwrap() < left, "history ends with what was seen as a member: {last}");
    }
    stop.send(()).unwrap();
    let head = talking.await.unwrap();
    assert!(head > heard.last().unwrap()["seq"].as_u64().unwrap(), "there was something not to hear");
    let page = owner.ok("message_history", json!({ "room": room, "limit": 200 })).await;
    assert!(page["messages"].as_array().unwrap().iter().all(|message| message["message"]["text"] != "too late"));
}
