//! What ends a connection by itself: its token, and silence.

use std::time::Duration;

use bobchat_proto::wire::{self, client_frame::Request};

use crate::node::TestNode;
use crate::person::Person;

/// Lets seconds pass, each with its sweep.
async fn pass(seconds: u32) {
    tokio::time::pause();
    for _ in 0..seconds {
        tokio::time::advance(Duration::from_secs(1)).await;
        // The sweep, and the session that it wakes.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
    tokio::time::resume();
}

#[actix::test]
async fn a_connection_ends_thirty_seconds_after_its_token_unless_it_is_renewed() {
    let node = TestNode::start().await;
    let mut forgetful = Person::sign_in_with(&node.worker, "2@10".to_owned()).await;
    let mut careful = Person::sign_in_with(&node.worker, "3@10".to_owned()).await;
    let renewed = careful.ok(Request::AuthRenew(wire::AuthRenew { token: "3@1000".to_owned() })).await;
    assert!(matches!(renewed, bobchat_proto::wire::ok::Result::AuthRenew(_)));
    let stolen = careful.answer(Request::AuthRenew(wire::AuthRenew { token: "2@1000".to_owned() })).await;
    assert!(matches!(stolen, wire::server_frame::Body::Error(error) if error.field.as_deref() == Some("token")));
    for _ in 0..3 {
        pass(10).await;
        forgetful.pong();
        careful.pong();
    }
    assert_eq!((forgetful.closed(), careful.closed()), (None, None), "within the grace");
    pass(12).await;
    assert_eq!((forgetful.closed(), careful.closed()), (Some(4401), None));
}

#[actix::test]
async fn a_silent_client_is_asked_then_closed_and_one_that_answers_stays() {
    let node = TestNode::start().await;
    let mut silent = Person::sign_in(&node.worker, 2).await;
    let mut alive = Person::sign_in(&node.worker, 3).await;
    pass(26).await;
    assert_eq!((silent.closed(), alive.closed()), (None, None));
    assert_eq!((silent.pings, alive.pings), (1, 1));
    alive.pong();
    pass(26).await;
    assert_eq!((silent.closed(), alive.closed()), (Some(4009), None));
    assert_eq!(node.metrics().silent_sessions.get(), 1);
}
