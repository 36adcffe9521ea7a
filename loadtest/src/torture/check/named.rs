//! The one loss that is documented: docs/guarantees.md, "In a cluster".
//!
//! An acknowledged message is in Redis and held by the node that took it, and in Cassandra soon after. It may be lost
//! if Redis lost it and that node ended, both before it was stored.

use super::super::history::deed::Deed;
use super::Check;
use super::sent::Sent;

/// How long it may take until a message is stored when nothing keeps it from that. Faults that do make it longer by
/// what they last.
const STORED_WITHIN_NS: u64 = 10_000_000_000;

impl Check {
    /// Losses of that class are counted apart from now on.
    pub(in super::super) fn excuse_what_was_not_stored(&mut self) {
        self.names_a_loss = true;
    }

    /// Whether a message was acknowledged by a node that ended, and Redis lost it, both before it need have been stored.
    pub(super) fn is_of_the_named_class(&self, sent: &Sent) -> bool {
        if !self.names_a_loss {
            return false;
        }
        let began = sent.began.t_ns;
        let answered = sent.acks.last().map_or(began, |ack| ack.when.t_ns);
        let held_up: u64 = self.deeds.iter().map(|deed| deed.until_ns.saturating_sub(deed.from_ns)).max().unwrap_or(0);
        let until = answered.saturating_add(STORED_WITHIN_NS).saturating_add(held_up);
        let met = |deed: &&Deed| deed.from_ns <= until && deed.until_ns >= began;
        let lost_by_redis = self.deeds.iter().filter(met).any(Deed::loses_redis);
        let node = sent.acks.last().and_then(|ack| ack.node);
        let ended = |deed: &Deed| deed.ends_node().is_some_and(|ended| node.is_none_or(|node| node == ended));
        lost_by_redis && self.deeds.iter().filter(met).any(ended)
    }
}
