//! What stands under which name in Redis.
//!
//! A room lives in one of 256 logical shards, which is the hash tag of all its keys: a script may use all of them,
//! on a cluster too, and a shard's sets are one key each (log protocol, rule 3).

// Reads what anybody may have published: a sum that does not fit has to be decided about.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use bobchat_proto::ids::{NodeId, RoomId};

/// Logical shards: far more than servers, so that they spread evenly, and few enough to ask each of them.
pub(super) const SHARDS: u64 = 256;

/// Holds the name of the deployment.
pub(super) const DEPLOYMENT: &str = "bob:deployment";

/// Holds the name of the deployment in a shard of a cluster: where scripts of its rooms can read it.
pub(super) fn deployment(shard: u64) -> String {
    format!("bob:{{s{shard}}}:deployment")
}

/// The names of a room's keys.
pub(super) struct RoomKeys {
    prefix: String,
    shard: u64,
}

impl RoomKeys {
    pub(super) fn new(room: RoomId) -> Self {
        let shard = shard(room);
        Self { prefix: format!("bob:{{s{shard}}}:{room}"), shard }
    }

    /// Hash: whose log this is, where it stands, its fence.
    pub(super) fn meta(&self) -> String {
        format!("{}:meta", self.prefix)
    }

    /// Stream: entry `epoch-seq` holds the event, and the bytes of all events up to it under this epoch.
    pub(super) fn stream(&self) -> String {
        format!("{}:log", self.prefix)
    }

    /// Hashes of idempotency keys; which one is the newer changes every ten minutes.
    pub(super) fn used(&self) -> [String; 2] {
        [format!("{}:d0", self.prefix), format!("{}:d1", self.prefix)]
    }

    /// Who archives the room: gone when the claim ends.
    pub(super) fn claim(&self) -> String {
        format!("{}:archiver", self.prefix)
    }

    /// The channel that new events are published on.
    pub(super) fn channel(&self) -> String {
        format!("{}:new", self.prefix)
    }

    /// Set of the shard's rooms with events that are not archived.
    pub(super) fn dirty(&self) -> String {
        dirty(self.shard)
    }

    /// The name of the deployment, on a cluster.
    pub(super) fn deployment(&self) -> String {
        deployment(self.shard)
    }

    /// Sorted set of the shard's rooms by when their head last changed, in microseconds.
    pub(super) fn heads(&self) -> String {
        heads(self.shard)
    }
}

/// The room that a channel is of.
pub(super) fn room_of(channel: &[u8]) -> Option<RoomId> {
    let channel = std::str::from_utf8(channel).ok()?;
    let room = channel.strip_suffix(":new")?.rsplit(':').next()?.parse().ok()?;
    (RoomKeys::new(room).channel() == channel).then_some(room)
}

/// Sorted set of a shard's rooms by when their head last changed, in microseconds.
pub(super) fn heads(shard: u64) -> String {
    format!("bob:{{s{shard}}}:heads")
}

/// The set of a shard's rooms with events that are not archived.
pub(super) fn dirty(shard: u64) -> String {
    format!("bob:{{s{shard}}}:dirty")
}

/// The keys of nodes' leases, which one script uses together: a sorted set of nodes by when their lease ends, in
/// milliseconds; and a hash of what each lease says.
pub(super) fn leases() -> [String; 2] {
    ["bob:{nodes}:ends".to_owned(), "bob:{nodes}:leases".to_owned()]
}

/// Sorted set of who signed out lately, by when, in microseconds.
pub(super) fn signed_out() -> String {
    "bob:{nodes}:signed_out".to_owned()
}

/// The channel that all nodes hear.
pub(super) fn all_nodes() -> String {
    "bob:{nodes}:all".to_owned()
}

/// The channel that one node hears. In the shard of the one for all: one command asks for both.
pub(super) fn node(node: NodeId) -> String {
    format!("bob:{{nodes}}:node:{node}")
}

/// Stored in names: must never change.
pub(super) fn shard(room: RoomId) -> u64 {
    xxhash_rust::xxh3::xxh3_64(&room.get().to_le_bytes()) % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_of_a_room_have_the_hash_tag_of_its_shard() {
        let keys = RoomKeys::new(RoomId::new(42).unwrap());
        let [d0, d1] = keys.used();
        let names = [keys.meta(), keys.stream(), d0, d1, keys.channel(), keys.dirty(), keys.heads(), keys.deployment()];
        let tags: Vec<_> = names.iter().map(|name| &name[4..name.find('}').unwrap() + 1]).collect();
        assert!(tags.windows(2).all(|pair| pair[0] == pair[1]), "{names:?}");
        assert_eq!(keys.meta(), "bob:{s200}:42:meta");
    }

    #[test]
    fn a_channel_says_its_room_and_no_other_name_does() {
        let room = RoomId::new(42).unwrap();
        let channel = RoomKeys::new(room).channel();
        assert_eq!(room_of(channel.as_bytes()), Some(room));
        for other in ["", "new", "bob:{s1}:42:new", "bob:{s69}:42:log", "bob:{s69}:x:new"] {
            assert_eq!(room_of(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn rooms_spread_over_all_shards() {
        let mut rooms = [0; 256];
        (1..=25_600).for_each(|raw| rooms[usize::try_from(shard(RoomId::new(raw << 22).unwrap())).unwrap()] += 1);
        assert!(rooms.iter().all(|count| (50..200).contains(count)), "{rooms:?}");
    }
}
