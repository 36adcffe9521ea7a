//! A verdict rests on the files alone.

use std::io::Write as _;

use bobchat_proto::wire::{self, event::Body};

use super::super::check::NodeLog;
use super::super::history::deed::{Deed, Proof};
use super::super::history::fact::{Fact, Op};
use super::super::history::meta::{End, FORMAT, Meta};
use super::super::history::writer::Writer;
use super::*;

const ROOM: u64 = 7;
const SECOND: u64 = 1_000_000_000;

fn meta() -> Meta {
    Meta {
        format: FORMAT,
        seed: 5,
        version: "alive".to_owned(),
        plant: None,
        store: "embedded".to_owned(),
        nodes: 1,
        clients: 2,
        abusers: 0,
        rooms: 1,
        seconds: 10.0,
        ack: "log".to_owned(),
        schedule: vec!["kill of node 0".to_owned()],
        acks_min: 3,
        recovery_max_ms: 2_000.0,
        end: Some(End { settled_ms: 100.0, settled_again_ms: None, unsettled: None }),
    }
}

fn message(seq: u64) -> wire::Event {
    wire::Event {
        room: ROOM,
        epoch: 1,
        seq,
        at: 1_000 + seq as i64,
        id: 100 + seq,
        author: 50,
        ordinal: Some(seq),
        key: Some(format!("k{seq}")),
        body: Some(Body::Message(wire::Message { text: format!("text {seq}") })),
        ..wire::Event::default()
    }
}

fn kill(bites: bool) -> Deed {
    Deed {
        op: Op { n: 1_000, t_ns: 4 * SECOND },
        fault: "kill".to_owned(),
        target: "node 0".to_owned(),
        from_ns: 2 * SECOND,
        until_ns: 3 * SECOND,
        proof: vec![Proof::changed("process", "17", if bites { "18" } else { "17" })],
        node: Some(0),
        ends: true,
        loses_redis: false,
        recovery_ms: Some(150.0),
        noticed_within_ms: 0.0,
    }
}

/// Two clients, of which one says three things; both hear them, a node shows `shown` of them.
fn write(folder: &Path, shown: u64, deed: &Deed, meta: &Meta) {
    let mut writer = Writer::begin(folder, 2).unwrap();
    let mut n = 0;
    let mut tell = |client: usize, fact: Fact, events: &[wire::Event]| {
        n += 1;
        writer.tell(Op { n, t_ns: n * SECOND / 4 }, client, &fact, events).unwrap();
    };
    for client in 0..2 {
        tell(client, Fact::Is { user: 50 + client as u64, over_rest: false }, &[]);
        tell(client, Fact::Connected { node: 0 }, &[]);
        tell(client, Fact::Subscribed { room: ROOM, after: wire::Position::default() }, &[]);
    }
    for seq in 1..=3 {
        let (event, key) = (message(seq), format!("k{seq}"));
        tell(0, Fact::Send { room: ROOM, key: key.clone(), text: format!("text {seq}") }, &[]);
        let position = Some(event.position().into());
        let ack = wire::MessageSendOk { room: ROOM, position, ordinal: seq, id: event.id, at: event.at };
        tell(0, Fact::Ok { key, ack }, &[]);
        tell(1, Fact::Live, std::slice::from_ref(&event));
        tell(0, Fact::Live, &[event]);
    }
    tell(1, Fact::Page { known: None }, &[message(1), message(2)]);
    writer.done(deed).unwrap();
    let events: Vec<_> = (1..=shown).map(message).collect();
    writer.shown(&NodeLog { room: ROOM, node: 0, events: events.clone(), messages: events }).unwrap();
    writer.meta(meta).unwrap();
    writer.flush().unwrap();
}

#[test]
fn a_history_that_keeps_every_promise_is_a_proof() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 3, &kill(true), &meta());
    let judgement = judge(folder.path()).unwrap();
    assert!(judgement.is_proof(), "{judgement}");
    assert_eq!(judgement.verdict.acked(), 3);
    assert_eq!(judgement.recovery_ms(), Some((150.0, 150.0)));
}

#[test]
fn what_is_lost_is_named_with_its_operations_and_the_fault_around_them() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 2, &kill(true), &meta());
    let judgement = judge(folder.path()).unwrap();
    assert_eq!(judgement.verdict.invariants(), ["I1 durable ack"]);
    let told = judgement.to_string();
    assert!(told.contains("k3 of room 7 was acknowledged at (1, 3) [op 15 at 3.750 s, op 16 at 4.000 s]"), "{told}");
    assert!(told.contains("{kill of node 0, 2.00 s to 3.00 s}"), "{told}");
}

#[test]
fn a_run_proves_nothing_whose_fault_did_not_bite_or_that_has_too_few_acks_or_no_end() {
    let cases = [
        (kill(false), meta(), "a fault did not bite"),
        (kill(true), Meta { acks_min: 4, ..meta() }, "3 messages were acknowledged"),
        (kill(true), Meta { end: None, ..meta() }, "did not come to its end"),
        (kill(true), Meta { schedule: vec![String::new(); 2], ..meta() }, "2 faults were planned and 1 were done"),
    ];
    for (deed, meta, doubt) in cases {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 3, &deed, &meta);
        let judgement = judge(folder.path()).unwrap();
        assert!(judgement.verdict.is_clean() && !judgement.is_proof(), "{judgement}");
        assert!(judgement.doubts.iter().any(|told| told.contains(doubt)), "{doubt}: {:?}", judgement.doubts);
    }
}

/// Whoever sends over REST has to have been answered: a client of which nothing was heard broke no promise.
#[test]
fn a_run_whose_clients_over_rest_were_never_answered_proves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 3, &kill(true), &meta());
    let mut file = std::fs::File::options().append(true).open(folder.path().join("client-001.jsonl")).unwrap();
    writeln!(file, "{{\"n\": 900, \"t_ns\": 9, \"op\": \"is\", \"user\": 51, \"over_rest\": true}}").unwrap();
    let judgement = judge(folder.path()).unwrap();
    assert_eq!(judgement.doubts, ["no message was acknowledged over REST"]);
}

/// Two clients and one who means harm, who says this of what they did.
fn write_abuse(folder: &Path, lines: &[&str]) -> Judgement {
    write(folder, 3, &kill(true), &Meta { abusers: 1, ..meta() });
    let said = lines.iter().map(|line| format!("{{\"op\": \"abused\", {line}}}\n")).collect::<String>();
    std::fs::write(folder.join("client-002.jsonl"), said).unwrap();
    judge(folder).unwrap()
}

#[test]
fn who_means_harm_has_to_be_thrown_out_and_a_fault_that_ends_their_connection_does_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let refused = r#""n": 60, "t_ns": 2500000000, "abuse": "broken_frame", "from_ns": 2400000000, "closed": "1002""#;
    let cut = r#""n": 61, "t_ns": 2600000000, "abuse": "reads_nothing", "from_ns": 2500000000, "closed": "cut""#;
    let cut_later = r#""n": 62, "t_ns": 9000000000, "abuse": "reads_nothing", "from_ns": 8000000000, "closed": "cut""#;
    let judgement = write_abuse(folder.path(), &[refused, cut, cut_later]);
    assert!(judgement.is_proof(), "{judgement}");
    assert!(judgement.to_string().contains("thrown out: broken frames x 1, never reading x 1\n"), "{judgement}");
    assert_eq!(write_abuse(folder.path(), &[cut]).doubts, ["nobody who means harm was thrown out"]);
}

#[test]
fn a_node_that_bears_abuse_though_nothing_keeps_it_from_ending_it_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let borne = r#""n": 60, "t_ns": 90000000000, "abuse": "huge_frame", "from_ns": 70000000000"#;
    let judgement = write_abuse(folder.path(), &[borne]);
    assert_eq!(judgement.verdict.invariants(), ["I14 isolation"]);
    let paused = r#""n": 60, "t_ns": 20000000000, "abuse": "huge_frame", "from_ns": 2900000000"#;
    assert!(write_abuse(folder.path(), &[paused]).verdict.is_clean());
}

#[test]
fn a_recovery_that_takes_too_long_is_found() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 3, &Deed { recovery_ms: Some(2_500.0), ..kill(true) }, &meta());
    assert_eq!(judge(folder.path()).unwrap().verdict.invariants(), ["I9 liveness"]);
    let noticed_late = Deed { recovery_ms: Some(2_500.0), noticed_within_ms: 1_000.0, ..kill(true) };
    write(folder.path(), 3, &noticed_late, &meta());
    assert!(judge(folder.path()).unwrap().is_proof());
}

#[test]
fn a_loss_with_redis_and_its_node_is_counted_apart_and_only_where_acks_say_no_more() {
    let lost = Deed { loses_redis: true, until_ns: 4 * SECOND, ..kill(true) };
    let cluster = Meta { store: "cluster".to_owned(), ..meta() };
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 2, &lost, &cluster);
    let judgement = judge(folder.path()).unwrap();
    assert!(judgement.verdict.is_clean() && judgement.verdict.lost() == 1, "{judgement}");
    assert!(judgement.to_string().contains("1 lost (1 of the class that docs/guarantees.md names)"), "{judgement}");
    let cases = [
        (lost.clone(), Meta { ack: "history".to_owned(), ..cluster.clone() }),
        (lost.clone(), meta()),
        (Deed { ends: false, ..lost.clone() }, cluster.clone()),
        (Deed { node: Some(1), ..lost }, cluster),
    ];
    for (deed, meta) in cases {
        write(folder.path(), 2, &deed, &meta);
        let judgement = judge(folder.path()).unwrap();
        assert_eq!(judgement.verdict.invariants(), ["I1 durable ack"], "{deed:?} {meta:?}");
    }
}

#[test]
fn a_folder_that_is_no_history_and_a_line_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = format!("{:#}", judge(folder.path()).unwrap_err());
    assert!(error.contains("is no history of a torture run"), "{error}");
    write(folder.path(), 3, &kill(true), &meta());
    let path = folder.path().join("client-001.jsonl");
    writeln!(std::fs::File::options().append(true).open(path).unwrap(), "{{\"n\": 1").unwrap();
    let error = format!("{:#}", judge(folder.path()).unwrap_err());
    assert!(error.contains("client-001.jsonl:8: not a line of a history"), "{error}");
}
