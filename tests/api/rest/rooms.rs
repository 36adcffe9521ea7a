use serde_json::json;

use super::Http;
use crate::server::TestServer;

#[test]
fn a_guest_lands_in_the_welcome_room_and_finds_out_who_they_are() {
    let server = TestServer::start();
    let ada = Http::guest(&server, "Ada Lovelace");
    assert_eq!(ada.user["handle"], "ada-lovelace");
    assert_eq!(ada.get("/api/v1/me").ok(200), ada.user);
    let rooms = ada.get("/api/v1/rooms").ok(200);
    assert_eq!(rooms["rooms"][0]["settings"]["name"], "welcome");
    assert_eq!(rooms["rooms"][0]["role"], "member");
}

#[test]
fn a_room_is_made_found_joined_changed_and_left() {
    let server = TestServer::start();
    let (ada, bea) = (Http::guest(&server, "Ada"), Http::guest(&server, "Bea"));
    let body = json!({"name": "quince", "topic": "leaves", "kind": "public", "history": "from_join"});
    let made = ada.post("/api/v1/rooms", &body).ok(201);
    let room = made["room"]["id"].as_str().unwrap();
    let settings = json!({"name": "quince", "topic": "leaves", "kind": "public", "history": "from_join"});
    assert_eq!(made["room"]["settings"], settings);
    let found = bea.get("/api/v1/rooms/search?query=QUI").ok(200);
    assert_eq!(found["rooms"][0]["id"], room);
    assert_eq!(found["rooms"][0]["role"], json!(null), "not a member");
    let joined = bea.send("POST", &format!("/api/v1/rooms/{room}/join"), &[], &json!({})).ok(200);
    assert_eq!((&joined["room"]["role"], &joined["room"]["member_count"]), (&json!("member"), &json!(2)));
    let changed = ada.send("PATCH", &format!("/api/v1/rooms/{room}"), &[], &json!({"topic": ""})).ok(200);
    assert_eq!(changed["room"]["settings"]["topic"], "");
    let refused = bea.send("PATCH", &format!("/api/v1/rooms/{room}"), &[], &json!({"topic": "mine"}));
    refused.error(403, "forbidden");
    let members = ada.get(&format!("/api/v1/rooms/{room}/members?limit=1")).ok(200);
    assert_eq!((&members["members"][0]["user"], &members["has_more"]), (&ada.user, &json!(true)));
    let after = ada.user["id"].as_str().unwrap();
    let members = ada.get(&format!("/api/v1/rooms/{room}/members?limit=1&after={after}")).ok(200);
    assert_eq!((&members["members"][0]["user"], &members["has_more"]), (&bea.user, &json!(false)));
    assert_eq!(bea.call("POST", &format!("/api/v1/rooms/{room}/leave"), &[], b"").ok(200), json!({}));
    assert_eq!(ada.get(&format!("/api/v1/rooms/{room}")).ok(200)["room"]["member_count"], 1);
}

#[test]
fn a_private_room_is_entered_by_invitation_and_hidden_from_others() {
    let server = TestServer::start();
    let (ada, bea, eve) = (Http::guest(&server, "Ada"), Http::guest(&server, "Bea"), Http::guest(&server, "Eve"));
    let made = ada.post("/api/v1/rooms", &json!({"name": "nook", "kind": "private"})).ok(201);
    let room = made["room"]["id"].as_str().unwrap();
    ada.post(&format!("/api/v1/rooms/{room}/members"), &json!({"user": bea.user["id"]})).ok(200);
    bea.say(room, "here I am");
    for path in ["", "/members", "/messages", "/events", "/presence"] {
        let hidden = eve.get(&format!("/api/v1/rooms/{room}{path}"));
        let missing = eve.get(&format!("/api/v1/rooms/424242{path}"));
        hidden.error(404, "not_found");
        assert_eq!((hidden.status, hidden.text), (missing.status, missing.text), "{path}");
    }
    assert_eq!(eve.get("/api/v1/rooms/search?query=nook").ok(200)["rooms"], json!([]));
}

#[test]
fn rooms_are_paged_by_their_identifiers() {
    let server = TestServer::start();
    let ada = Http::guest(&server, "Ada");
    let made: Vec<String> = (0..5).map(|number| ada.make_room(&format!("room {number}"))).collect();
    let mut seen = Vec::new();
    let mut path = "/api/v1/rooms?limit=2".to_owned();
    loop {
        let page = ada.get(&path).ok(200);
        let rooms = page["rooms"].as_array().unwrap();
        seen.extend(rooms.iter().map(|room| room["id"].as_str().unwrap().to_owned()));
        if page["has_more"] == json!(false) {
            break;
        }
        assert_eq!(rooms.len(), 2);
        path = format!("/api/v1/rooms?limit=2&after={}", seen.last().unwrap());
    }
    assert_eq!(seen.len(), 6, "and the welcome room");
    assert_eq!(seen[1..], made);
}

#[test]
fn people_are_read_by_their_identifiers() {
    let server = TestServer::start();
    let (ada, bea) = (Http::guest(&server, "Ada"), Http::guest(&server, "Bea"));
    let ids = format!("{},{},424242", ada.user["id"].as_str().unwrap(), bea.user["id"].as_str().unwrap());
    let people = ada.get(&format!("/api/v1/users?ids={ids}")).ok(200);
    assert_eq!(people["users"], json!([ada.user, bea.user]));
    ada.get("/api/v1/users").error(400, "invalid_request");
}
