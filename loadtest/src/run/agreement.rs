//! Whether the servers' own figures say what their clients saw. A server that counts otherwise either lies to its
//! operator or to its clients.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::monitor::{Reading, Watched};

/// How often the figures are read again before they disagree: some are counted a moment later.
const TRIES: usize = 30;
const PAUSE: Duration = Duration::from_millis(100);

/// What clients saw.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) sent: u64,
    pub(crate) acked: u64,
    /// Events that members received; unknown where connections came and went, for replays are counted elsewhere.
    pub(crate) events: Option<u64>,
    /// Members that are signed in now.
    pub(crate) connections: u64,
}

/// One figure from both sides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Agreement {
    /// The metric, or what it counts.
    pub(crate) figure: String,
    pub(crate) clients_at_least: u64,
    pub(crate) clients_at_most: u64,
    /// None where a server does not have the figure: it has another name, or the page is another program's.
    pub(crate) servers: Option<f64>,
    pub(crate) agrees: bool,
}

impl Agreement {
    fn between(figure: &str, least: u64, most: u64, servers: Option<f64>) -> Self {
        let agrees = servers.is_some_and(|servers| servers >= least as f64 && servers <= most as f64);
        let figure = figure.to_owned();
        Self { figure, clients_at_least: least, clients_at_most: most, servers, agrees }
    }

    /// The disagreement in words.
    pub(crate) fn words(&self) -> String {
        let Self { figure, clients_at_least, clients_at_most, servers, .. } = self;
        let Some(servers) = servers else {
            return format!("a page of --metrics-url has no {figure}: is it a node of Bobchat's, of this version?");
        };
        format!(
            "{figure} rose by {servers} where clients saw {clients_at_least} to {clients_at_most}; nobody else may use \
             the servers meanwhile, and --metrics-url has to name all of them"
        )
    }
}

/// Reads the servers in the end, again where they are a moment behind, and compares.
///
/// # Errors
/// When a page is not there.
pub(crate) async fn settle(
    watched: &Watched,
    empty: &Reading,
    begin: &Reading,
    seen: Seen,
) -> anyhow::Result<(Reading, Vec<Agreement>)> {
    for _ in 1..TRIES {
        let end = watched.read()?;
        let all = compare(empty, begin, &end, seen);
        if all.iter().all(|one| one.agrees) {
            return Ok((end, all));
        }
        tokio::time::sleep(PAUSE).await;
    }
    let end = watched.read()?;
    let all = compare(empty, begin, &end, seen);
    Ok((end, all))
}

/// Compares what was counted since `begin`, and who came since `empty`.
fn compare(empty: &Reading, begin: &Reading, end: &Reading, seen: Seen) -> Vec<Agreement> {
    let rise = |name: &str, since: &Reading| Some(end.sum(name)? - since.sum(name)?);
    let between = |name: &str, least, most, since: &Reading| Agreement::between(name, least, most, rise(name, since));
    // A message whose answer was lost may be added or not.
    let acknowledged = between("bobchat_messages_acknowledged_total", seen.acked, seen.sent, begin);
    let delivered = seen.events.map(|events| between("bobchat_deliveries_total", events, events, begin));
    let sessions = between("bobchat_sessions", seen.connections, seen.connections, empty);
    [Some(acknowledged), delivered, Some(sessions)].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::super::monitor::tests::reading;
    use super::*;

    fn page(acknowledged: u64, deliveries: u64, sessions: u64) -> String {
        format!(
            "bobchat_messages_acknowledged_total {acknowledged}\nbobchat_deliveries_total {deliveries}\n\
             bobchat_sessions {sessions}\n"
        )
    }

    #[test]
    fn a_server_that_counts_otherwise_is_found_out() {
        let (empty, begin) = (reading(&[page(5, 5, 1)]), reading(&[page(10, 50, 4)]));
        let seen = Seen { sent: 7, acked: 6, events: Some(20), connections: 3 };
        let agrees =
            |page| compare(&empty, &begin, &reading(&[page]), seen).into_iter().map(|one| one.agrees).collect();
        let cases: [(String, [bool; 3]); 5] = [
            (page(16, 70, 4), [true; 3]),
            (page(17, 70, 4), [true; 3]),
            (page(15, 70, 4), [false, true, true]),
            (page(18, 71, 4), [false, false, true]),
            (page(16, 70, 5), [true, true, false]),
        ];
        for (page, expected) in cases {
            let found: Vec<bool> = agrees(page.clone());
            assert_eq!(found, expected, "{page}");
        }
    }

    #[test]
    fn figures_of_all_servers_are_added_up_and_one_that_is_not_there_agrees_with_nothing() {
        let begin = reading(&[page(0, 0, 0), page(0, 0, 0)]);
        let end = reading(&[page(4, 10, 1), page(2, 10, 2)]);
        let seen = Seen { sent: 6, acked: 6, events: None, connections: 3 };
        let all = compare(&begin, &begin, &end, seen);
        assert!(all.len() == 2 && all.iter().all(|one| one.agrees), "{all:?}");
        let other = compare(&begin, &begin, &reading(&["up 1\n".to_owned()]), seen);
        assert!(other.len() == 2 && other.iter().all(|one| !one.agrees && one.servers.is_none()), "{other:?}");
        assert!(other.iter().all(|one| one.words().contains("--metrics-url")), "{other:?}");
    }
}
