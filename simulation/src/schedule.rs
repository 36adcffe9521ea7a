//! What happens in a run: what clients do, and what is done to the servers. A seed says all of it, and each piece can
//! be left out, so that a run that fails can be made short.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::random::Random;

/// Clients of a run. The first one makes the rooms, never leaves them and reads them in the end.
pub const CLIENTS: usize = 4;

/// Rooms of a run: more than one, since what goes on in one must not disturb another.
pub const ROOMS: usize = 2;

/// Nodes of a cluster.
pub const NODES: usize = 3;

/// From the beginning until clients have signed up and made the rooms; nothing goes wrong before.
pub const PREPARED_AFTER: Duration = Duration::from_millis(1_500);

/// How long clients act and things go wrong.
const ACTED_FOR: u64 = 3_000;

/// Acts of one client at most.
const ACTS_MAX: usize = 16;

/// Things that go wrong in one run at most: they overlap.
const TROUBLES_MAX: usize = 5;

/// What the servers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Site {
    /// One node with the embedded store, on a disk that loses what was not synced.
    Alone,
    /// Nodes that share a live log and a store.
    Cluster,
}

impl Site {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Alone, Self::Cluster];

    /// Its name, on the command line and in the list of seeds.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Cluster => "cluster",
        }
    }

    /// How many nodes it has.
    #[must_use]
    pub const fn nodes(self) -> usize {
        match self {
            Self::Alone => 1,
            Self::Cluster => NODES,
        }
    }
}

/// Something that a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// Since [`PREPARED_AFTER`], in whole milliseconds.
    #[serde(rename = "at_ms", with = "millis")]
    pub at: Duration,
    /// Who.
    pub client: usize,
    /// In which room, by number.
    pub room: usize,
    /// What.
    pub what: Deed,
}

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Says so many things at once, also in a room that it is no member of: then it has to be refused.
    Say(usize),
    /// Says something and is gone before the answer comes: it says it again elsewhere, under the same key.
    SayAndHangUp,
    /// Is gone, and comes back with its cursors.
    HangUp,
    /// Leaves the room.
    Leave,
    /// Becomes a member again.
    Join,
    /// Reads the newest page, and what follows its cursor.
    Read,
}

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Since [`PREPARED_AFTER`], in whole milliseconds.
    #[serde(rename = "at_ms", with = "millis")]
    pub at: Duration,
    /// How long, where it lasts; a node that ended starts again then.
    #[serde(rename = "lasts_ms", with = "millis")]
    pub lasts: Duration,
    /// What.
    pub what: Fault,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A node's process ends, with all that it held.
    Kill(usize),
    /// The power fails amid the writes of the embedded store: at this operation of its disk, counted from then on. What was
    /// not synced is lost, or a part of it.
    PowerCut(u32),
    /// Half of the clients and a node do not reach each other: what is on its way between them is lost.
    Parted(usize, usize),
    /// What half of the clients and a node send each other is late.
    Held(usize, usize),
    /// The live log starts again, empty.
    LogEmptied,
    /// The live log falls back to what it held a while ago, as when a replica that lags behind takes over.
    LogRolledBack,
    /// The live log starts again and has what it had.
    LogRestarted,
    /// The live log forgets everything in one life.
    LogFlushed,
    /// The live log forgets one room.
    RoomForgotten(usize),
    /// The live log does not answer.
    LogAway,
    /// The store does not answer.
    StoreAway,
    /// The store writes so many rows of the next batch and no more.
    StoreInterrupted(usize),
    /// A node reaches neither the live log nor the store.
    Apart(usize),
    /// What a node asks of the live log and the store is done, and now and then it does not hear so.
    AnswersLost(usize),
    /// Nodes do not hear what others appended.
    Unheard,
    /// Of what nodes tell each other one frame in so many is lost and as many are late, each on its way to each node: one
    /// misses what another one hears, and hears the new before the old.
    FramesLost(usize),
}

/// A run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// What else is drawn, the delays, is drawn from it.
    pub seed: u64,
    /// Where.
    pub site: Site,
    /// What clients do, in no order.
    pub acts: Vec<Act>,
    /// What goes wrong, in no order.
    pub troubles: Vec<Trouble>,
}

impl Schedule {
    /// The run of a seed.
    #[must_use]
    pub fn of(site: Site, seed: u64) -> Self {
        let mut random = Random::new(seed, 1);
        let mut acts = Vec::new();
        for client in 0..CLIENTS {
            for _ in 0..4 + random.below(ACTS_MAX - 4) {
                acts.push(act(client, &mut random));
            }
        }
        let troubles = (0..random.below(TROUBLES_MAX + 1)).map(|_| trouble(site, &mut random)).collect();
        Self { seed, site, acts, troubles }
    }

    /// When everything that goes wrong is over and every act was begun.
    #[must_use]
    pub fn over_after(&self) -> Duration {
        let acted = self.acts.iter().map(|act| act.at);
        let healed = self.troubles.iter().map(|trouble| trouble.at + trouble.lasts);
        acted.chain(healed).max().unwrap_or_default() + Duration::from_millis(100)
    }
}

impl fmt::Display for Schedule {
    /// Writes the run whole, as one line that [`Schedule::from_str`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Schedule {
    type Err = serde_json::Error;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        serde_json::from_str(line)
    }
}

/// Times as they are drawn.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        time.as_millis().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

fn act(client: usize, random: &mut Random) -> Act {
    let at = random.millis(0, ACTED_FOR);
    let room = random.below(ROOMS);
    let what = match random.below(20) {
        0..=9 => Deed::Say(1 + random.below(3)),
        10..=12 => Deed::SayAndHangUp,
        13 => Deed::HangUp,
        14 | 15 if client > 0 => Deed::Leave,
        16 | 17 if client > 0 => Deed::Join,
        _ => Deed::Read,
    };
    Act { at, client, room, what }
}

fn trouble(site: Site, random: &mut Random) -> Trouble {
    let (at, lasts) = (random.millis(0, ACTED_FOR), random.millis(50, 1_200));
    let node = random.below(site.nodes());
    let half = random.below(2);
    let kinds = if site == Site::Cluster { 18 } else { 16 };
    let what = match (site, random.below(kinds)) {
        (Site::Alone, 0..=3) => Fault::Kill(node),
        (Site::Alone, 4..=11) => Fault::PowerCut(1 + random.below(12) as u32),
        (Site::Alone, 12 | 13) => Fault::Parted(half, node),
        (Site::Alone, _) => Fault::Held(half, node),
        (Site::Cluster, 0 | 1) => Fault::Kill(node),
        (Site::Cluster, 2) => Fault::Parted(half, node),
        (Site::Cluster, 3) => Fault::Held(half, node),
        (Site::Cluster, 4) => Fault::LogEmptied,
        (Site::Cluster, 5 | 6) => Fault::LogRolledBack,
        (Site::Cluster, 7) => Fault::LogRestarted,
        (Site::Cluster, 8) => Fault::LogFlushed,
        (Site::Cluster, 9) => Fault::RoomForgotten(random.below(ROOMS)),
        (Site::Cluster, 10) => Fault::LogAway,
        (Site::Cluster, 11) => Fault::StoreAway,
        (Site::Cluster, 12) => Fault::StoreInterrupted(random.below(8)),
        (Site::Cluster, 13) => Fault::Apart(node),
        (Site::Cluster, 14) => Fault::AnswersLost(node),
        (Site::Cluster, 15) => Fault::Unheard,
        (Site::Cluster, _) => Fault::FramesLost(2 + random.below(5)),
    };
    Trouble { at, lasts, what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_is_written_down_is_the_same_run() {
        for (site, seed) in (1..200).flat_map(|seed| Site::ALL.map(|site| (site, seed))) {
            let schedule = Schedule::of(site, seed);
            let line = schedule.to_string();
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(line.parse::<Schedule>().unwrap(), schedule);
        }
        assert!("{}".parse::<Schedule>().is_err());
    }
}
