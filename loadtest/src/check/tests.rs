use super::*;
use crate::dialect::Said;

const ROOM: u64 = 42;

struct Fixture {
    checker: Checker,
    receivers: Vec<Receiver>,
    messages: Messages,
    slot: RoomSlot,
}

impl Fixture {
    /// Two receivers of a room with one event, and `sent` messages on the way.
    fn new(sent: u64) -> Self {
        let messages = Messages::new(40).unwrap();
        let mut checker = Checker::new(messages.clone()).unwrap();
        let slot = checker.room(ROOM);
        let receivers = (0..2).map(|_| checker.subscribed(slot, Head { epoch: 1, seq: 1 })).collect();
        for _ in 0..sent {
            checker.sending(slot, 0);
        }
        Self { checker, receivers, messages, slot }
    }

    fn delivery(&self, seq: u64) -> Delivery {
        let index = seq - 2;
        let said = Said { index: Some(index), ordinal: Some(index + 1), text: self.messages.text(index) };
        Delivery { room: ROOM, epoch: 1, seq, id: 100 + seq, at: seq as i64, author: 1, said: Some(said) }
    }

    fn give(&mut self, receiver: usize, delivery: &Delivery) {
        let payload = format!("{delivery:?}");
        let receiver = &mut self.receivers[receiver];
        if !self.checker.take_same_bytes(receiver, payload.as_bytes(), 1_000) {
            self.checker.take(receiver, delivery, payload.as_bytes(), 1_000);
        }
    }

    fn give_seqs(&mut self, receiver: usize, seqs: &[u64]) {
        for seq in seqs {
            let delivery = self.delivery(*seq);
            self.give(receiver, &delivery);
        }
    }

    fn ack(&mut self, seqs: &[u64]) {
        for seq in seqs {
            self.checker.ack(seq - 2, Some(Placed { room: ROOM, seq: *seq, id: 100 + seq }), 1_000);
        }
    }

    fn kinds(mut self) -> Vec<Kind> {
        for receiver in &self.receivers {
            self.checker.finish_receiver(Some(receiver));
        }
        self.checker.finish(true);
        self.checker.violations().counts.keys().copied().collect()
    }
}

#[test]
fn what_comes_whole_and_in_order_breaks_nothing() {
    let mut fixture = Fixture::new(3);
    fixture.give_seqs(0, &[2, 3, 4]);
    fixture.ack(&[2, 3, 4]);
    fixture.give_seqs(1, &[2, 3, 4]);
    assert_eq!(fixture.checker.counts().delivered, 6);
    assert_eq!(fixture.kinds(), []);
}

#[test]
fn a_dropped_a_doubled_and_a_swapped_event_are_told_apart() {
    let cases: [(&[u64], Kind); 4] =
        [(&[2, 4], Kind::Loss), (&[2, 3], Kind::Loss), (&[2, 3, 3, 4], Kind::Double), (&[2, 4, 3], Kind::Order)];
    for (seqs, kind) in cases {
        let mut fixture = Fixture::new(3);
        fixture.give_seqs(0, &[2, 3, 4]);
        fixture.ack(&[2, 3, 4]);
        fixture.give_seqs(1, seqs);
        assert_eq!(fixture.kinds(), [kind], "{seqs:?}");
    }
}

#[test]
fn an_acked_message_that_reaches_nobody_is_lost() {
    let mut fixture = Fixture::new(1);
    fixture.ack(&[2]);
    assert_eq!(fixture.kinds(), [Kind::Loss]);
}

#[test]
fn receivers_that_get_different_events_disagree() {
    let mut fixture = Fixture::new(1);
    fixture.give_seqs(0, &[2]);
    fixture.ack(&[2]);
    let other = Delivery { id: 999, ..fixture.delivery(2) };
    fixture.give(1, &other);
    assert_eq!(fixture.kinds(), [Kind::Disagreement]);
}

#[test]
fn a_message_that_stands_twice_is_a_double() {
    let mut fixture = Fixture::new(1);
    fixture.ack(&[2]);
    let again = Delivery { seq: 3, at: 3, id: 103, said: None, ..fixture.delivery(2) };
    let again = Delivery { said: fixture.delivery(2).said.map(|said| Said { ordinal: Some(2), ..said }), ..again };
    for receiver in 0..2 {
        fixture.give_seqs(receiver, &[2]);
        fixture.give(receiver, &again);
    }
    assert_eq!(fixture.kinds(), [Kind::Double]);
}

#[test]
fn acks_must_say_what_events_say_once() {
    let mut fixture = Fixture::new(2);
    for receiver in 0..2 {
        fixture.give_seqs(receiver, &[2, 3]);
    }
    fixture.ack(&[2]);
    fixture.checker.ack(1, Some(Placed { room: ROOM, seq: 3, id: 7 }), 1_000);
    assert_eq!(fixture.kinds(), [Kind::Ack]);

    let mut twice = Fixture::new(1);
    for receiver in 0..2 {
        twice.give_seqs(receiver, &[2]);
    }
    twice.ack(&[2, 2]);
    assert_eq!(twice.kinds(), [Kind::Ack]);
}

#[test]
fn an_ack_that_does_not_say_where_is_an_ack_once() {
    let mut fixture = Fixture::new(2);
    for receiver in 0..2 {
        fixture.give_seqs(receiver, &[2, 3]);
    }
    fixture.checker.ack(0, None, 1_000);
    assert_eq!(fixture.checker.unacked(), 1);
    assert_eq!(fixture.kinds(), [Kind::Unacked]);

    let mut lost = Fixture::new(1);
    lost.checker.ack(0, None, 1_000);
    assert_eq!(lost.kinds(), [Kind::Loss]);
}

#[test]
fn altered_text_and_broken_numbers_are_seen() {
    let mut altered = Fixture::new(1);
    let said = Said { index: Some(0), ordinal: Some(1), text: "something else".into() };
    let delivery = Delivery { said: Some(said), ..altered.delivery(2) };
    altered.ack(&[2]);
    altered.give(0, &delivery);
    altered.give(1, &delivery);
    assert_eq!(altered.kinds(), [Kind::Text]);

    let mut numbers = Fixture::new(2);
    numbers.ack(&[2, 3]);
    let backwards = Delivery { at: 0, ..numbers.delivery(3) };
    for receiver in 0..2 {
        numbers.give_seqs(receiver, &[2]);
        numbers.give(receiver, &backwards);
    }
    assert_eq!(numbers.kinds(), [Kind::Numbers]);
}

#[test]
fn latency_counts_from_the_intended_send() {
    let mut fixture = Fixture::new(0);
    fixture.checker.sending(fixture.slot, 5_000_000);
    let delivery = fixture.delivery(2);
    fixture.checker.take(&mut fixture.receivers[0], &delivery, b"bytes", 9_000_000);
    let latency = fixture.checker.counts().delivery_latency.value_at_quantile(0.5);
    assert!((4_000..4_010).contains(&latency), "{latency} us");
}

#[test]
fn a_receiver_that_comes_back_goes_on_where_it_was() {
    let mut fixture = Fixture::new(3);
    fixture.give_seqs(0, &[2, 3, 4]);
    fixture.ack(&[2, 3, 4]);
    fixture.give_seqs(1, &[2]);
    assert_eq!(fixture.receivers[1].cursor(), Head { epoch: 1, seq: 2 });
    fixture.give_seqs(1, &[3, 4]);
    assert_eq!(fixture.kinds(), []);
}

#[test]
fn what_a_reset_leaves_out_is_no_loss_and_what_follows_is_checked() {
    let mut fixture = Fixture::new(4);
    fixture.give_seqs(0, &[2, 3, 4, 5]);
    fixture.ack(&[2, 3, 4, 5]);
    fixture.give_seqs(1, &[2]);
    fixture.receivers[1].reset(Head { epoch: 1, seq: 4 });
    assert_eq!(fixture.kinds(), [Kind::Loss], "seq 5 is after the reset");
}

#[test]
fn slow_receivers_are_counted_apart() {
    let mut fixture = Fixture::new(1);
    fixture.receivers[1].is_slow = true;
    fixture.give_seqs(0, &[2]);
    fixture.give_seqs(1, &[2]);
    let counts = fixture.checker.counts();
    assert_eq!((counts.delivery_latency.len(), counts.slow_latency.len(), counts.delivered), (1, 1, 2));
}

#[test]
fn a_page_of_history_must_say_what_was_delivered_and_leave_nothing_out() {
    let cases: [(&[u64], &[Kind]); 4] =
        [(&[2, 3, 4], &[]), (&[3, 4], &[]), (&[2, 4], &[Kind::Hole]), (&[3, 2], &[Kind::Order])];
    for (seqs, kinds) in cases {
        let mut fixture = Fixture::new(3);
        for receiver in 0..2 {
            fixture.give_seqs(receiver, &[2, 3, 4]);
        }
        fixture.ack(&[2, 3, 4]);
        let page: Vec<_> = seqs.iter().map(|seq| fixture.delivery(*seq)).collect();
        fixture.checker.read_page(fixture.slot, &page, None);
        assert_eq!(fixture.kinds(), kinds, "{seqs:?}");
    }
    let mut other = Fixture::new(1);
    for receiver in 0..2 {
        other.give_seqs(receiver, &[2]);
    }
    other.ack(&[2]);
    let page = [Delivery { id: 999, ..other.delivery(2) }];
    other.checker.read_page(other.slot, &page, Some(2));
    assert_eq!(other.kinds(), [Kind::Order, Kind::Disagreement]);
}
