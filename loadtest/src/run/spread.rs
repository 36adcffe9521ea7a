//! How a run spreads over processes of the harness and addresses of this machine: one process has so many files
//! open at most, and one address so many ports.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::ensure;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::conduct::Plan;
use super::engine::Order;
use crate::client::{Credentials, Target};
use crate::scenario::Scenario;

/// Files that a process needs beside its connections.
const FILES_BESIDE: u64 = 500;

/// Connections from one address to one server. A system has some 28 000 ports for them, and those of connections
/// that ended are not free for a minute.
const CONNECTIONS_PER_SOURCE: usize = 12_000;

/// Addresses of the loopback network that are used at most.
const SOURCES_MAX: usize = 254;

/// What was asked for; what was not is chosen by the number of users.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spread {
    pub(crate) processes: Option<usize>,
    pub(crate) sources: Option<usize>,
}

impl Spread {
    /// What each process does.
    ///
    /// # Errors
    /// When they would be too many for the rooms, or for the files that a process may open.
    pub(super) fn orders(&self, plan: &Plan, scenario: &Scenario, users: &[Credentials]) -> anyhow::Result<Vec<Order>> {
        let files = files_per_process();
        let processes = self.processes.unwrap_or_else(|| scenario.users().div_ceil(files));
        ensure!(processes >= 1, "--processes is above 0");
        ensure!(
            processes <= scenario.rooms,
            "{processes} processes need as many rooms, for all members of a room are in one process, and each has at \
             most {files} connections here (ulimit -n)"
        );
        let sources = self.sources(plan, scenario.users())?;
        let mut left = users;
        let order = |number| {
            let scenario = scenario.part(number, processes);
            let count = scenario.users();
            ensure!(count <= files, "{count} connections in a process; ulimit -n allows {files}: use more --processes");
            let (mine, others) = left.split_at(count.min(left.len()));
            left = others;
            // Each process begins at another address, or the first ones would have more connections.
            let mut sources = sources.clone();
            let turn = number % sources.len().max(1);
            sources.rotate_left(turn);
            let targets = plan.targets.iter().map(Target::url).collect();
            Ok(Order { scenario, targets, json: plan.json, users: mine.to_vec(), sources })
        };
        (0..processes).map(order).collect()
    }

    /// 127.0.0.1 and the next ones, where servers listen on this machine and one address is not enough.
    fn sources(&self, plan: &Plan, users: usize) -> anyhow::Result<Vec<IpAddr>> {
        let is_local = plan.targets.iter().all(|target| {
            let host = target.authority.rsplit_once(':').map_or("", |(host, _)| host);
            host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        });
        let count = match self.sources {
            Some(count) => {
                ensure!(count >= 1, "--sources is above 0");
                ensure!(is_local, "--sources are addresses of this machine alone: every --target must be 127.0.0.1");
                count
            }
            None if is_local && users > CONNECTIONS_PER_SOURCE => users.div_ceil(CONNECTIONS_PER_SOURCE),
            None => 0,
        };
        ensure!(count <= SOURCES_MAX, "there are {SOURCES_MAX} --sources at most");
        let address = |number| IpAddr::V4(Ipv4Addr::new(127, 0, 0, u8::try_from(number).unwrap_or(u8::MAX)));
        Ok((1..=count).map(address).collect())
    }
}

/// Connections that one process may have, once it allows itself as many files as it can.
fn files_per_process() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let allowed = limit.maximum.or(limit.current).unwrap_or(u64::MAX);
    usize::try_from(allowed.saturating_sub(FILES_BESIDE)).unwrap_or(usize::MAX).max(1)
}

/// Allows this process as many open files as it may have.
pub(crate) fn allow_files() {
    let limit = getrlimit(Resource::Nofile);
    // If the system refuses, connections fail and say so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::monitor::Watched;
    use crate::scenario::find;

    fn plan(target: &str) -> Plan {
        Plan {
            targets: vec![target.parse().unwrap()],
            json: false,
            tokens: None,
            watched: Watched::default(),
            marks: None,
            spread: Spread::default(),
        }
    }

    fn users(count: usize) -> Vec<Credentials> {
        let user =
            |number: usize| Credentials { access_token: number.to_string(), refresh_token: None, expires_at: None };
        (0..count).map(user).collect()
    }

    #[test]
    fn every_user_is_in_one_process_and_every_process_begins_at_another_address() {
        let scenario = find("small-rooms", &["rooms=7".to_owned()]).unwrap();
        let spread = Spread { processes: Some(3), sources: Some(2) };
        let orders = spread.orders(&plan("http://127.0.0.1:1"), &scenario, &users(70)).unwrap();
        let tokens: Vec<String> =
            orders.iter().flat_map(|order| order.users.iter().map(|user| user.access_token.clone())).collect();
        assert_eq!(tokens, (0..70).map(|number| number.to_string()).collect::<Vec<_>>());
        assert_eq!(orders.iter().map(|order| order.scenario.users()).collect::<Vec<_>>(), [30, 20, 20]);
        let first: Vec<String> = orders.iter().map(|order| order.sources[0].to_string()).collect();
        assert_eq!(first, ["127.0.0.1", "127.0.0.2", "127.0.0.1"]);
    }

    #[test]
    fn what_cannot_be_spread_is_refused() {
        let big = find("big-room", &[]).unwrap();
        let two = Spread { processes: Some(2), sources: None };
        let error = two.orders(&plan("http://127.0.0.1:1"), &big, &users(1_000)).unwrap_err();
        assert!(error.to_string().contains("as many rooms"), "{error}");
        let far = Spread { processes: None, sources: Some(2) };
        assert!(far.orders(&plan("http://10.0.0.1:1"), &big, &users(1_000)).is_err());
    }
}
