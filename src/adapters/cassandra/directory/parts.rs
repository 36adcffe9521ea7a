//! Lists that are divided among partitions, and read as one.

use bobchat_proto::ids::{RoomId, UserId};
use futures_util::future::try_join_all;

use crate::adapters::cassandra::error::Failure;

/// How many partitions a large list is divided among. A million members are 62 500 in each, about 10 MB; a page reads
/// all of them, each a little.
const PARTS: i32 = 16;

/// From so many people on, a room's memberships are written to [`PARTS`] partitions. Below, there is one, so that
/// nearly every room is read by one request.
const PEOPLE_IN_ONE: u64 = 10_000;

/// Beginnings up to this length find so many rooms that they are divided.
const SHORT_BEGINNING_CHARS: usize = 2;

/// The partition of memberships that is written to first, and stays behind when there are more.
const FIRST: i32 = 0;

/// Where memberships of a room that has, or had, so many people may stand. A membership may stand in two of them,
/// as it was and as it is.
pub(super) fn parts_of_members(people: u64) -> Vec<i32> {
    if people < PEOPLE_IN_ONE { vec![FIRST] } else { (FIRST..=PARTS).collect() }
}

/// Where a user's membership may stand, the newest last.
pub(super) fn parts_of_member(people: u64, user: UserId) -> Vec<i32> {
    if people < PEOPLE_IN_ONE { vec![FIRST] } else { vec![FIRST, spread(user.get()).saturating_add(1)] }
}

/// Where a user's membership is written.
pub(super) fn part_of_member(people: u64, user: UserId) -> i32 {
    parts_of_member(people, user).pop().unwrap_or(FIRST)
}

/// Where the rooms of a beginning stand.
pub(super) fn parts_of_beginning(beginning: &str) -> Vec<i32> {
    if is_short(beginning) { (0..PARTS).collect() } else { vec![0] }
}

/// Where a room of a beginning stands.
pub(super) fn part_of_beginning(beginning: &str, room: RoomId) -> i32 {
    if is_short(beginning) { spread(room.get()) } else { 0 }
}

fn is_short(beginning: &str) -> bool {
    beginning.chars().nth(SHORT_BEGINNING_CHARS).is_none()
}

/// Identifiers that were made at the same time go to different partitions.
fn spread(id: u64) -> i32 {
    let hash = xxhash_rust::xxh3::xxh3_64(&id.to_be_bytes());
    i32::try_from(hash % PARTS.unsigned_abs().max(1) as u64).unwrap_or(0)
}

/// What several partitions have next, in the order of identifiers.
pub(super) struct Stretch<V> {
    /// Everything they have up to some identifier.
    pub(super) rows: Vec<(u64, V)>,
    /// Whether there is nothing behind.
    pub(super) is_last: bool,
}

/// Reads on in partitions that are each in the order of identifiers: at least `rows` rows, unless they end.
pub(super) async fn merged<V, R>(parts: Vec<i32>, rows: usize, read: impl Fn(i32) -> R) -> Result<Stretch<V>, Failure>
where
    R: Future<Output = Result<Vec<(u64, V)>, Failure>>,
{
    let read = try_join_all(parts.into_iter().map(read)).await?;
    // Beyond the end of a partition's answer there may be rows of it that would come first.
    let full = read.iter().filter(|part| part.len() >= rows);
    let horizon = full.filter_map(|part| part.last().map(|(id, _)| *id)).min();
    let known = read.into_iter().flatten().filter(|(id, _)| horizon.is_none_or(|horizon| *id <= horizon));
    let mut rows: Vec<_> = known.collect();
    rows.sort_by_key(|(id, _)| *id);
    Ok(Stretch { rows, is_last: horizon.is_none() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn several_partitions_are_walked_as_one() {
        let part_of = |id: u64| spread(id);
        let mut walked = Vec::new();
        let mut after = 0;
        loop {
            let read = |part: i32| {
                let rows: Vec<_> =
                    (after + 1..=500_u64).filter(|id| part_of(*id) == part).take(7).map(|id| (id, ())).collect();
                async move { Ok(rows) }
            };
            let stretch = merged((0..PARTS).collect(), 7, read).await.unwrap();
            walked.extend(stretch.rows.iter().map(|(id, ())| *id));
            if stretch.is_last {
                break;
            }
            assert!(stretch.rows.len() >= 7);
            after = *walked.last().unwrap();
        }
        assert!(walked.into_iter().eq(1..=500));
    }

    #[test]
    fn a_list_is_divided_evenly_once_it_is_large() {
        let user = |raw| UserId::new(raw).unwrap();
        assert_eq!(parts_of_members(PEOPLE_IN_ONE - 1), [0]);
        assert_eq!(parts_of_members(PEOPLE_IN_ONE).len(), 17);
        let mut counts = [0; 17];
        for raw in 1..=16_000_u64 {
            let part = part_of_member(PEOPLE_IN_ONE, user(raw << 22));
            assert_eq!(parts_of_member(PEOPLE_IN_ONE, user(raw << 22)), [0, part]);
            counts[usize::try_from(part).unwrap()] += 1;
        }
        assert!(counts[0] == 0 && counts[1..].iter().all(|count| (850..1_150).contains(count)), "{counts:?}");
        assert_eq!(parts_of_beginning("日本").len(), 16);
        assert_eq!(parts_of_beginning("rus"), [0]);
    }
}
