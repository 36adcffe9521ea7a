//! Folding the changes of a room, once they are final.
//!
//! Whoever notes that a room is stored up to its head folds what was not. By then every change up to there is
//! written, and owned for ever: the fold of them is the same, whoever makes it and in which steps. So several may
//! fold at once, and one that dies leaves nothing wrong: rows go first, and the room's state, which says how far they
//! are folded, last. Only the count of members depends on where one begins; a row that another has folded further
//! still tells what it was there ([`was_member`]).

use std::collections::{BTreeMap, BTreeSet};

use bobchat_actors::ports::projection::{
    beginnings, counted, fold_membership, fold_settings, last_change, membership_change, was_member,
};
use bobchat_actors::ports::{Head, LogRow};
use bobchat_proto::ids::{Position, RoomId, Sequence, UserId};
use bobchat_proto::record::Membership;
use bobchat_proto::wire;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use prost::Message as _;

use super::state::RoomState;
use crate::adapters::cassandra::CassandraStore;
use crate::adapters::cassandra::error::Failure;
use crate::adapters::cassandra::place::write_timestamp;
use crate::adapters::cassandra::room_log::{id, number};
use crate::adapters::cassandra::store::IN_FLIGHT;

/// Changes that are folded in one step.
const CHANGES_MAX: usize = 1_000;

/// Changes of one user in a step: a membership that is a step ahead has not lost sight of where the step began.
const CHANGES_OF_ONE_MAX: usize = 8;

/// What a step comes to.
#[derive(Debug)]
struct Step {
    state: RoomState,
    memberships: BTreeMap<UserId, Membership>,
    /// Beginnings that the room is found by after it, and those that it was found by before or in between.
    found_by: BTreeSet<String>,
    was_found_by: BTreeSet<String>,
    last: Position,
}

/// Cuts changes into steps.
fn steps(changes: &[wire::Event]) -> Vec<&[wire::Event]> {
    let mut steps = Vec::new();
    let (mut begin, mut of_one) = (0, BTreeMap::<UserId, usize>::new());
    for (index, change) in changes.iter().enumerate() {
        let count = membership_change(change).map_or(0, |(user, _)| of_one.get(&user).copied().unwrap_or(0));
        if index.saturating_sub(begin) >= CHANGES_MAX || count >= CHANGES_OF_ONE_MAX {
            steps.extend(changes.get(begin..index));
            of_one.clear();
            begin = index;
        }
        if let Some((user, _)) = membership_change(change) {
            *of_one.entry(user).or_default() += 1;
        }
    }
    steps.extend(changes.get(begin..).filter(|rest| !rest.is_empty()));
    steps
}

/// Folds a step into what is known. `None` when a membership is too far ahead to tell what it was.
fn fold(before: &RoomState, known: &BTreeMap<UserId, Membership>, changes: &[wire::Event]) -> Option<Step> {
    let last = changes.last()?.position();
    let mut step = Step {
        state: RoomState { folded: last.seq, ..before.clone() },
        memberships: BTreeMap::new(),
        found_by: BTreeSet::new(),
        was_found_by: before.settings.as_ref().map(beginnings).unwrap_or_default(),
        last,
    };
    for change in changes {
        let mut settings = step.state.settings.clone().unwrap_or_default();
        if fold_settings(&mut settings, change) {
            step.was_found_by.extend(beginnings(&settings));
            step.state.settings = Some(settings);
        }
        if let Some((user, kind)) = membership_change(change) {
            let membership =
                step.memberships.entry(user).or_insert_with(|| known.get(&user).cloned().unwrap_or_default());
            fold_membership(membership, kind, change);
        }
    }
    step.found_by = step.state.settings.as_ref().map(beginnings).unwrap_or_default();
    let nobody = Membership::default();
    for (user, now) in &step.memberships {
        let then = known.get(user).unwrap_or(&nobody);
        let members = (was_member(then, before.folded)?, was_member(now, last.seq)?);
        step.state.members = counted(step.state.members, members.0, members.1);
        let is_new = !had_begun(then, before.folded) && had_begun(now, last.seq);
        step.state.people = step.state.people.saturating_add(u64::from(is_new));
    }
    step.memberships.retain(|_, membership| !membership.intervals.is_empty());
    Some(step)
}

/// Whether somebody had ever been a member after the event at `seq`; asked where [`was_member`] can tell.
fn had_begun(membership: &Membership, seq: Sequence) -> bool {
    membership.intervals.first().is_some_and(|interval| interval.joined <= seq.0)
}

impl CassandraStore {
    /// Folds the changes up to the last one that `head` counts, unless that is done.
    pub(in crate::adapters::cassandra) async fn fold_up_to(&self, room: RoomId, head: Head) -> Result<(), Failure> {
        if self.folded.covers(room, head.state_seq.0) {
            return Ok(());
        }
        let mut state = self.read_state(room).await?;
        if state.folded < head.state_seq {
            let Some(row) = self.read_log_row(room, false).await? else { return Ok(()) };
            let wanted = state.folded.next()..=head.state_seq;
            let mut partitions = std::pin::pin!(self.owned_changes(room, &wanted, &row));
            while let Some(mut changes) = partitions.try_next().await? {
                changes.retain(|change| change.seq <= head.state_seq.0);
                for step in steps(&changes) {
                    state = self.fold_step(room, &row, &state, step).await?;
                }
            }
        }
        self.folded.learn(room, state.folded.0);
        Ok(())
    }

    async fn fold_step(
        &self,
        room: RoomId,
        row: &LogRow,
        before: &RoomState,
        changes: &[wire::Event],
    ) -> Result<RoomState, Failure> {
        let users: BTreeSet<UserId> = changes.iter().filter_map(membership_change).map(|(user, _)| user).collect();
        let known = self.memberships_of(room, before.people, users.into_iter()).await?;
        let Some(step) = fold(before, &known, changes) else {
            return Err(Failure(format!("another node is folding the changes of room {room}")));
        };
        let memberships = step.memberships.into_iter().filter_map(|(user, membership)| {
            let seq = last_change(&membership)?;
            Some((user, membership, Position { epoch: row.owner(seq)?, seq }))
        });
        let memberships: Vec<_> = memberships.collect();
        self.write_memberships(room, before.people, &memberships).await?;
        self.write_rooms_of(room, &memberships).await?;
        let gone = step.was_found_by.difference(&step.found_by).cloned();
        self.drop_beginnings(room, gone, step.last).await?;
        self.write_state(room, &step.state, step.last).await?;
        Ok(step.state)
    }

    async fn write_rooms_of(
        &self,
        room: RoomId,
        memberships: &[(UserId, Membership, Position)],
    ) -> Result<(), Failure> {
        let writes = memberships.iter().map(|(user, membership, position)| {
            let stored = membership.encode_to_vec();
            let values = (write_timestamp(*position), stored, number(user.get()), id(room));
            self.execute(&self.statements.directory.put_room_of, values)
        });
        let writes: Vec<_> = writes.collect();
        stream::iter(writes).buffer_unordered(IN_FLIGHT).map_ok(drop).try_collect().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bobchat_actors::ports::projection::Derived;
    use bobchat_proto::wire::event::Body;

    fn change(seq: u64, body: Body) -> wire::Event {
        wire::Event { epoch: 1, seq, at: seq.cast_signed(), author: 1, body: Some(body), ..wire::Event::default() }
    }

    /// A room whose members come and go, one of them all the time, with changes that change nothing.
    fn changes(count: u64) -> Vec<wire::Event> {
        let settings = wire::RoomSettings { name: "room".to_owned(), kind: 1, ..wire::RoomSettings::default() };
        let created = Body::Created(wire::RoomCreated { settings: Some(settings) });
        let other = |seq: u64| match seq % 7 {
            0 => Body::Settings(wire::SettingsChanged { name: Some(format!("name {seq}")), ..Default::default() }),
            1 | 4 => Body::Joined(wire::MemberJoined { user: 2 }),
            2 | 5 => Body::Left(wire::MemberLeft { user: 2 }),
            3 => Body::Left(wire::MemberLeft { user: 3 + seq % 11 }),
            _ => Body::Joined(wire::MemberJoined { user: 3 + seq % 13 }),
        };
        std::iter::once(change(1, created)).chain((2..=count).map(|seq| change(2 * seq, other(seq)))).collect()
    }

    fn derived(changes: &[wire::Event]) -> Derived {
        let mut derived = Derived::default();
        changes.iter().for_each(|change| derived.apply(change));
        derived
    }

    /// What two that fold at once share: rows, of which the one of the later change stays, and the state.
    #[derive(Default)]
    struct Shared {
        rows: BTreeMap<UserId, Membership>,
        state: RoomState,
    }

    impl Shared {
        fn write(&mut self, step: &Step) {
            for (user, membership) in &step.memberships {
                super::super::memberships::keep_newest(&mut self.rows, *user, membership.clone());
            }
            if step.state.folded > self.state.folded {
                self.state = step.state.clone();
            }
        }
    }

    #[test]
    fn folding_in_steps_is_folding_the_log() {
        let changes = changes(400);
        let mut shared = Shared::default();
        for step in steps(&changes) {
            let step = fold(&shared.state, &shared.rows, step).unwrap();
            shared.write(&step);
        }
        let whole = derived(&changes);
        assert_eq!(shared.rows, whole.memberships);
        assert_eq!((shared.state.settings, shared.state.members), (whole.room.settings, whole.room.member_count));
        assert_eq!(shared.state.people, whole.memberships.len() as u64);
    }

    /// One writes its rows and dies before the state; another, who began anywhere before, folds over them.
    #[test]
    fn who_folds_over_anothers_rows_counts_from_where_they_begin_themselves() {
        let changes = changes(64);
        for begin in 0..changes.len() {
            for end in begin + 1..(begin + 30).min(changes.len()) {
                let mut shared = Shared::default();
                for step in steps(&changes[..begin]) {
                    let step = fold(&shared.state, &shared.rows, step).unwrap();
                    shared.write(&step);
                }
                let ahead = changes.get(begin..end).map(steps).unwrap_or_default()[0];
                let rows = fold(&shared.state, &shared.rows, ahead).unwrap();
                shared.write(&Step { state: shared.state.clone(), ..rows });
                for step in steps(&changes[begin..]) {
                    let step = fold(&shared.state, &shared.rows, step).unwrap();
                    shared.write(&step);
                }
                let whole = derived(&changes);
                assert_eq!(shared.rows, whole.memberships, "{begin}..{end}");
                assert_eq!(shared.state.members, whole.room.member_count, "{begin}..{end}");
                assert_eq!(shared.state.people, whole.memberships.len() as u64, "{begin}..{end}");
            }
        }
    }

    #[test]
    fn who_is_too_far_behind_folds_nothing() {
        let changes = changes(400);
        let mut ahead = Shared::default();
        for step in steps(&changes) {
            let step = fold(&ahead.state, &ahead.rows, step).unwrap();
            ahead.write(&step);
        }
        assert!(fold(&RoomState::default(), &ahead.rows, steps(&changes)[0]).is_none());
    }
}
