//! The checker on the wire: a proxy that breaks a promise is found, and one that breaks none is not.

use bobchat_loadtest::torture::{Client, Kind, Torture};

use crate::node::Node;
use crate::proxy::{self, Fault};
use crate::run::{AGREED_WITHIN, PATIENCE, plan};

/// One message in so many suffers.
const EVERY: u64 = 40;

#[test]
fn a_proxy_that_drops_doubles_or_swaps_messages_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [("STORE__RESERVE_BYTES".to_owned(), "1MiB".to_owned())];
    let mut node = Node::spawn(folder.path(), "alone", &settings);
    node.wait_until_ready();
    let found = [
        (Fault::None, None),
        (Fault::Drop, Some(Kind::Hole)),
        (Fault::Double, Some(Kind::Double)),
        (Fault::Swap, Some(Kind::Order)),
    ];
    for (fault, expected) in found {
        let proxy = proxy::start(node.address, fault, EVERY);
        let clients = vec![Client::of(0), Client::of(0), Client::of(0), Client::of(0)];
        let mut torture = Torture::start(plan(vec![proxy], 1, clients)).unwrap();
        torture.talk(100, PATIENCE).unwrap();
        // Whoever did not get the last message never agrees.
        let agreed = torture.settle(AGREED_WITHIN);
        assert!(agreed.is_ok() || fault == Fault::Drop, "{fault:?}: {agreed:?}");
        let verdict = torture.finish().unwrap();
        match expected {
            None => assert!(verdict.is_clean(), "{verdict}"),
            Some(kind) => assert!(verdict.broken().any(|broken| broken == kind), "{fault:?}: {verdict}"),
        }
    }
}
