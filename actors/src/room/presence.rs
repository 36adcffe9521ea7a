//! Which people of a room are connected to other nodes.
//!
//! Each node tells the others which users it has in the room: at first everybody, then who came and left, each
//! frame numbered. Whoever misses a number, or hears the room anew, asks all of them for everybody. A node's people
//! count for as long as it has its lease: nothing is said while nothing changes.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bobchat_proto::ids::UserId;
use bobchat_proto::limits::PRESENT_USERS_MAX;
use tokio::time::Instant;

use crate::ports::{NodeLife, NodePresence, WhoIsHere};
use crate::random::RandomState;

/// Nodes whose people are known, at most: as many as can know of each other.
const PEERS_MAX: usize = 256;

/// Of these, nodes that have no lease as far as is known: they have just come, or somebody pretends.
const UNKNOWN_MAX: usize = 8;

/// Changes that are told one by one; beyond, everybody is told.
const CHANGES_MAX: usize = 100;

/// What another node has in the room.
#[derive(Debug)]
struct Peer {
    /// The last frame that was taken.
    number: u64,
    users: HashSet<UserId, RandomState>,
    /// How many it has in all.
    count: u64,
    /// When it last told everybody.
    told_at: Instant,
    /// Whether it has a lease, so that its people count.
    counts: bool,
}

/// The people of a room at other nodes, and what the others were told of those here.
#[derive(Debug, Default)]
pub(super) struct Presence {
    peers: BTreeMap<NodeLife, Peer>,
    /// Users here whose coming or leaving the others have not been told, and which it is.
    untold: BTreeMap<UserId, bool>,
    /// Whether the others have to be told everybody.
    whole: bool,
    /// Whether the others have to be asked for everybody.
    ask: bool,
    number: u64,
    /// Whether people at other nodes may be unknown for want of somebody to ask: no other node was known, or theirs lost
    /// its lease.
    unasked: bool,
    /// Whether somebody came or left while no other node was known, since everybody was last told: a node that heard
    /// it then, and answers only now, knows something else.
    unheard: bool,
}

/// What follows from something that was heard.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Users who are at another node now, or at none any more.
    pub(super) changed: Vec<(UserId, bool)>,
    /// Whether something has to be told, and soon.
    pub(super) tell: bool,
    /// Whether the node is not known: it has to be looked for.
    pub(super) unknown: bool,
}

impl Presence {
    /// Whether any other node is known to follow the room.
    pub(super) fn has_peers(&self) -> bool {
        !self.peers.is_empty()
    }

    /// The other nodes that follow the room, as far as they are known.
    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeLife> {
        self.peers.keys().copied()
    }

    /// Whether a user is at another node.
    pub(super) fn is_elsewhere(&self, user: UserId) -> bool {
        self.peers.values().any(|peer| peer.counts && peer.users.contains(&user))
    }

    /// The users at other nodes, each once, as far as they are listed.
    pub(super) fn elsewhere(&self) -> BTreeSet<UserId> {
        self.peers.values().filter(|peer| peer.counts).flat_map(|peer| peer.users.iter().copied()).collect()
    }

    /// How many users other nodes have; who is at two of them counts twice.
    pub(super) fn count(&self) -> u64 {
        self.peers.values().filter(|peer| peer.counts).map(|peer| peer.count).sum()
    }

    /// How many users other nodes have beyond those they listed.
    pub(super) fn unlisted(&self) -> u64 {
        let counted = self.peers.values().filter(|peer| peer.counts);
        counted.map(|peer| peer.count.saturating_sub(peer.users.len() as u64)).sum()
    }

    /// A user's first connection came, or their last one went.
    pub(super) fn changed_here(&mut self, user: UserId, came: bool) {
        if !self.has_peers() {
            // Whoever follows the room from now on asks. Who has been asked may only be about to answer.
            self.unheard = self.number > 0;
            return;
        }
        // There and back again is no news.
        if self.untold.get(&user).is_some_and(|untold| *untold != came) {
            self.untold.remove(&user);
        } else {
            self.untold.insert(user, came);
        }
        if self.untold.len() > CHANGES_MAX {
            self.tell_everybody();
        }
    }

    /// Has everybody told to the others: something may have been lost, or this node has another life.
    pub(super) fn tell_everybody(&mut self) {
        self.whole = true;
        self.untold.clear();
    }

    /// Has the others asked, and told everybody.
    pub(super) fn ask_everybody(&mut self) {
        self.ask = true;
        self.tell_everybody();
    }

    /// Whether there is something to tell.
    pub(super) fn is_untold(&self) -> bool {
        self.whole || self.ask || !self.untold.is_empty()
    }

    /// What has to be told now, of a node with these users here.
    pub(super) fn next(&mut self, life: NodeLife, here: impl ExactSizeIterator<Item = UserId>) -> Option<NodePresence> {
        if !self.is_untold() {
            return None;
        }
        self.number += 1;
        let count = here.len() as u64;
        let who = if self.whole || here.len() > PRESENT_USERS_MAX {
            self.unheard = false;
            WhoIsHere::Everybody(here.take(PRESENT_USERS_MAX).collect())
        } else {
            let named = |wanted: bool| self.untold.iter().filter(move |(_, came)| **came == wanted);
            let users = |wanted| named(wanted).map(|(user, _)| *user).collect();
            WhoIsHere::Changed { came: users(true), left: users(false) }
        };
        let ask = self.ask;
        (self.whole, self.ask) = (false, false);
        self.untold.clear();
        Some(NodePresence { life, number: self.number, who, count, ask })
    }

    /// What was told may not have been heard.
    pub(super) fn not_told(&mut self, ask: bool) {
        self.ask |= ask;
        self.tell_everybody();
    }

    /// Takes what another node told.
    pub(super) fn heard(&mut self, told: NodePresence, is_alive: bool, now: Instant) -> News {
        let NodePresence { life, number, who, count, ask } = told;
        let mut news = News { unknown: !is_alive, ..News::default() };
        let before = self.peers.get(&life).map(|peer| (peer.number, peer.counts));
        if ask || (before.is_none() && self.unheard) {
            self.tell_everybody();
        }
        let known = match (&who, before) {
            (WhoIsHere::Everybody(_), None) => self.admit(life, is_alive, now),
            (WhoIsHere::Everybody(_), Some(_)) => true,
            (WhoIsHere::Changed { .. }, Some((last, _))) if number <= last => false,
            (WhoIsHere::Changed { .. }, Some((last, _))) if number == last + 1 => true,
            // Something before it was lost.
            (WhoIsHere::Changed { .. }, _) => {
                self.ask_everybody();
                false
            }
        };
        if known {
            news.changed = self.update(life, |peer| {
                (peer.number, peer.count, peer.counts) = (number, count, is_alive);
                match who {
                    WhoIsHere::Everybody(users) => {
                        peer.told_at = now;
                        peer.users = users.into_iter().take(PRESENT_USERS_MAX).collect();
                    }
                    WhoIsHere::Changed { came, left } => {
                        left.iter().for_each(|user| _ = peer.users.remove(user));
                        let room = PRESENT_USERS_MAX.saturating_sub(peer.users.len());
                        peer.users.extend(came.into_iter().take(room));
                    }
                }
            });
        }
        news.tell = self.is_untold();
        news
    }

    /// Makes room for a node that was not known.
    fn admit(&mut self, life: NodeLife, is_alive: bool, now: Instant) -> bool {
        if !is_alive {
            let unknown = self.peers.iter().filter(|(_, peer)| !peer.counts);
            let oldest = unknown.clone().min_by_key(|(_, peer)| peer.told_at).map(|(life, _)| *life);
            if let Some(oldest) = oldest.filter(|_| unknown.count() >= UNKNOWN_MAX) {
                self.peers.remove(&oldest);
            }
        }
        if self.peers.len() >= PEERS_MAX {
            return false;
        }
        let users = HashSet::default();
        self.peers.insert(life, Peer { number: 0, users, count: 0, told_at: now, counts: false });
        true
    }

    /// Who has a lease has changed: the people of the others do not count any more.
    pub(super) fn judge(&mut self, is_alive: impl Fn(NodeLife) -> bool) -> Vec<(UserId, bool)> {
        let mut changed = Vec::new();
        let lives: Vec<_> = self.peers.iter().map(|(life, peer)| (*life, peer.counts)).collect();
        for (life, counts) in lives {
            let alive = is_alive(life);
            if alive != counts {
                changed.extend(self.update(life, |peer| peer.counts = alive));
            }
            if counts && !alive {
                self.unasked = true;
                self.peers.remove(&life);
            }
        }
        changed
    }

    /// Nobody can be asked for everybody: whoever comes has to be.
    pub(super) fn nobody_to_ask(&mut self) {
        self.unasked = true;
    }

    /// Whether a node that came has to be asked: since this was last asked, nobody could be.
    pub(super) fn take_unasked(&mut self) -> bool {
        std::mem::take(&mut self.unasked)
    }

    /// Forgets nodes that have not told everybody since they were asked: they do not follow the room any more.
    pub(super) fn forget_silent(&mut self, asked_at: Instant) -> Vec<(UserId, bool)> {
        let silent = self.peers.iter().filter(|(_, peer)| peer.told_at < asked_at).map(|(life, _)| *life);
        let silent: Vec<_> = silent.collect();
        let mut changed = Vec::new();
        for life in silent {
            changed.extend(self.update(life, |peer| peer.counts = false));
            self.peers.remove(&life);
        }
        changed
    }

    /// Changes what a node has; returns the users who are elsewhere now and were not, or the other way round.
    fn update(&mut self, life: NodeLife, change: impl FnOnce(&mut Peer)) -> Vec<(UserId, bool)> {
        let Some(peer) = self.peers.get_mut(&life) else { return Vec::new() };
        let counted = |peer: &Peer| if peer.counts { peer.users.clone() } else { HashSet::default() };
        let before = counted(peer);
        change(peer);
        let after = counted(peer);
        let others = |user: &&UserId| {
            !self.peers.iter().any(|(other, peer)| *other != life && peer.counts && peer.users.contains(*user))
        };
        let came = after.difference(&before).filter(others).map(|user| (*user, true));
        let left = before.difference(&after).filter(others).map(|user| (*user, false));
        let mut changed: Vec<_> = came.chain(left).collect();
        changed.sort_unstable();
        changed
    }
}

#[cfg(test)]
mod tests {
    use bobchat_proto::ids::NodeId;

    use super::*;

    fn life(number: u64) -> NodeLife {
        NodeLife { node: NodeId::new(number).unwrap(), life: 10 * number }
    }

    fn user(number: u64) -> UserId {
        UserId::new(number).unwrap()
    }

    fn users(numbers: &[u64]) -> Vec<UserId> {
        numbers.iter().map(|number| user(*number)).collect()
    }

    fn everybody(node: u64, number: u64, numbers: &[u64]) -> NodePresence {
        let who = WhoIsHere::Everybody(users(numbers));
        NodePresence { life: life(node), number, who, count: numbers.len() as u64, ask: false }
    }

    fn changed(node: u64, number: u64, came: &[u64], left: &[u64]) -> NodePresence {
        let who = WhoIsHere::Changed { came: users(came), left: users(left) };
        NodePresence { life: life(node), number, who, count: 1, ask: false }
    }

    fn hear(presence: &mut Presence, told: NodePresence) -> News {
        presence.heard(told, true, Instant::now())
    }

    #[test]
    fn who_is_at_two_other_nodes_comes_once_and_leaves_once() {
        let mut presence = Presence::default();
        let came = hear(&mut presence, everybody(2, 1, &[5, 6]));
        assert_eq!(came.changed, [(user(5), true), (user(6), true)]);
        assert!(hear(&mut presence, everybody(3, 1, &[5])).changed.is_empty());
        assert!(hear(&mut presence, changed(2, 2, &[], &[5])).changed.is_empty());
        assert!(presence.is_elsewhere(user(5)));
        assert_eq!(hear(&mut presence, changed(3, 2, &[7], &[5])).changed, [(user(5), false), (user(7), true)]);
        assert_eq!(presence.elsewhere(), BTreeSet::from([user(6), user(7)]));
    }

    #[test]
    fn a_missing_number_is_asked_for_and_an_old_one_changes_nothing() {
        let mut presence = Presence::default();
        hear(&mut presence, everybody(2, 4, &[5]));
        assert_eq!(hear(&mut presence, changed(2, 4, &[], &[5])), News::default(), "told twice");
        let news = hear(&mut presence, changed(2, 6, &[7], &[]));
        assert!(news.tell && news.changed.is_empty());
        assert!(presence.next(life(1), users(&[]).into_iter()).unwrap().ask);
        assert_eq!(hear(&mut presence, everybody(2, 1, &[7])).changed, [(user(5), false), (user(7), true)]);
        let news = hear(&mut presence, changed(3, 1, &[8], &[]));
        assert!(news.tell && !presence.is_elsewhere(user(8)), "of a node that never told everybody");
    }

    #[test]
    fn who_leaves_before_a_node_that_was_asked_has_answered_is_told_to_have_left() {
        let mut presence = Presence::default();
        presence.ask_everybody();
        presence.changed_here(user(5), true);
        assert_eq!(presence.next(life(1), users(&[5]).into_iter()).unwrap().who, WhoIsHere::Everybody(users(&[5])));
        presence.changed_here(user(5), false);
        assert!(!presence.is_untold(), "nobody is known who could be told");
        assert!(hear(&mut presence, everybody(2, 1, &[6])).tell);
        assert_eq!(presence.next(life(1), users(&[]).into_iter()).unwrap().who, WhoIsHere::Everybody(Vec::new()));
        assert!(!hear(&mut presence, everybody(3, 1, &[])).tell, "once");
    }

    #[test]
    fn people_count_while_their_node_has_a_lease() {
        let (mut presence, now) = (Presence::default(), Instant::now());
        let news = presence.heard(everybody(2, 1, &[5]), false, now);
        assert!(news.unknown && news.changed.is_empty() && !presence.is_elsewhere(user(5)));
        assert_eq!(presence.judge(|_| true), [(user(5), true)], "its lease was found");
        assert_eq!(presence.judge(|_| true), []);
        assert_eq!(presence.judge(|_| false), [(user(5), false)]);
        assert!(!presence.has_peers() && presence.take_unasked() && !presence.take_unasked());
    }

    #[test]
    fn those_who_pretend_to_be_nodes_take_no_room() {
        let (mut presence, now) = (Presence::default(), Instant::now());
        hear(&mut presence, everybody(1000, 1, &[5]));
        for node in 2..500 {
            presence.heard(everybody(node, 1, &[7]), false, now);
        }
        assert_eq!(presence.peers.len(), 1 + UNKNOWN_MAX);
        assert!(presence.is_elsewhere(user(5)) && !presence.is_elsewhere(user(7)));
        (1001..2000).for_each(|node| _ = hear(&mut presence, everybody(node, 1, &[8])));
        assert_eq!(presence.peers.len(), PEERS_MAX);
        let many: Vec<_> = (1..3000).collect();
        hear(&mut presence, everybody(1000, 2, &many));
        assert_eq!(presence.peers[&life(1000)].users.len(), PRESENT_USERS_MAX);
        assert_eq!(presence.unlisted(), 2999 - PRESENT_USERS_MAX as u64);
    }

    #[test]
    fn changes_are_told_to_those_who_are_there_and_no_more_than_needed() {
        let mut presence = Presence::default();
        presence.changed_here(user(5), true);
        assert!(!presence.is_untold(), "nobody is there to be told");
        hear(&mut presence, everybody(2, 1, &[]));
        presence.changed_here(user(5), true);
        presence.changed_here(user(6), true);
        presence.changed_here(user(6), false);
        let told = presence.next(life(1), users(&[5]).into_iter()).unwrap();
        assert_eq!(told.who, WhoIsHere::Changed { came: users(&[5]), left: vec![] });
        assert_eq!((told.number, told.count, told.ask), (1, 1, false));
        assert_eq!(presence.next(life(1), users(&[5]).into_iter()), None);
        presence.not_told(false);
        let told = presence.next(life(1), users(&[5]).into_iter()).unwrap();
        assert_eq!((told.who, told.number), (WhoIsHere::Everybody(users(&[5])), 2));
        (1..=200).for_each(|number| presence.changed_here(user(number), true));
        let all: Vec<_> = (1..=200).map(user).collect();
        let told = presence.next(life(1), all.clone().into_iter()).unwrap();
        assert_eq!(told.who, WhoIsHere::Everybody(all));
    }

    #[test]
    fn who_asks_is_told_everybody_and_who_does_not_answer_is_forgotten() {
        let mut presence = Presence::default();
        let asking = NodePresence { ask: true, ..everybody(2, 1, &[5]) };
        assert!(hear(&mut presence, asking).tell);
        let told = presence.next(life(1), users(&[9]).into_iter()).unwrap();
        assert_eq!((told.who, told.ask), (WhoIsHere::Everybody(users(&[9])), false));
        hear(&mut presence, everybody(3, 1, &[6]));
        let asked_at = Instant::now();
        presence.ask_everybody();
        assert!(presence.next(life(1), users(&[9]).into_iter()).unwrap().ask);
        presence.heard(everybody(3, 2, &[6]), true, asked_at);
        assert_eq!(presence.forget_silent(asked_at), [(user(5), false)]);
        assert!(presence.is_elsewhere(user(6)));
    }
}
