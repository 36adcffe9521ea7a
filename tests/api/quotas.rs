//! Too much of everything: each answer is definite, the quota holds, and what is refused leaves nothing behind.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::client::{Client, PATIENCE};
use crate::rest::Http;
use crate::server::TestServer;

/// What somebody sends who wants to fill the server's memory with one field.
const MEGABYTE: usize = 1 << 20;

/// What an error may take: it names the limit and repeats nothing of what was too long.
const ERROR_BYTES_MAX: usize = 512;

/// All rooms that somebody is a member of.
async fn rooms_of(client: &mut Client) -> Vec<Value> {
    let mut rooms: Vec<Value> = Vec::new();
    loop {
        let after = rooms.last().map(|room| room["id"].clone());
        let page = client.ok("room_list", json!({"after": after, "limit": 200})).await;
        rooms.extend(page["rooms"].as_array().unwrap().iter().cloned());
        if page["has_more"] == false {
            return rooms;
        }
    }
}

/// Asked for one after the other they would be judged by a count that has those before in it. So they are asked for
/// together, on two connections.
#[tokio::test]
async fn ten_thousand_rooms_and_joins_at_once_end_at_the_quota() {
    const ROOMS_MAX: usize = 20;
    const OFFERED: usize = 15;
    const ASKED: usize = 10_000;
    let quota = ROOMS_MAX.to_string();
    let server = TestServer::with(&[
        ("LIMITS__ROOMS_PER_USER", &quota),
        ("LIMITS__FRAMES_BURST", "100000"),
        ("LIMITS__FRAME_BYTES_PER_SECOND", "1GiB"),
        ("LIMITS__REQUESTS_IN_FLIGHT", "1000"),
    ]);
    let mut ada = server.person("Ada").await;
    let mut offered = Vec::new();
    for number in 0..OFFERED {
        offered.push(ada.make_room(&format!("offered-{number}")).await);
    }
    let token = server.guest("Eve").await.access_token;
    let mut eve =
        [Client::signed_in(server.somewhere(), &token).await, Client::signed_in(server.somewhere(), &token).await];
    let mut refused = 0;
    let numbers: Vec<usize> = (0..ASKED).collect();
    for window in numbers.chunks(500) {
        let mut asked = Vec::new();
        for number in window {
            let (request, body) = match number % 4 {
                0 | 1 => ("room_join", json!({"room": offered[number / 4 % OFFERED]})),
                _ => ("room_create", json!({"name": format!("room {number}"), "key": format!("k{number}")})),
            };
            asked.push(eve[number % 2].ask(request, body).await);
        }
        for (number, id) in window.iter().zip(asked) {
            let answer = eve[number % 2].answer(id).await;
            if !answer["ok"].is_object() {
                assert_eq!(answer["error"]["code"], "room_limit", "{answer}");
                refused += 1;
            }
        }
    }
    assert!(refused >= ASKED / 2, "only {refused} were refused");
    assert_eq!(rooms_of(&mut eve[0]).await.len(), ROOMS_MAX);
    // A room left is a place for another one, and others have their own quota.
    let left = rooms_of(&mut eve[0]).await.swap_remove(0)["id"].clone();
    eve[0].ok("room_leave", json!({"room": left})).await;
    eve[1].ok("room_create", json!({"name": "at last", "key": "last"})).await;
    ada.say(&offered[0], "others go on").await;
}

#[tokio::test]
async fn a_topic_that_is_too_long_is_refused_and_one_of_a_megabyte_is_not_even_read() {
    let server = TestServer::start();
    let token = server.guest("Ada").await.access_token;
    let mut ada = Client::signed_in(server.somewhere(), &token).await;
    let room = ada.make_room("tea").await;
    for length in [251, 60_000] {
        let topic = "x".repeat(length);
        for (request, body) in [
            ("room_update", json!({"room": room, "topic": topic})),
            ("room_create", json!({"name": "coffee", "key": "k", "topic": topic})),
        ] {
            let error = ada.error(request, body).await;
            assert_eq!((&error["code"], &error["field"]), (&json!("invalid_request"), &json!("topic")), "{error}");
            assert!(error.to_string().len() < ERROR_BYTES_MAX, "{error}");
        }
    }
    let mut hostile = Client::signed_in(server.somewhere(), &token).await;
    hostile.try_ask(7, "room_update", json!({"room": room, "topic": "x".repeat(MEGABYTE)})).await;
    // What it still sends behind the close frame can overtake it as a reset.
    let code = hostile.closed().await;
    assert!(matches!(code, Some(1009) | None), "{code:?}");
    let rooms = rooms_of(&mut ada).await;
    let topics: Vec<_> =
        rooms.iter().filter(|found| found["id"] == room).map(|room| &room["settings"]["topic"]).collect();
    assert_eq!(topics, [&json!("")]);
    assert!(rooms.iter().all(|room| room["settings"]["name"] != "coffee"), "{rooms:?}");
}

/// Without a declared length only what has come can be judged.
#[test]
fn a_body_of_a_megabyte_is_refused_declared_or_in_chunks() {
    let server = TestServer::start();
    let ada = Http::guest(&server, "Ada");
    let room = ada.make_room("tea");
    let chunk = [format!("{:x}\r\n", 66_000).into_bytes(), b"{\"topic\":\"".to_vec(), vec![b'x'; 65_990]].concat();
    for (length, body) in
        [(format!("content-length: {MEGABYTE}"), vec![]), ("transfer-encoding: chunked".to_owned(), chunk)]
    {
        for target in ["POST /api/v1/rooms".to_owned(), format!("PATCH /api/v1/rooms/{room}")] {
            let mut socket = TcpStream::connect(server.address).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            let head = format!(
                "{target} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n{length}\r\n\r\n",
                ada.token()
            );
            socket.write_all(head.as_bytes()).unwrap();
            socket.write_all(&body).unwrap();
            let mut answer = [0; 12];
            socket.read_exact(&mut answer).unwrap();
            assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 413", "{target} {length}");
        }
    }
    let read = ada.get(&format!("/api/v1/rooms/{room}")).ok(200);
    assert_eq!(read["room"]["settings"]["topic"], "", "{read}");
}
