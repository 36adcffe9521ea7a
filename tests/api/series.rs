//! How much a scrape shows.

use serde_json::json;

use crate::rest::Http;
use crate::server::TestServer;

/// A node that shows more than this costs its Prometheus more than it tells.
const SERIES_MAX: usize = 2_000;

/// Rooms that are asked for at once.
const AT_ONCE: usize = 100;

/// Rooms that are made. `BOBCHAT_ROOMS=100000` makes as many as the bar says: some minutes.
fn rooms() -> usize {
    std::env::var("BOBCHAT_ROOMS").map_or(5_000, |rooms| rooms.parse().expect("a number of rooms"))
}

#[tokio::test]
async fn metrics_do_not_grow_with_rooms() {
    let rooms = rooms();
    let server = TestServer::with(&[
        ("LIMITS__FRAMES_BURST", "1000000"),
        ("LIMITS__FRAME_BYTES_PER_SECOND", "1GiB"),
        ("LIMITS__REQUESTS_IN_FLIGHT", "1000"),
        ("LIMITS__ROOM_IDLE", "1h"),
    ]);
    make_rooms(&server, 0..10).await;
    let few = series(&server).await;
    make_rooms(&server, 10..rooms).await;
    let many = series(&server).await;
    assert_eq!(many, few, "the same with {rooms} rooms as with 10");
    assert!(many.len() <= SERIES_MAX, "{} series", many.len());
    let active = server.count(|metrics| u64::try_from(metrics.rooms.get()).unwrap());
    assert!(active >= rooms as u64, "all of them are in memory: {active}");
    println!("{} series with {active} rooms in memory", many.len());
}

/// Each some by somebody else: who makes a room hears of it, and has to be listened to.
async fn make_rooms(server: &TestServer, numbers: std::ops::Range<usize>) {
    let numbers: Vec<usize> = numbers.collect();
    for some in numbers.chunks(AT_ONCE) {
        let mut ada = server.person("Ada").await;
        let mut missing = some.to_vec();
        // A machine that does other things as well may take too long: whoever does not know asks again.
        while !missing.is_empty() {
            let mut asked = Vec::new();
            for number in std::mem::take(&mut missing) {
                let room = json!({"name": format!("room {number}"), "key": format!("make-{number}")});
                asked.push((ada.ask("room_create", room).await, number));
            }
            for (id, number) in asked {
                let answer = ada.answer(id).await;
                assert!(answer["ok"].is_object() || answer["error"]["temporary"] == true, "{answer}");
                missing.extend(answer["error"].is_object().then_some(number));
            }
        }
    }
}

/// The names and labels of what is shown.
async fn series(server: &TestServer) -> Vec<String> {
    let address = server.admin_address;
    let text = tokio::task::spawn_blocking(move || Http::stranger(address).get("/metrics").text).await.unwrap();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
}
