//! What is done to the network: to which links, how, and what they counted of it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use super::super::history::deed::Proof;
use super::super::network::link::Link;
use super::super::network::rule::{Direction, Harm, Pace, Whom};
use super::super::network::tally::Tally;
use super::super::site::Site;
use super::fault::{Fault, Target};
use super::schedule::Planned;

/// What a connection carries at most until it is cut: in a greeting, or some time later in the middle of an answer.
const CUT_BYTES_MAX: usize = 32 * 1024;

/// What each piece takes on a slow network, in milliseconds: this, and as much again at most.
const LATENCY_MS: std::ops::Range<usize> = 10..100;

/// What one connection carries a second on a slow network: what a page of history takes a moment for.
const SLOW_BYTES_PER_SECOND: u32 = 1024 * 1024;

/// How a network is harmed; the choice of what is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// What is asked does not arrive before it is whole.
    ToServer,
    /// What is asked is done, and nobody hears of it.
    ToClient,
    Both,
    /// All connections are reset, twice a second.
    Reset,
    /// Connections are reset after some bytes.
    Cut,
    /// It is slow.
    Slow(Pace),
}

impl Manner {
    /// A node says next to nothing where it hears, so there is nothing to hold on the way there. To reset it is what
    /// `redis-subscribers` does.
    const OF_HEARING: [Self; 2] = [Self::ToClient, Self::Both];
    const ALL: [Self; 5] = [Self::ToServer, Self::ToClient, Self::Both, Self::Reset, Self::Cut];

    /// How a network is harmed, if it is one that something is planned for.
    pub(super) fn of(planned: &Planned) -> Option<Self> {
        let choose = |manners: &[Self]| manners.get(planned.choice % manners.len().max(1)).copied();
        match planned.fault {
            Fault::NetSlow => Some(Self::Slow(pace(planned.choice))),
            Fault::NetNodes => choose(&Self::OF_HEARING),
            fault if fault.is_of_network() => choose(&Self::ALL),
            _ => None,
        }
    }

    /// For people.
    pub(super) fn told(self) -> String {
        match self {
            Self::ToServer => "held on the way there".to_owned(),
            Self::ToClient => "held on the way back".to_owned(),
            Self::Both => "held both ways".to_owned(),
            Self::Reset => "reset".to_owned(),
            Self::Cut => "cut".to_owned(),
            Self::Slow(pace) => format!("{} to {} ms", pace.latency.as_millis(), 2 * pace.latency.as_millis()),
        }
    }

    /// Whether no answer comes through. Where only what is asked is held, what was asked before may be answered late.
    pub(super) const fn holds_answers(self) -> bool {
        matches!(self, Self::ToClient | Self::Both)
    }
}

fn pace(choice: usize) -> Pace {
    let latency = Duration::from_millis((LATENCY_MS.start + choice % LATENCY_MS.len()) as u64);
    Pace { latency, jitter: latency, bytes_per_second: SLOW_BYTES_PER_SECOND }
}

/// Harms what is planned, or harms it again: what has to be done more than once.
///
/// # Errors
/// When the run has no such link, or Redis does not say who hears.
pub(super) fn harm(site: &mut Site, planned: &Planned) -> anyhow::Result<()> {
    let whom = match planned.fault {
        // Connections of before, and those that were made since.
        Fault::NetNodes => Whom::From(Arc::new(site.redis()?.subscribers()?)),
        _ => Whom::All,
    };
    for link in links(site, planned)? {
        match Manner::of(planned).context("no fault of the network")? {
            Manner::ToServer => link.harm(Harm::HoldOne(Direction::ToServer), whom.clone()),
            Manner::ToClient => link.harm(Harm::HoldOne(Direction::ToClient), whom.clone()),
            Manner::Both => link.harm(Harm::HoldBoth, whom.clone()),
            Manner::Cut => link.harm(Harm::Cut(CUT_BYTES_MAX), whom.clone()),
            Manner::Reset => link.reset(),
            Manner::Slow(pace) => link.pace(Some(pace)),
        }
    }
    Ok(())
}

/// Makes it whole.
///
/// # Errors
/// When the run has no such link.
pub(super) fn heal(site: &Site, planned: &Planned) -> anyhow::Result<()> {
    for link in links(site, planned)? {
        match planned.fault {
            Fault::NetSlow => link.pace(None),
            _ => link.heal(),
        }
    }
    Ok(())
}

/// What the links did so far that something is planned for; nothing where that is no network.
pub(super) fn tally(site: &Site, planned: &Planned) -> Tally {
    let links = links(site, planned).unwrap_or_default();
    links.into_iter().fold(Tally::default(), |sum, link| sum + link.tally())
}

/// What shows that it bit, of what was counted meanwhile.
pub(super) fn proof(planned: &Planned, counted: Tally) -> Option<Proof> {
    Some(match Manner::of(planned)? {
        Manner::Reset => Proof::count("connections reset", counted.resets),
        Manner::Cut => Proof::count("connections cut", counted.cuts),
        Manner::Slow(_) => Proof::count("pieces delayed", counted.delayed),
        manner => Proof::count(&format!("bytes {}", manner.told()), counted.held_bytes),
    })
}

fn links<'s>(site: &'s Site, planned: &Planned) -> anyhow::Result<Vec<&'s Link>> {
    let number = match planned.target {
        Target::Network => return Ok(site.links.iter().flat_map(|links| links.all()).collect()),
        Target::Node(number) => number,
        other => anyhow::bail!("{} is no part of the network", other.told()),
    };
    let links = site.links.get(number).with_context(|| format!("there is no node {number}"))?;
    Ok(vec![match planned.fault {
        Fault::NetRedis | Fault::NetNodes => links.redis()?,
        Fault::NetCassandra => links.cassandra()?,
        _ => &links.clients,
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(fault: Fault, choice: usize) -> Planned {
        let (at, length) = (Duration::ZERO, Duration::ZERO);
        Planned { fault, target: Target::Node(0), at, length, choice }
    }

    #[test]
    fn every_manner_comes_and_what_nodes_hear_is_held_alone() {
        let manners = |fault| (0..1 << 8).filter_map(move |choice| Manner::of(&planned(fault, choice)));
        for fault in [Fault::NetClients, Fault::NetRedis, Fault::NetCassandra] {
            assert!(Manner::ALL.iter().all(|manner| manners(fault).any(|other| other == *manner)), "{fault:?}");
        }
        for manner in Manner::OF_HEARING {
            assert!(manners(Fault::NetNodes).any(|other| other == manner), "{manner:?}");
        }
        assert!(manners(Fault::NetNodes).all(|manner| Manner::OF_HEARING.contains(&manner)));
        assert!(manners(Fault::NetSlow).all(|manner| matches!(manner, Manner::Slow(_))));
        assert_eq!(manners(Fault::Kill).count(), 0);
    }

    #[test]
    fn a_fault_of_the_network_has_bitten_when_its_own_count_has_grown() {
        let bites = |fault, choice, counted| proof(&planned(fault, choice), counted).unwrap().holds;
        let (held, reset, cut, slow) = (
            Tally { held_bytes: 1, ..Tally::default() },
            Tally { resets: 1, ..Tally::default() },
            Tally { cuts: 1, ..Tally::default() },
            Tally { delayed: 1, ..Tally::default() },
        );
        let counted = [held, held, held, reset, cut];
        for (choice, right) in counted.into_iter().enumerate() {
            for other in [held, reset, cut, slow] {
                assert_eq!(bites(Fault::NetRedis, choice, other), other == right, "{choice} {other:?}");
            }
            assert!(bites(Fault::NetSlow, choice, slow) && !bites(Fault::NetSlow, choice, right));
        }
    }
}
