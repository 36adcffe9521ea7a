//! `bobchat nodes`: every node, and what it does.

use std::time::Duration;

use bobchat_actors::ports::Clock as _;
use bobchat_proto::wire::{Node, NodeListOk};

use super::CommandError;
use super::operate::{read_from_server, say};
use super::table::table;
use crate::adapters::clock::SystemClock;
use crate::config::Config;

/// The columns.
const HEAD: [&str; 8] = ["NODE", "VERSION", "ADDRESS", "UP", "CONNECTIONS", "USERS", "ROOMS", "ARCHIVE LAG"];

/// Asks the server that uses the data folder for all nodes. Not done when one of them does not answer.
pub(super) fn nodes(config: &Config) -> Result<(), CommandError> {
    let Some(NodeListOk { nodes }) = read_from_server(config, "/admin/nodes")? else {
        let data = config.store.data.display();
        return Err(CommandError::Failed(format!("no server uses {data}: ask on a machine where one runs")));
    };
    let now = SystemClock.now_micros();
    say(table(HEAD, nodes.iter().map(|node| row(node, now))).trim_end())?;
    match nodes.iter().filter(|node| node.status.is_none()).count() {
        0 => Ok(()),
        silent => Err(CommandError::Failed(format!("{silent} of {} nodes did not answer", nodes.len()))),
    }
}

fn row(node: &Node, now: i64) -> [String; 8] {
    let up = Duration::from_micros(u64::try_from(now.saturating_sub(node.started_at)).unwrap_or(0));
    let [connections, users, rooms, lag] = match &node.status {
        None => ["no answer".to_owned(), String::new(), String::new(), String::new()],
        Some(status) => [
            status.connections.to_string(),
            status.users.to_string(),
            status.rooms.to_string(),
            status.archive_lag_ms.map_or_else(|| "-".to_owned(), |lag| format!("{lag} ms")),
        ],
    };
    [node.id.to_string(), node.version.clone(), node.address.clone(), shown(up), connections, users, rooms, lag]
}

/// The two largest units of a time.
fn shown(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h{minutes:02}m"),
        _ => format!("{days}d{hours:02}h"),
    }
}

#[cfg(test)]
mod tests {
    use bobchat_proto::wire::NodeStatus;

    use super::*;

    #[test]
    fn nodes_stand_in_columns_and_the_silent_ones_are_told() {
        let node = |id, address: &str, status| Node {
            id,
            version: "0.1.0".to_owned(),
            address: address.to_owned(),
            started_at: 1_000_000,
            status,
        };
        let status = |archive_lag_ms| Some(NodeStatus { connections: 1200, users: 9, rooms: 30, archive_lag_ms });
        let nodes = [node(7, "127.0.0.1:8081", status(Some(12))), node(8, "b:1", None), node(900, "c:1", status(None))];
        let expected = "\
NODE  VERSION  ADDRESS         UP     CONNECTIONS  USERS  ROOMS  ARCHIVE LAG
7     0.1.0    127.0.0.1:8081  1m05s  1200         9      30     12 ms
8     0.1.0    b:1             1m05s  no answer
900   0.1.0    c:1             1m05s  1200         9      30     -
";
        assert_eq!(table(HEAD, nodes.iter().map(|node| row(node, 66_000_000))), expected);
    }

    #[test]
    fn times_are_short() {
        for (seconds, expected) in [(0, "0s"), (59, "59s"), (61, "1m01s"), (3700, "1h01m"), (90_000, "1d01h")] {
            assert_eq!(shown(Duration::from_secs(seconds)), expected);
        }
    }
}
