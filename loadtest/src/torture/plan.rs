//! Who does what where.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

/// A run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where the nodes listen for clients. A node that ended and starts again does so at the same place.
    pub nodes: Vec<SocketAddr>,
    /// How many rooms.
    pub rooms: usize,
    /// The clients, each a user of its own. The first one makes the rooms and reads them in the end.
    pub clients: Vec<Client>,
    /// How many others mean harm: broken and oversized frames, half a handshake, never reading. They are no clients.
    pub abusers: usize,
    /// Messages a second that a client says, over its rooms.
    pub rate: f64,
    /// How long a client waits for an answer before it takes the connection for lost.
    pub patience: Duration,
    /// Names the run: the same seed, the same choices of each client.
    pub seed: u64,
    /// Where to write the history, which is then what the run is judged by. None: it is judged as it happens.
    pub history: Option<PathBuf>,
}

/// One client.
#[derive(Debug, Clone)]
pub struct Client {
    /// Where it goes.
    pub habit: Habit,
    /// The rooms that it is in, by number. None: all.
    pub rooms: Option<Vec<usize>>,
    /// The stages of the run in which it is not connected.
    pub away: Range<u32>,
    /// The rooms that it leaves and joins again and again, by number.
    pub doors: Vec<usize>,
    /// How it talks to nodes.
    pub over: Over,
}

/// How a client talks to nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// A connection that brings it all that happens.
    WebSocket,
    /// Requests: it says and reads, and nothing is brought to it. It uses no doors.
    Rest,
}

/// Where a client goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    /// To this node, and elsewhere only when it does not answer, as a balancer does.
    Stays(usize),
    /// From node to node, at random.
    Roams,
}

impl Client {
    /// A client of a node, in all rooms, always there.
    #[must_use]
    pub const fn of(node: usize) -> Self {
        Self { habit: Habit::Stays(node), rooms: None, away: 0..0, doors: Vec::new(), over: Over::WebSocket }
    }

    /// A client that moves between nodes at random.
    #[must_use]
    pub const fn roaming() -> Self {
        Self { habit: Habit::Roams, rooms: None, away: 0..0, doors: Vec::new(), over: Over::WebSocket }
    }

    /// Is in these rooms alone.
    #[must_use]
    pub fn in_rooms(mut self, rooms: &[usize]) -> Self {
        self.rooms = Some(rooms.to_vec());
        self
    }

    /// Leaves and joins these of its rooms again and again.
    #[must_use]
    pub fn in_and_out_of(mut self, rooms: &[usize]) -> Self {
        self.doors = rooms.to_vec();
        self
    }

    /// Says and reads everything over REST.
    #[must_use]
    pub fn over_rest(mut self) -> Self {
        (self.over, self.doors) = (Over::Rest, Vec::new());
        self
    }

    /// Is not connected in these stages.
    #[must_use]
    pub const fn away(mut self, stages: Range<u32>) -> Self {
        self.away = stages;
        self
    }

    /// Whether it is in a room.
    pub(super) fn is_in(&self, room: usize) -> bool {
        self.rooms.as_ref().is_none_or(|rooms| rooms.contains(&room))
    }
}
