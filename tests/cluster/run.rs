//! What the runs have in common.

use std::net::SocketAddr;
use std::time::Duration;

use bobchat_loadtest::torture::{Client, Plan, Torture, Verdict};

/// How long anything may take that has no bound of its own; on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// How long all may take to agree after a fault ended, as is promised: measured by `make torture-cluster`, which has the
/// machine for itself. Elsewhere they only have to agree in the end.
const AGREED_WITHIN: Duration = Duration::from_secs(10);

/// What a busy machine of two cores may add to what is promised in seconds.
pub(crate) const BUSY: Duration = Duration::from_secs(5);

/// Clients that talk in rooms.
pub(crate) fn plan(nodes: Vec<SocketAddr>, rooms: usize, clients: Vec<Client>) -> Plan {
    // Other choices in each run; a run that failed says which.
    let seed = std::env::var("BOBCHAT_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    Plan { nodes, rooms, clients, abusers: 0, rate: 20.0, patience: Duration::from_secs(5), seed, history: None }
}

/// Ends a run: all agree in time, and every promise was kept.
pub(crate) fn must_be_clean(torture: Torture) -> Verdict {
    let verdict = judge(torture);
    assert!(verdict.is_clean(), "{verdict}");
    verdict
}

/// Ends a run: all agree in time.
pub(crate) fn judge(mut torture: Torture) -> Verdict {
    torture.settle(agreed_within()).unwrap();
    let verdict = torture.finish().unwrap();
    println!("{verdict}");
    verdict
}

/// How long all may take to agree after a fault ended.
pub(crate) fn agreed_within() -> Duration {
    if is_measured() { AGREED_WITHIN } else { PATIENCE }
}

/// Whether the run is to show in what time things happen.
fn is_measured() -> bool {
    std::env::var_os("BOBCHAT_TORTURE").is_some()
}

/// How long a fault lasts: as long as is promised when `make torture` asks for it, else long enough to outlast every
/// deadline that a request has.
pub(crate) fn lasting(promised: Duration) -> Duration {
    if is_measured() { promised } else { promised.min(Duration::from_secs(12)) }
}
