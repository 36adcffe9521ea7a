//! Where rows stand, and what orders writes to them.

use bobchat_proto::ids::{Ordinal, Position, Sequence};

/// Seqs of one partition of `events`. The largest event is a little above 16 KiB, so a partition stays below
/// 82 MB, under the 100 MiB from which Cassandra warns; of usual events it is about 1 MB. An exact replay
/// (10 000 events) reads three partitions at most.
const EVENTS_PER_BUCKET: u64 = 5_000;

/// Seqs of one partition of `changes`, most of which are messages and stand elsewhere: where a room was only talked in
/// for long, few empty partitions lie between two changes. If all were changes of settings of the greatest length, a
/// partition would have 80 MB.
const CHANGES_PER_BUCKET: u64 = 50_000;

/// Ordinals of one partition of `messages`.
pub(super) const MESSAGES_PER_BUCKET: u64 = 10_000;

/// Bits of a write's timestamp that are the seq's: 10^12 events of a room. 22 are left for the epoch, which is
/// raised when Redis loses data; deletions of the future stand at 2^62, above all of them.
const SEQ_BITS: u32 = 40;

/// The partition of `events` that a seq stands in.
pub(super) fn events_bucket(seq: Sequence) -> u64 {
    seq.0 / EVENTS_PER_BUCKET
}

/// The last seq that stands in a partition of `events`.
pub(super) fn last_seq_of_bucket(bucket: u64) -> Sequence {
    Sequence(bucket.saturating_add(1).saturating_mul(EVENTS_PER_BUCKET).saturating_sub(1))
}

/// The partition of `changes` that a seq stands in.
pub(super) fn changes_bucket(seq: Sequence) -> u64 {
    seq.0 / CHANGES_PER_BUCKET
}

/// The partition of `messages` that an ordinal stands in.
pub(super) fn messages_bucket(ordinal: Ordinal) -> u64 {
    ordinal.0 / MESSAGES_PER_BUCKET
}

/// What a write about an event is ordered by (log protocol, rule 19): its position, not any clock. So a late
/// write of an older epoch never replaces what a newer one has said.
pub(super) fn write_timestamp(position: Position) -> i64 {
    debug_assert!(position.seq.0 >> SEQ_BITS == 0 && position.epoch.0 >> (62 - SEQ_BITS) == 0, "{position:?}");
    ((position.epoch.0 << SEQ_BITS) | position.seq.0).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bobchat_proto::ids::Epoch;
    use bobchat_proto::limits::{MESSAGE_BYTES_MAX, ROOM_NAME_CHARS_MAX, ROOM_TOPIC_CHARS_MAX};

    #[test]
    fn a_partition_of_the_largest_events_stays_below_the_size_that_is_warned_of() {
        let (overhead, warned) = (512, 100 << 20);
        assert!(EVENTS_PER_BUCKET * (MESSAGE_BYTES_MAX as u64 + overhead) < warned);
        let settings = 4 * (ROOM_NAME_CHARS_MAX + ROOM_TOPIC_CHARS_MAX) as u64;
        assert!(CHANGES_PER_BUCKET * (settings + overhead) < warned);
    }

    #[test]
    fn timestamps_are_ordered_as_positions() {
        let at = |epoch, seq| Position { epoch: Epoch(epoch), seq: Sequence(seq) };
        let ascending = [at(1, 0), at(1, 1), at(1, (1 << SEQ_BITS) - 1), at(2, 0), at((1 << 22) - 1, 7)];
        assert!(ascending.map(write_timestamp).is_sorted_by(|a, b| a < b));
        assert!(write_timestamp(at((1 << 22) - 1, (1 << SEQ_BITS) - 1)) < 1 << 62);
    }
}
