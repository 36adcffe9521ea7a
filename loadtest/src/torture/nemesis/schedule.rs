//! What is broken when: made by a seed, and the same each time.

use std::time::Duration;

use super::super::random::Random;
use super::fault::{Fault, Target};
use super::network::Manner;

/// Sets the choices of the schedule apart from those of the clients.
const STREAM: u64 = 1 << 32;

/// The load goes on for so long before anything is broken, and after the last fault has ended.
const CALM: Duration = Duration::from_secs(2);

/// Between two nodes of a rolling restart: each has to be back by then, or is waited for.
const ROLL_STEP: Duration = Duration::from_secs(4);

/// One fault in so many begins in the middle of the one before.
const OVERLAPS_ONCE_IN: usize = 3;

/// A fault that is planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Planned {
    pub(in super::super) fault: Fault,
    pub(in super::super) target: Target,
    /// When, since the load began. Later if what was done to the same before is not over.
    pub(in super::super) at: Duration,
    pub(in super::super) length: Duration,
    /// Chooses among rooms, and among the ways to harm a network.
    pub(in super::super) choice: usize,
}

impl Planned {
    /// For people: what, and to whom; of a network also how.
    pub(in super::super) fn told(&self) -> String {
        let how = Manner::of(self).map_or(String::new(), |manner| format!(" ({})", manner.told()));
        format!("{} of {}{how}", self.fault.name(), self.target.told())
    }

    /// For people: when too.
    pub(in super::super) fn line(&self) -> String {
        format!("{:7.2} s  {} for {:.2} s", self.at.as_secs_f64(), self.told(), self.length.as_secs_f64())
    }
}

/// What a run is to meet.
#[derive(Debug, Clone)]
pub(in super::super) struct Wanted<'a> {
    pub(in super::super) seed: u64,
    pub(in super::super) lasts: Duration,
    /// Between the beginnings of two faults, about.
    pub(in super::super) every: Duration,
    pub(in super::super) faults: &'a [Fault],
    pub(in super::super) nodes: usize,
}

/// Makes the schedule. Each kind comes before any comes again.
pub(in super::super) fn schedule(wanted: &Wanted<'_>) -> Vec<Planned> {
    let Wanted { seed, lasts, every, faults, nodes } = *wanted;
    let mut random = Random::new(seed, STREAM);
    let mut planned = Vec::new();
    let (mut at, mut bag) = (CALM, Vec::new());
    while !faults.is_empty() && at + CALM < lasts {
        if bag.is_empty() {
            bag = faults.to_vec();
        }
        let fault = bag.swap_remove(random.below(bag.len()));
        let length = fault.length(lasts, nodes, &mut random);
        let (target, choice) = (fault.target(nodes, &mut random), random.below(1 << 16));
        if at + length + CALM > lasts {
            break;
        }
        let steps = if fault == Fault::Roll { nodes } else { 1 };
        for step in 0..steps {
            let target = if fault == Fault::Roll { Target::Node(step) } else { target };
            let at = at + ROLL_STEP * u32::try_from(step).unwrap_or_default();
            planned.push(Planned { fault, target, at, length, choice });
        }
        let rolled = ROLL_STEP * u32::try_from(steps - 1).unwrap_or_default();
        let overlaps = faults.len() > 1 && !length.is_zero() && random.once_in(OVERLAPS_ONCE_IN);
        at += if overlaps { length / 2 } else { length.max(every).max(rolled) };
    }
    planned
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    fn wanted(seed: u64, faults: &[Fault], every: u64) -> Wanted<'_> {
        Wanted { seed, lasts: Duration::from_secs(300), every: Duration::from_secs(every), faults, nodes: 3 }
    }

    #[test]
    fn a_seed_makes_the_same_schedule_and_another_seed_another_one() {
        let make = |seed| schedule(&wanted(seed, Fault::value_variants(), 10));
        assert_eq!(make(7), make(7));
        assert_ne!(make(7), make(8));
    }

    #[test]
    fn every_kind_comes_and_some_overlap_and_all_end_before_the_run() {
        let lasts = Duration::from_secs(600);
        let planned = schedule(&Wanted { lasts, ..wanted(3, &Fault::CLUSTER, 5) });
        let kinds: std::collections::BTreeSet<_> = planned.iter().map(|planned| planned.fault).collect();
        assert_eq!(kinds.len(), Fault::CLUSTER.len(), "{planned:?}");
        let pairs = planned.windows(2).filter(|pair| pair[1].at < pair[0].at + pair[0].length);
        assert!(pairs.count() > 0, "{planned:?}");
        assert!(planned.iter().all(|planned| planned.at + planned.length < lasts));
    }

    /// A network is harmed in every manner, between every node and whom it talks to, and slow as a whole.
    #[test]
    fn the_network_is_harmed_at_every_node_and_as_a_whole() {
        let faults: Vec<_> = Fault::CLUSTER.into_iter().filter(|fault| fault.is_of_network()).collect();
        let planned = schedule(&Wanted { lasts: Duration::from_secs(9_000), ..wanted(1, &faults, 1) });
        for fault in faults {
            let mut of_it = planned.iter().filter(|planned| planned.fault == fault);
            let targets: Vec<_> = of_it.clone().map(|planned| planned.target).collect();
            let whom = if fault == Fault::NetSlow { vec![Target::Network] } else { (0..3).map(Target::Node).collect() };
            assert!(whom.iter().all(|target| targets.contains(target)), "{fault:?}: {targets:?}");
            assert!(targets.iter().all(|target| whom.contains(target)), "{fault:?}: {targets:?}");
            assert!(of_it.all(|planned| planned.told().contains('(')), "{fault:?}");
        }
    }

    #[test]
    fn one_kind_alone_comes_as_often_as_it_is_asked_for() {
        let planned = schedule(&wanted(1, &[Fault::Kill], 3));
        assert!(planned.windows(2).all(|pair| pair[1].at - pair[0].at == Duration::from_secs(3)), "{planned:?}");
        assert!(planned.len() >= 98, "{}", planned.len());
    }
}
