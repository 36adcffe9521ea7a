//! Planted faults: a checker that finds none of them proves nothing when it is silent.

use bobchat_proto::ids::{Epoch, Position, Sequence};
use bobchat_proto::wire::{self, event::Body};

use super::{Check, NodeLog};
use crate::check::Kind;

const ROOM: u64 = 7;
const AUTHOR: u64 = 5;

fn at(epoch: u64, seq: u64) -> Position {
    Position { epoch: Epoch(epoch), seq: Sequence(seq) }
}

/// The message at a position: number 1 stands at seq 1.
fn message(epoch: u64, seq: u64, number: u64) -> wire::Event {
    wire::Event {
        room: ROOM,
        epoch,
        seq,
        at: 1_000 + seq as i64,
        id: 100 + number,
        author: AUTHOR,
        ordinal: Some(seq),
        key: Some(format!("k{number}")),
        body: Some(Body::Message(wire::Message { text: format!("text {number}") })),
        ..wire::Event::default()
    }
}

/// A message that stood elsewhere before.
fn renumbered(from: Position, event: wire::Event) -> wire::Event {
    wire::Event { first: Some(from.into()), ..event }
}

fn ack(event: &wire::Event) -> wire::MessageSendOk {
    let position = Some(wire::Position { epoch: event.epoch, seq: event.seq });
    wire::MessageSendOk { room: ROOM, position, ordinal: event.ordinal.unwrap_or(0), id: event.id, at: event.at }
}

fn log(node: usize, events: &[wire::Event]) -> NodeLog {
    NodeLog { room: ROOM, node, events: events.to_vec(), messages: events.to_vec() }
}

/// Four messages of one client, each sent when the one before was answered, seen by clients 0 and 1.
struct Run {
    check: Check,
    events: Vec<wire::Event>,
}

impl Run {
    fn new() -> Self {
        let events: Vec<_> = (1..=4).map(|number| message(1, number, number)).collect();
        let mut check = Check::default();
        for client in 0..2 {
            check.connected(client);
            check.subscribed(client, ROOM, Position::default());
        }
        for event in &events {
            check.tick();
            check.sending(ROOM, AUTHOR, event.key.as_deref().unwrap(), text(event));
            check.tick();
            check.acked(event.key.as_deref().unwrap(), &ack(event));
        }
        Self { check, events }
    }

    fn live(&mut self, client: usize, events: &[wire::Event]) {
        events.iter().for_each(|event| self.check.live(client, event));
    }

    /// The kinds that are found when two nodes have these logs.
    fn found(mut self, one: &[wire::Event], other: &[wire::Event]) -> Vec<Kind> {
        self.check.finish(&[log(0, one), log(1, other)]);
        self.check.violations.counts.into_keys().collect()
    }

    fn found_in_streams(&self) -> Vec<Kind> {
        self.check.violations.counts.keys().copied().collect()
    }
}

fn text(event: &wire::Event) -> &str {
    match &event.body {
        Some(Body::Message(message)) => &message.text,
        other => panic!("not a message: {other:?}"),
    }
}

#[test]
fn a_run_without_a_fault_is_clean() {
    let mut run = Run::new();
    let events = run.events.clone();
    run.live(0, &events);
    run.live(1, &events[..2]);
    run.check.connected(1);
    run.check.subscribed(1, ROOM, at(1, 2));
    run.live(1, &events[2..]);
    run.check.page(&events[1..], Some(at(1, 4)));
    assert_eq!(run.found(&events, &events), []);
}

#[test]
fn streams_that_skip_swap_or_double_are_found() {
    for (order, kind) in [
        (&[0, 2, 3][..], Kind::Hole),
        (&[0, 1, 1, 2, 3], Kind::Double),
        (&[0, 1, 0, 2, 3], Kind::Order),
        (&[0, 2, 1, 3], Kind::Order),
    ] {
        let mut run = Run::new();
        let events: Vec<_> = order.iter().map(|index| run.events[*index].clone()).collect();
        run.live(0, &events);
        assert!(run.found_in_streams().contains(&kind), "{order:?}: {:?}", run.found_in_streams());
    }
}

#[test]
fn a_stream_of_another_connection_or_none_is_found() {
    let mut run = Run::new();
    run.check.connected(0);
    let first = run.events[..1].to_vec();
    run.live(0, &first);
    assert_eq!(run.found_in_streams(), [Kind::Protocol]);
}

#[test]
fn a_new_epoch_goes_on_where_the_stream_is_or_says_reset() {
    let mut run = Run::new();
    let (old, new) = (run.events[..3].to_vec(), message(2, 4, 4));
    run.live(0, &old);
    run.live(0, std::slice::from_ref(&new));
    assert_eq!(run.found_in_streams(), [], "base right after what it had");

    let mut run = Run::new();
    let events = run.events.clone();
    run.live(0, &events);
    run.live(0, &[message(2, 4, 9)]);
    assert_eq!(run.found_in_streams(), [Kind::Order], "rewound without a word");
}

#[test]
fn two_events_at_one_position_are_found_wherever_they_are_seen() {
    let mut run = Run::new();
    let (events, forged) = (run.events.clone(), message(1, 2, 9));
    run.live(0, &events);
    run.check.page(&[forged], None);
    assert_eq!(run.found_in_streams(), [Kind::Disagreement]);
}

#[test]
fn an_acknowledged_message_that_is_nowhere_is_lost() {
    let run = Run::new();
    let left = run.events[..3].to_vec();
    assert_eq!(run.found(&left, &left), [Kind::Loss]);
}

#[test]
fn a_message_that_stands_twice_is_found() {
    let run = Run::new();
    let mut events = run.events.clone();
    events.push(wire::Event { id: 900, ..message(1, 5, 2) });
    let found = run.found(&events, &events);
    assert!(found.contains(&Kind::Double), "{found:?}");
}

#[test]
fn nodes_that_show_different_logs_are_found() {
    let run = Run::new();
    let events = run.events.clone();
    assert_eq!(run.found(&events, &events[..3]), [Kind::Disagreement]);
    let mut run = Run::new();
    let short = NodeLog { messages: events[1..].to_vec(), ..log(0, &events) };
    run.check.finish(&[short]);
    assert_eq!(run.found_in_streams(), [Kind::Disagreement], "history without the first message");
}

#[test]
fn a_log_with_a_hole_is_found() {
    let run = Run::new();
    let events: Vec<_> = [0, 1, 3].map(|index| run.events[index].clone()).to_vec();
    let found = run.found(&events, &events);
    assert!(found.contains(&Kind::Hole) && found.contains(&Kind::Loss), "{found:?}");
}

#[test]
fn a_renumbered_message_is_counted_when_it_says_so_and_a_fault_when_not() {
    let mut run = Run::new();
    let old = run.events.clone();
    run.live(0, &old);
    let moved = renumbered(at(1, 4), message(2, 5, 4));
    let foreign =
        wire::Event { key: None, ordinal: None, body: Some(Body::Joined(Default::default())), ..message(2, 4, 50) };
    let mut events = old[..3].to_vec();
    events.extend([foreign.clone(), wire::Event { ordinal: Some(4), ..moved.clone() }]);
    run.check.reset(0, ROOM, at(1, 4), at(2, 5));
    let mut logs = log(0, &events);
    logs.messages.remove(3);
    run.check.finish(&[logs]);
    assert_eq!(run.found_in_streams(), []);
    assert_eq!((run.check.tally.renumbered, run.check.tally.resets), (1, 1));

    let run = Run::new();
    let silent = wire::Event { first: None, ..events[4].clone() };
    let mut events = old[..3].to_vec();
    events.push(wire::Event { seq: 4, ..silent });
    assert_eq!(run.found(&events, &events), [Kind::Ack]);
}

#[test]
fn what_somebody_saw_and_nobody_has_any_more_is_found() {
    let mut run = Run::new();
    let events = run.events.clone();
    run.live(0, &events);
    run.check.sending(ROOM, AUTHOR, "k5", "text 5");
    run.live(0, &[message(1, 5, 5)]);
    let found = run.found(&events, &events);
    assert_eq!(
        found,
        [Kind::Unacked, Kind::Vanished]
            .into_iter()
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    );
}

#[test]
fn a_reset_without_need_is_found() {
    let mut run = Run::new();
    let events = run.events.clone();
    run.live(0, &events);
    run.check.reset(0, ROOM, at(1, 4), at(2, 4));
    assert_eq!(run.found(&events, &events), [Kind::Reset]);
}

#[test]
fn what_was_answered_first_stands_first() {
    let run = Run::new();
    let mut events = run.events.clone();
    events.swap(1, 2);
    let events: Vec<_> = (1..)
        .zip(events)
        .map(|(seq, event)| wire::Event { seq, at: seq as i64, ordinal: Some(seq), ..event })
        .collect();
    let found = run.found(&events, &events);
    assert!(found.contains(&Kind::RealTime) && found.contains(&Kind::Ack), "{found:?}");
}

#[test]
fn what_nobody_sent_or_was_surely_refused_does_not_stand() {
    let mut run = Run::new();
    run.check.sending(ROOM, AUTHOR, "k5", "text 5");
    run.check.abandoned("k5");
    let mut events = run.events.clone();
    assert_eq!(run.found(&events, &events), [], "given up, and not there");

    let mut run = Run::new();
    run.check.sending(ROOM, AUTHOR, "k5", "text 5");
    run.check.abandoned("k5");
    events.push(message(1, 5, 5));
    assert_eq!(run.found(&events, &events), [Kind::Phantom], "given up, and there");

    let run = Run::new();
    assert_eq!(run.found(&events, &events), [Kind::Text], "nobody sent it");

    let run = Run::new();
    let mut events = run.events.clone();
    events[2].body = Some(Body::Message(wire::Message { text: "other".to_owned() }));
    assert_eq!(run.found(&events, &events), [Kind::Text], "another text");
}

#[test]
fn answers_that_contradict_each_other_are_found() {
    let mut run = Run::new();
    let elsewhere = message(1, 9, 2);
    run.check.acked("k2", &ack(&elsewhere));
    assert_eq!(run.found_in_streams(), [Kind::Ack], "two places in one epoch");
    let mut run = Run::new();
    run.check.acked("k2", &ack(&wire::Event { id: 77, ..message(2, 9, 2) }));
    assert_eq!(run.found_in_streams(), [Kind::Ack], "two messages");
    let mut run = Run::new();
    run.check.acked("k2", &ack(&message(1, 2, 2)));
    run.check.acked("k2", &ack(&message(2, 9, 2)));
    assert_eq!(run.found_in_streams(), [], "the same again, and renumbered");
}

#[test]
fn a_newest_page_that_lacks_the_own_answer_is_stale_unless_the_log_had_lost_it() {
    let mut run = Run::new();
    let events = run.events.clone();
    run.check.page(&events[..3], Some(at(1, 4)));
    assert_eq!(run.found(&events, &events), [Kind::Stale]);

    let mut run = Run::new();
    run.check.page(&events[..3], Some(at(1, 4)));
    let mut events = events[..3].to_vec();
    events.push(renumbered(at(1, 4), message(2, 4, 4)));
    assert_eq!(run.found(&events, &events), [], "it had been lost, and was put back since");
}

/// A log in which the author comes, leaves, is talked about, and comes back.
fn with_a_gap() -> Vec<wire::Event> {
    let state =
        |seq, body| wire::Event { body: Some(body), ordinal: None, key: None, author: 1, ..message(1, seq, seq) };
    let said = |seq, ordinal| wire::Event { ordinal: Some(ordinal), author: 1, ..message(1, seq, seq) };
    vec![
        state(1, Body::Created(Default::default())),
        state(2, Body::Joined(wire::MemberJoined { user: AUTHOR })),
        state(3, Body::Left(wire::MemberLeft { user: AUTHOR })),
        said(4, 1),
        state(5, Body::Joined(wire::MemberJoined { user: AUTHOR })),
        said(6, 2),
        state(7, Body::Left(wire::MemberLeft { user: AUTHOR })),
        said(8, 3),
    ]
}

/// The kinds that are found when somebody heard these after their leavings, the first and the second.
fn heard_outside(heard: [&[usize]; 2]) -> Vec<Kind> {
    outside(heard, |check, event| check.live(0, event))
}

/// The same of what they read.
fn read_outside(read: [&[usize]; 2]) -> Vec<Kind> {
    outside(read, |check, event| check.shown_to(0, event))
}

fn outside(shown: [&[usize]; 2], show: impl Fn(&mut Check, &wire::Event)) -> Vec<Kind> {
    let (mut check, events) = (Check::default(), with_a_gap());
    check.users.insert(0, AUTHOR);
    for event in events.iter().filter(|event| event.ordinal.is_some()) {
        check.sending(ROOM, 1, event.key.as_deref().unwrap(), text(event));
        check.acked(event.key.as_deref().unwrap(), &ack(event));
    }
    check.connected(0);
    check.subscribed(0, ROOM, Position::default());
    for indices in shown {
        check.leaving(0, ROOM);
        check.left(0, ROOM);
        indices.iter().for_each(|index| show(&mut check, &events[*index]));
        check.joining(0, ROOM);
    }
    check.finish(&[NodeLog { messages: [3, 5, 7].map(|index| events[index].clone()).to_vec(), ..log(0, &events) }]);
    check.violations.counts.into_keys().collect()
}

#[test]
fn who_left_hears_nothing_that_came_after_until_they_join_again() {
    assert_eq!(heard_outside([&[0, 1, 2], &[3, 4, 5, 6]]), [], "all up to each leaving, older ones too");
    assert_eq!(heard_outside([&[0, 1, 2, 3], &[]]), [Kind::Removal], "after the first leaving");
    assert_eq!(heard_outside([&[0, 1, 2], &[3, 4, 5, 6, 7]]), [Kind::Removal], "after the second");
}

/// Seed 31 of `--faults net-clients`: a `room_leave` that the network had held was heard after the client had joined again,
/// so that the log had one leaving more than the client had asked for.
#[test]
fn who_was_put_out_by_a_request_that_came_late_was_a_member_until_then() {
    assert_eq!(read_outside([&[5], &[]]), [], "what the log says that it was there for");
    assert_eq!(read_outside([&[3], &[]]), [Kind::Removal], "between two stays");
    assert_eq!(read_outside([&[5], &[7]]), [Kind::Removal], "after the last one");
}

#[test]
fn who_left_says_nothing() {
    let mut check = Check::default();
    let mut said = with_a_gap();
    check.check_authors(&said);
    assert!(check.violations.is_empty(), "who made the room is a member: {:?}", check.violations);
    said.iter_mut().for_each(|event| event.author = AUTHOR);
    let mut check = Check::default();
    check.check_authors(&said[..3]);
    assert!(check.violations.is_empty(), "{:?}", check.violations);
    check.check_authors(&said[..4]);
    assert_eq!(check.violations.counts.keys().copied().collect::<Vec<_>>(), [Kind::Removal]);
}
