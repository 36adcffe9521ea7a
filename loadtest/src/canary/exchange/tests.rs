use std::rc::Rc;

use bobchat_proto::codec::{self, Format};
use bobchat_proto::wire::server_frame::Body;
use bytes::BytesMut;
use tokio::time::advance;

use super::super::metrics::CanaryMetrics;
use super::*;
use crate::dialect::request_of;

const ROOM: u64 = 42;

/// What the first of the two in a room hears on a connection.
struct Fixture {
    watch: Watch,
    exchange: Exchange,
}

impl Fixture {
    fn new() -> Self {
        let names = vec!["a:1".to_owned(), "b:1".to_owned()];
        let mut watch = Watch::new(ROOM, names, Rc::new(CanaryMetrics::new())).unwrap();
        watch.subscribed(1, &subscribed(2)).unwrap();
        let exchange = Exchange::new(0, Dialect::Bobchat(Format::Protobuf), &watch);
        let mut fixture = Self { watch, exchange };
        let answered = fixture.answer(SUBSCRIBE, ok::Result::Subscribe(subscribed(2))).unwrap();
        assert_eq!(answered, Some(SUBSCRIBE));
        fixture
    }

    fn hear(&mut self, id: Option<u64>, body: Body) -> anyhow::Result<Option<u64>> {
        let mut payload = BytesMut::new();
        codec::encode_server_frame(&wire::ServerFrame { id, body: Some(body) }, Format::Protobuf, &mut payload);
        self.exchange.take(&mut self.watch, &payload)
    }

    fn answer(&mut self, id: u64, result: ok::Result) -> anyhow::Result<Option<u64>> {
        self.hear(Some(id), Body::Ok(wire::Ok { result: Some(result) }))
    }

    fn refuse(&mut self, id: u64, error: wire::Error) -> anyhow::Result<Option<u64>> {
        self.hear(Some(id), Body::Error(error))
    }

    /// The answer to signing in with a cursor.
    fn signed_in(&mut self, one: wire::SubscribeOk) -> anyhow::Result<Option<u64>> {
        self.answer(SIGN_IN, ok::Result::Auth(wire::AuthOk { subscribed: vec![one], ..Default::default() }))
    }

    fn ack(&mut self, index: u64, seq: u64) -> anyhow::Result<Option<u64>> {
        let position = Some(wire::Position { epoch: 1, seq });
        let ack = wire::MessageSendOk { room: ROOM, position, ordinal: 1, id: 100 + seq, at: 1 };
        self.answer(request_of(index), ok::Result::MessageSend(ack))
    }

    fn event(&mut self, index: u64, seq: u64) {
        let message = wire::Message { text: self.watch.messages.text(index) };
        let event = wire::Event {
            room: ROOM,
            epoch: 1,
            seq,
            at: seq as i64,
            id: 100 + seq,
            ordinal: Some(seq - 2),
            key: Some(self.watch.messages.key(index)),
            body: Some(wire::event::Body::Message(message)),
            ..Default::default()
        };
        self.hear(None, Body::Event(event)).unwrap();
    }
}

fn subscribed(seq: u64) -> wire::SubscribeOk {
    wire::SubscribeOk { room: ROOM, head: Some(wire::Position { epoch: 1, seq }), ..Default::default() }
}

#[tokio::test(start_paused = true)]
async fn what_is_put_off_is_due_when_the_node_said() {
    let mut fixture = Fixture::new();
    let first = fixture.watch.begin(0).unwrap().unwrap();
    let second = fixture.watch.begin(0).unwrap().unwrap();
    let busy = ErrorCode::RateLimited.error("too fast").with_retry_after(Duration::from_secs(3));
    assert_eq!(fixture.refuse(request_of(first), busy).unwrap(), None);
    assert_eq!(fixture.refuse(request_of(second), ErrorCode::Busy.error("later")).unwrap(), None);
    assert!(fixture.exchange.due().is_empty());
    advance(Duration::from_secs(1)).await;
    assert_eq!(fixture.exchange.due(), [second]);
    advance(Duration::from_secs(2)).await;
    assert_eq!((fixture.exchange.due(), fixture.exchange.due()), (vec![first], vec![]));
    let unanswered: Vec<u64> = fixture.watch.unanswered(0).collect();
    assert_eq!(unanswered, [first, second], "both are said again until they are acked");
}

#[tokio::test(start_paused = true)]
async fn somebody_whom_the_server_does_not_know_is_a_stranger() {
    let not_found = Some(ErrorCode::NotFound.error("no such room"));
    let lost_room = wire::SubscribeOk { room: ROOM, error: not_found, ..Default::default() };
    assert!(Fixture::new().signed_in(lost_room).unwrap_err().is::<Stranger>());
    for code in [ErrorCode::Unauthenticated, ErrorCode::TokenExpired, ErrorCode::Forbidden] {
        assert!(Fixture::new().refuse(SIGN_IN, code.error("no")).unwrap_err().is::<Stranger>(), "{code:?}");
    }
    let busy = wire::SubscribeOk { room: ROOM, error: Some(ErrorCode::Busy.error("later")), ..Default::default() };
    assert!(!Fixture::new().signed_in(busy).unwrap_err().is::<Stranger>(), "it is tried again");
}

#[tokio::test(start_paused = true)]
async fn answers_to_what_was_said_before_it_began_anew_say_nothing() {
    let mut fixture = Fixture::new();
    let index = fixture.watch.begin(0).unwrap().unwrap();
    // The other one's stream broke off, so that another chapter counts messages anew.
    fixture.watch.reset(1, Some(crate::check::Head { epoch: 1, seq: 2 })).unwrap();
    assert_eq!(fixture.watch.begin(1).unwrap(), Some(index));
    assert!(fixture.ack(index, 3).unwrap_err().to_string().contains("beginning anew"));
    assert_eq!(fixture.watch.unanswered(1).collect::<Vec<_>>(), [index], "the other one's message is not acked by it");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_off_in_between_ends_the_connection() {
    let mut fixture = Fixture::new();
    let head = Some(wire::Position { epoch: 2, seq: 1 });
    let reason = wire::ResetReason::NewEpoch.into();
    let signal = wire::ResetSignal { room: ROOM, head, reason };
    assert!(fixture.hear(None, Body::Reset(signal)).unwrap_err().to_string().contains("broke off"));
    assert_eq!(fixture.watch.cursor(0), Some(wire::Cursor { room: ROOM, epoch: 2, seq: 1 }), "it goes on there");
    assert_eq!(fixture.watch.finish()[0], format!("reset: the stream of room {ROOM} broke off"));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_begins_with_a_reset_goes_on() {
    let mut fixture = Fixture::new();
    let reset = Some(wire::ResetReason::NewEpoch.into());
    fixture.signed_in(wire::SubscribeOk { reset, ..subscribed(1) }).unwrap();
    let index = fixture.watch.begin(0).unwrap().unwrap();
    fixture.ack(index, 2).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_cursor_that_the_server_does_not_know_any_more_is_dropped() {
    let mut fixture = Fixture::new();
    let error = Some(ErrorCode::InvalidCursor.error("the cursor is ahead of the room"));
    fixture.signed_in(wire::SubscribeOk { room: ROOM, error, ..Default::default() }).unwrap();
    assert_eq!(fixture.watch.cursor(0), None, "it is subscribed without");
    fixture.answer(SUBSCRIBE, ok::Result::Subscribe(subscribed(1))).unwrap();
    assert_eq!(fixture.watch.cursor(0), Some(wire::Cursor { room: ROOM, epoch: 1, seq: 1 }));
    assert_eq!(fixture.watch.finish().len(), 1, "a reset");
}

#[tokio::test(start_paused = true)]
async fn a_page_has_to_hold_what_was_heard_last() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.exchange.read(&fixture.watch), None, "nothing was said");
    let index = fixture.watch.begin(0).unwrap().unwrap();
    fixture.event(index, 3);
    fixture.ack(index, 3).unwrap();
    for (seq, read) in [(2, 0), (3, 1)] {
        let request = fixture.exchange.read(&fixture.watch).unwrap();
        assert_eq!(fixture.exchange.read(&fixture.watch), None, "one at a time");
        let messages = vec![wire::Event { room: ROOM, seq, ..Default::default() }];
        let page = wire::MessageHistoryOk { messages, ..Default::default() };
        fixture.answer(request, ok::Result::MessageHistory(page)).unwrap();
        assert_eq!(fixture.exchange.pages_read, read);
    }
    let request = fixture.exchange.read(&fixture.watch).unwrap();
    fixture.refuse(request, ErrorCode::Busy.error("later")).unwrap();
    assert!(fixture.exchange.read(&fixture.watch).is_some(), "one that was put off is asked for again");
}
