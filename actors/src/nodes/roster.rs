use std::collections::BTreeMap;

use bobchat_proto::ids::NodeId;
use tokio::time::Instant;

use crate::ports::{Leased, NodeLife, Peer, SignedOutDevice};

/// Nodes that are known at once: more than one backplane serves. What is beyond is not listed.
pub(super) const NODES_MAX: usize = 256;

/// The other nodes that have a lease, as far as this one knows.
///
/// A lease is believed until it ends, also while nobody can be asked, and no longer. That it is missing in a newer
/// list says nothing: what keeps the list may have lost its data, and its owner takes the lease anew.
#[derive(Debug, Default)]
pub(super) struct Roster {
    peers: BTreeMap<NodeId, (Peer, Instant)>,
}

/// What is new about nodes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Lives that have a lease now.
    pub came: Vec<NodeLife>,
    /// Lives that have none any more.
    pub gone: Vec<NodeLife>,
    /// Whether the node's own life began.
    pub own: bool,
    /// Who signed out at other nodes.
    pub signed_out: Vec<SignedOutDevice>,
}

impl Change {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Roster {
    /// Takes a list of leases that was asked for at `asked_at`.
    pub(super) fn seen(&mut self, own: NodeId, leases: Vec<Leased>, asked_at: Instant) -> Change {
        let mut change = Change::default();
        for Leased { peer, remaining } in leases.into_iter().filter(|leased| leased.peer.life.node != own) {
            // From when it was asked for: so it is never believed for longer than it lasts.
            let end = asked_at + remaining;
            let life = peer.life;
            if self.peers.len() >= NODES_MAX && !self.peers.contains_key(&life.node) {
                continue;
            }
            match self.peers.insert(life.node, (peer, end)) {
                // Two lists may come in either order: the later end is the newer word.
                Some((before, known)) if before.life == life => {
                    self.peers.entry(life.node).and_modify(|(_, end)| *end = known.max(*end));
                }
                Some((before, _)) => {
                    change.gone.push(before.life);
                    change.came.push(life);
                }
                None => change.came.push(life),
            }
        }
        change
    }

    /// Forgets leases that have ended.
    pub(super) fn expire(&mut self, now: Instant) -> Change {
        let ended = self.peers.values().filter(|(_, end)| *end <= now).map(|(peer, _)| peer.life);
        let gone: Vec<_> = ended.collect();
        self.peers.retain(|_, (_, end)| *end > now);
        Change { gone, ..Change::default() }
    }

    /// A life gave its lease back: it ends now.
    pub(super) fn left(&mut self, life: NodeLife) {
        if let Some((_, end)) = self.peers.get_mut(&life.node).filter(|(peer, _)| peer.life == life) {
            *end = Instant::now();
        }
    }

    /// Who has a lease.
    pub(super) fn alive(&self, now: Instant) -> Vec<Peer> {
        self.peers.values().filter(|(_, end)| *end > now).map(|(peer, _)| peer.clone()).collect()
    }

    /// Whether this life of a node has a lease.
    pub(super) fn is_alive(&self, life: NodeLife, now: Instant) -> bool {
        self.peers.get(&life.node).is_some_and(|(peer, end)| peer.life == life && *end > now)
    }

    /// When the next lease ends that is not renewed.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.peers.values().map(|(_, end)| *end).min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn life(node: u64, life: u64) -> NodeLife {
        NodeLife { node: NodeId::new(node).unwrap(), life }
    }

    fn lease(node: u64, number: u64, seconds: u64) -> Leased {
        let life = life(node, number);
        let peer = Peer { life, version: String::new(), address: String::new(), started_at: 0 };
        Leased { peer, remaining: Duration::from_secs(seconds) }
    }

    fn own() -> NodeId {
        NodeId::new(1).unwrap()
    }

    #[test]
    fn a_lease_is_believed_until_it_ends_and_no_longer() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        let change = roster.seen(own(), vec![lease(1, 10, 5), lease(2, 20, 5)], now);
        assert_eq!((change.came, change.gone), (vec![life(2, 20)], vec![]), "the own one is no news");
        assert!(roster.seen(own(), vec![], now).is_empty(), "a missing one says nothing");
        let end = now + Duration::from_secs(5);
        assert_eq!(roster.next_end(), Some(end));
        assert!(roster.is_alive(life(2, 20), end - Duration::from_millis(1)));
        assert!(!roster.is_alive(life(2, 20), end) && roster.alive(end).is_empty());
        assert_eq!(roster.expire(end).gone, [life(2, 20)]);
        assert!(roster.expire(end).is_empty());
    }

    #[test]
    fn another_life_of_a_node_takes_the_place_of_the_one_before() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        roster.seen(own(), vec![lease(2, 20, 5)], now);
        let change = roster.seen(own(), vec![lease(2, 21, 5)], now);
        assert_eq!((change.came, change.gone), (vec![life(2, 21)], vec![life(2, 20)]));
        assert!(!roster.is_alive(life(2, 20), now) && roster.is_alive(life(2, 21), now));
        roster.left(life(2, 20));
        assert!(roster.is_alive(life(2, 21), now), "the life before is over already");
        roster.left(life(2, 21));
        assert_eq!(roster.expire(Instant::now()).gone, [life(2, 21)]);
    }

    #[test]
    fn an_older_list_that_comes_late_shortens_nothing() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        roster.seen(own(), vec![lease(2, 20, 9)], now);
        roster.seen(own(), vec![lease(2, 20, 5)], now);
        assert_eq!(roster.next_end(), Some(now + Duration::from_secs(9)));
    }

    #[test]
    fn more_nodes_than_can_be_are_not_kept() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        let many = (2..).take(NODES_MAX + 5).map(|node| lease(node, 1, 5)).collect();
        assert_eq!(roster.seen(own(), many, now).came.len(), NODES_MAX);
    }
}
