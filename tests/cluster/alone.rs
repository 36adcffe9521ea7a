//! The same clients and the same checker against one server with a store of its own.

use bobchat_loadtest::torture::{Client, Torture};

use crate::node::Node;
use crate::run::{PATIENCE, must_be_clean, plan};

fn alone(folder: &tempfile::TempDir) -> Node {
    let settings = [("STORE__RESERVE_BYTES".to_owned(), "1MiB".to_owned())];
    let mut node = Node::spawn(folder.path(), "alone", &settings);
    node.wait_until_ready();
    node
}

#[test]
fn a_server_that_is_killed_paused_and_stopped_in_turn_keeps_every_promise() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = alone(&folder);
    let clients = vec![Client::of(0), Client::of(0), Client::roaming(), Client::roaming()];
    let torture = Torture::start(plan(vec![node.address], 2, clients)).unwrap();
    torture.talk(100, PATIENCE).unwrap();
    node.kill();
    node.run();
    torture.talk(50, PATIENCE).unwrap();
    node.pause();
    std::thread::sleep(std::time::Duration::from_secs(1));
    node.resume();
    torture.talk(50, PATIENCE).unwrap();
    node.stop();
    node.run();
    torture.talk(50, PATIENCE).unwrap();
    let verdict = must_be_clean(torture);
    assert!(verdict.acked() >= 250 && verdict.renumbered() == 0 && verdict.resets() == 0, "{verdict}");
}
