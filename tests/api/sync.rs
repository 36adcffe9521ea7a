//! What SIGKILL cannot show: that an acknowledgement waits for the disk. The system's calls show it.

use std::path::Path;

use serde_json::json;

use crate::client::Client;
use crate::process::Process;

/// Something in a trace that matters here, in order.
#[derive(Debug, PartialEq, Eq)]
enum Call {
    SyncBegins,
    SyncEnds,
    /// The message with this number, or its acknowledgement, went to a socket.
    Leaves(usize),
}

/// Log protocol, rule 35.
#[tokio::test]
async fn every_ack_and_every_event_leaves_after_the_sync_that_covers_it() {
    const MESSAGES: usize = 30;
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let calls = "trace=fdatasync,fsync,write,writev,sendto,sendmsg";
    let strace = ["strace", "-f", "-s", "400", "-e", calls, "-o", trace.to_str().unwrap()];
    let server = Process::under(&strace, &folder.path().join("data"), &[]);
    let (ada, bob) = (server.guest("Ada"), server.guest("Bob"));
    let mut ada = Client::signed_in(server.address, &ada.access_token).await;
    let mut bob = Client::signed_in(server.address, &bob.access_token).await;
    let room = ada.make_room("traced").await;
    bob.join(&room).await;
    bob.subscribe(&room).await;
    for number in 0..MESSAGES {
        ada.say(&room, &format!("marked-{number}-end")).await;
        for person in [&mut ada, &mut bob] {
            while person.event().await["message"]["text"] != format!("marked-{number}-end") {}
        }
    }
    drop(server);
    let calls = read_trace(&trace);
    // One message at a time: a whole sync lies between the last trace of one and the first of the next.
    let mut synced_from = 0;
    for number in 0..MESSAGES {
        let leaving = |call: &Call| *call == Call::Leaves(number);
        let first = calls.iter().position(leaving).unwrap_or_else(|| panic!("message {number} left no trace"));
        let before = &calls[synced_from..first];
        let began = before.iter().position(|call| *call == Call::SyncBegins);
        let ended = before.iter().rposition(|call| *call == Call::SyncEnds);
        assert!(began.is_some_and(|began| Some(began) < ended), "message {number} left before its sync: {before:?}");
        let leaves = calls.iter().filter(|call| leaving(call)).count();
        assert_eq!(leaves, 3, "message {number}: an ack and two events");
        synced_from = calls.iter().rposition(leaving).unwrap();
    }
}

fn read_trace(path: &Path) -> Vec<Call> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut acks = 0;
    let mut calls = Vec::new();
    for line in text.lines() {
        if line.contains("fdatasync") || line.contains("fsync") {
            if !line.contains("resumed>") {
                calls.push(Call::SyncBegins);
            }
            if !line.contains("unfinished") {
                calls.push(Call::SyncEnds);
            }
        } else if line.contains("message_send") && line.contains("ordinal") {
            calls.push(Call::Leaves(acks));
            acks += 1;
        } else if let Some(rest) = line.split("marked-").nth(1) {
            let number = rest.split("-end").next().unwrap().parse().unwrap();
            calls.push(Call::Leaves(number));
        }
    }
    calls
}

#[tokio::test]
async fn a_failed_sync_ends_the_process_and_no_ack_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let pipes = folder.path().join("fiu");
    let fiu = ["fiu-run", "-x", "-f", pipes.to_str().unwrap()];
    let mut server = Process::under(&fiu, &folder.path().join("data"), &[]);
    let ada = server.guest("Ada");
    let mut ada = Client::signed_in(server.address, &ada.access_token).await;
    let room = ada.make_room("doomed").await;
    ada.say(&room, "safe").await;
    let enabled = std::process::Command::new("fiu-ctrl")
        .args(["-f", pipes.to_str().unwrap(), "-c", "enable name=posix/io/sync/fdatasync,failinfo=5"])
        .arg(server.id().to_string())
        .status()
        .unwrap();
    assert!(enabled.success());
    let id = ada.next_id();
    ada.try_ask(id, "message_send", json!({"room": room, "key": "lost", "text": "lost"})).await;
    while let Some(frame) = ada.try_read().await {
        assert_ne!(frame["id"], id, "an answer left although the sync failed: {frame}");
        assert_ne!(frame["event"]["message"]["text"], "lost", "an event left although the sync failed");
    }
    assert!(server.ends(), "the process goes on after a failed sync");
}
