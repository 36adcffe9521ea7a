//! What hostile clients cost: memory that is bounded, and nothing to anybody else.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;

use crate::client::Client;
use crate::process::Process;
use crate::sockets::raw;

const MIB: u64 = 1 << 20;

/// What one hostile client of any kind may cost.
const EACH_MAX: u64 = 2 * MIB;

/// A send takes some milliseconds; so long on a machine that is busy with other things too.
const UNDISTURBED: Duration = Duration::from_secs(15);

/// Clients of one kind at a time: enough that what each costs stands out from the noise.
const CLIENTS: u64 = 20;

/// Bytes that a kind of hostile client sends on its connection.
fn attacks() -> Vec<(&'static str, Vec<u8>)> {
    let chain = [0x00, 0x80, 0, 0, 0, 0].repeat(10_000);
    let mut endless = vec![0x01, 0x80, 0, 0, 0, 0];
    endless.extend(chain);
    let mut filled = vec![0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4];
    filled.extend(vec![0x55; 4 << 20]);
    vec![
        ("a frame that declares 1 TiB, and 4 MiB of it", filled),
        ("an endless chain of fragments", endless),
        ("ten thousand pings", [0x89, 0x80, 0, 0, 0, 0].repeat(10_000)),
        ("unmasked frames", [0x81, 0x02, b'{', b'}'].repeat(10_000)),
        ("one byte of a frame", vec![0x81]),
        ("nothing", vec![]),
    ]
}

#[tokio::test]
async fn each_kind_of_hostile_client_costs_little_and_disturbs_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(&folder.path().join("data"));
    let mut ada = Client::signed_in(server.address, &server.guest("Ada").access_token).await;
    let room = ada.make_room("healthy").await;
    for (name, bytes) in attacks() {
        let before = server.resident_bytes();
        let mut hostile = Vec::new();
        for _ in 0..CLIENTS {
            let mut stream = raw(server.address).await;
            // The server may have closed before all of it is out.
            let _ = tokio::time::timeout(Duration::from_secs(5), stream.write_all(&bytes)).await;
            hostile.push(stream);
        }
        let asked = Instant::now();
        ada.say(&room, "others go on").await;
        let answered = asked.elapsed();
        let after = server.resident_bytes();
        let each = after.saturating_sub(before) / CLIENTS;
        println!("{name}: {each} bytes each, a healthy send took {answered:?}");
        assert!(each < EACH_MAX, "{name}: {each} bytes each");
        assert!(answered < UNDISTURBED, "{name}: a healthy send took {answered:?}");
    }
}

#[tokio::test]
async fn a_thousand_clients_that_never_read_cost_what_the_bound_for_all_allows() {
    const SILENT: usize = 1_000;
    const TOTAL_MAX: u64 = 16 * MIB;
    let folder = tempfile::tempdir().unwrap();
    let total = ("LIMITS__OUTBOUND_BYTES_TOTAL_MAX", "16MiB");
    let server = Process::under(&[], &folder.path().join("data"), &[total]);
    let grant = server.guest("Ada");
    let mut ada = Client::signed_in(server.address, &grant.access_token).await;
    let room = ada.make_room("loud").await;
    let silent_token = server.guest("Silent").access_token;
    let mut silent = Vec::new();
    for number in 0..SILENT {
        let mut client = Client::signed_in(server.address, &silent_token).await;
        if number == 0 {
            client.join(&room).await;
        }
        client.subscribe(&room).await;
        silent.push(client);
    }
    let before = server.resident_bytes();
    let text = "x".repeat(7_900);
    let mut most = 0;
    // 12 MiB a client: past the sockets' own buffers for all of them.
    for round in 0..30 {
        ada.say_many(&room, round * 50, 50, |_| text.clone()).await;
        most = most.max(server.resident_bytes().saturating_sub(before));
    }
    println!("{SILENT} clients that never read: {} KiB at most", most / 1024);
    // The batch on its way, the room's ring and the allocator come on top.
    assert!(most < TOTAL_MAX + 48 * MIB, "{most} bytes");
    let healthy = ada.say(&room, "still here").await;
    assert!(healthy["ordinal"].as_u64().unwrap() > 1_500);
}
