use bobchat_actors::ports::{LiveLog as _, LiveRefusal};
use bobchat_proto::ids::{Epoch, Position, Sequence};

use crate::server::RedisServer;
use crate::support::{batch, connect, event, message, open, room, say, tail};

/// Log protocol, rule 10.
#[tokio::test]
async fn a_full_server_refuses_appends_and_is_emptied_all_the_same() {
    let server = RedisServer::with(&["--maxmemory", "12mb"]);
    let log = connect(&server).await;
    let (filled, other) = (room(7), room(8));
    for id in [filled, other] {
        open(&log, id, 1, 0).await;
    }
    let text = "x".repeat(16 << 10);
    let mut appended = 0;
    let refusal = loop {
        match say(&log, filled, &text).await {
            Ok(_) => appended += 1,
            Err(refusal) => break refusal,
        }
        assert!(appended < 2_000, "the server is never full");
    };
    // Surely not appended: the answer is `busy`, not `unknown`.
    assert!(matches!(refusal, LiveRefusal::Full { .. }), "{refusal:?}");
    // Buffers come and go; from here on there is no doubt.
    server.cli(&["CONFIG", "SET", "maxmemory", "6mb"]);
    assert!(matches!(say(&log, other, "no").await, Err(LiveRefusal::Full { .. })));
    // Reading goes on.
    assert_eq!(tail(&log, filled).await.len(), appended);

    // A room can be raised without memory, and one archived.
    open(&log, other, 2, 0).await;
    let seq = Sequence(u64::try_from(appended).unwrap());
    log.advance(filled, Position { epoch: Epoch(1), seq }).await.unwrap();
    let again = log.append(batch(filled, vec![message(filled, 1, None, "again")])).await.unwrap();
    assert_eq!(event(&again.outcomes[0]).seq, seq.0 + 1);
}
