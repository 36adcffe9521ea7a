use super::world::{NODES, Who};

/// One step of a schedule. Each can be taken or be impossible in any state, so that a schedule can be shortened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// A client sends, or sends again, this message to this node.
    Start(usize, usize),
    /// A client sends two messages in one batch.
    StartBatch(usize),
    /// A node's job goes one step on.
    Step(usize, Who, Fault),
    /// A node's job ends amid its work; what it was about to call may still be carried out later.
    Drop(usize, Who, bool),
    /// What was on its way when its job ended arrives.
    Ghost,
    StartArchive(usize),
    StartSalvage(usize),
    /// The node compares what it knows with the live log.
    Beat(usize),
    /// The node applies what the live log has.
    Follow(usize),
    /// The node dies, with all that it held, and starts again.
    Kill(usize),
    /// The live log starts again: empty, with its data, or with what a replica had.
    Empty,
    Restart,
    RollBack,
    FlushAll,
    ForgetRoom,
    /// A replica copies.
    Snapshot,
    /// The replica is promoted while the old master goes on.
    Failover,
    /// The old master goes.
    Demote,
    /// The node connects to the other master.
    Switch(usize),
    StoreDown,
    StoreUp,
    /// Two seconds pass: the salvage window ends.
    Pause,
    /// Eleven minutes pass: keys rotate, and what was on its way is gone.
    LongPause,
}

impl Act {
    fn is_fault(self) -> bool {
        matches!(
            self,
            Self::Kill(_)
                | Self::Empty
                | Self::Restart
                | Self::RollBack
                | Self::FlushAll
                | Self::ForgetRoom
                | Self::Failover
                | Self::Demote
        )
    }
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// It is done, and nobody hears of it.
    Lost,
    /// It is not done.
    NotDone,
    /// It is done later.
    Late,
    /// A write of several rows stops after so many.
    Partial(usize),
}

/// Xorshift: the same seed, the same schedule.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..4 {
            random.next();
        }
        random
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap_or(0)
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// Draws acts. What is likely changes now and then, so that a job may rest while the world goes on, which evenly
/// mixed steps would hardly ever show.
pub(super) struct Scheduler {
    random: Random,
    /// How eager each kind of job of each node is.
    weights: [[usize; 4]; NODES],
    faults_left: usize,
}

impl Scheduler {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let faults_left = 1 + random.below(5);
        let mut scheduler = Self { random, weights: [[1; 4]; NODES], faults_left };
        scheduler.redraw();
        scheduler
    }

    pub(super) fn length(&mut self) -> usize {
        40 + self.random.below(160)
    }

    fn redraw(&mut self) {
        for weight in self.weights.iter_mut().flatten() {
            if self.random.one_in(2) {
                *weight = [0, 0, 1, 4, 16][self.random.below(5)];
            }
        }
    }

    /// The next act, given the jobs that are on their way.
    pub(super) fn draw(&mut self, jobs: &[(usize, Who)]) -> Act {
        if self.random.one_in(14) {
            self.redraw();
        }
        let mut acts: Vec<(usize, Act)> = Vec::new();
        for (node, who) in jobs.iter().copied() {
            let weight = self.weights[node][who.kind()] * 3;
            let fault = self.fault();
            acts.push((weight, Act::Step(node, who, fault)));
        }
        let node = self.random.below(NODES);
        acts.push((4, self.start(node)));
        acts.push((3, Act::Follow(node)));
        acts.push((3, Act::Beat(node)));
        acts.push((2 + self.weights[node][2] / 4, Act::StartArchive(node)));
        acts.push((2 + self.weights[node][3] / 4, Act::StartSalvage(node)));
        acts.push((3, Act::Snapshot));
        acts.push((3, Act::Switch(node)));
        let rare = match self.random.below(8) {
            0 => Act::LongPause,
            1 | 2 => Act::Pause,
            3 => Act::Ghost,
            4 => Act::StoreDown,
            5 => Act::StoreUp,
            _ if jobs.is_empty() => Act::StoreUp,
            _ => {
                let (node, who) = jobs[self.random.below(jobs.len())];
                Act::Drop(node, who, self.random.one_in(2))
            }
        };
        acts.push((3, rare));
        if self.faults_left > 0 {
            acts.push((2, self.accident(node)));
        }
        let act = self.pick(&acts);
        if act.is_fault() {
            self.faults_left -= 1;
        }
        act
    }

    fn pick(&mut self, acts: &[(usize, Act)]) -> Act {
        let mut left = self.random.below(acts.iter().map(|(weight, _)| weight).sum());
        for (weight, act) in acts {
            if left < *weight {
                return *act;
            }
            left -= weight;
        }
        Act::StoreUp
    }

    fn start(&mut self, node: usize) -> Act {
        if self.random.one_in(8) { Act::StartBatch(node) } else { Act::Start(self.random.below(5), node) }
    }

    fn fault(&mut self) -> Fault {
        match self.random.below(48) {
            0 | 1 => Fault::Lost,
            2 | 3 => Fault::NotDone,
            4 => Fault::Late,
            5 | 6 => Fault::Partial(self.random.below(6)),
            _ => Fault::None,
        }
    }

    fn accident(&mut self, node: usize) -> Act {
        match self.random.below(14) {
            0..=3 => Act::Kill(node),
            4 | 5 => Act::Empty,
            6 => Act::Restart,
            7 | 8 => Act::RollBack,
            9 => Act::FlushAll,
            10 => Act::ForgetRoom,
            11 | 12 => Act::Failover,
            _ => Act::Demote,
        }
    }
}
