//! The checker on the wire: whoever breaks a promise is found, and who breaks none is not.

use std::path::Path;
use std::time::Duration;

use bobchat_loadtest::torture::{Client, Kind, Torture};

use crate::node::Node;
use crate::proxy::{self, Fault};
use crate::run::{PATIENCE, agreed_within, plan};

/// One message in so many suffers.
const EVERY: u64 = 40;

/// As long as this somebody may miss something before it is taken for lost.
const NEVER: Duration = Duration::from_secs(10);

fn alone(folder: &Path) -> Node {
    let settings = [("STORE__RESERVE_BYTES".to_owned(), "1MiB".to_owned())];
    let mut node = Node::spawn(folder, "alone", &settings);
    node.wait_until_ready();
    node
}

#[test]
fn a_proxy_that_drops_doubles_or_swaps_messages_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let node = alone(folder.path());
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
        let agreed = torture.settle(if fault == Fault::Drop { NEVER } else { agreed_within() });
        assert!(agreed.is_ok() || fault == Fault::Drop, "{fault:?}: {agreed:?}");
        let verdict = torture.finish().unwrap();
        match expected {
            None => assert!(verdict.is_clean(), "{verdict}"),
            Some(kind) => assert!(verdict.broken().any(|broken| broken == kind), "{fault:?}: {verdict}"),
        }
    }
}

/// What a copy lacks was acknowledged, and is lost; whoever knew of it is told to begin anew, and is.
#[test]
fn what_a_restored_backup_lacks_is_found_to_be_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = alone(folder.path());
    let clients = vec![Client::of(0), Client::of(0), Client::roaming()];
    let mut torture = Torture::start(plan(vec![node.address], 2, clients)).unwrap();
    torture.talk(50, PATIENCE).unwrap();
    let copy = folder.path().join("copy").to_str().unwrap().to_owned();
    node.operate(&["backup", &copy]);
    torture.talk(50, PATIENCE).unwrap();
    node.kill();
    std::fs::remove_dir_all(node.data()).unwrap();
    node.operate(&["restore", &copy]);
    node.run();
    torture.talk(50, PATIENCE).unwrap();
    torture.settle(agreed_within()).unwrap();
    let verdict = torture.finish().unwrap();
    assert!(verdict.lost() >= 40 && verdict.resets() > 0, "{verdict}");
    assert!(verdict.broken().all(|kind| matches!(kind, Kind::Loss | Kind::Vanished)), "{verdict}");
}
