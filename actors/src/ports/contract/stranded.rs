//! What lost runs leave behind, and nodes that died between two writes.

use bobchat_proto::ids::{Epoch, Sequence};

use super::derived::{DerivingNode, Story, begun, found, placed};
use super::scenario::{joined, left, renamed, user};
use crate::ports::{Raised, Raiser, Span};

pub(super) async fn cases(here: &DerivingNode, there: &DerivingNode) {
    what_a_lost_run_changed_counts_for_nothing(here, there).await;
    a_renumbered_change_counts_at_its_new_place(here, there).await;
}

/// Begins the second epoch at a base.
async fn lose(node: &DerivingNode, story: &Story, base: u64) {
    let raised = node.store.raise(story.room, Some(Epoch(1)), Raiser(2)).await.expect("it is raised");
    assert_eq!(raised, Raised::Won);
    let span = Span { epoch: Epoch(2), base: Sequence(base) };
    assert!(node.store.begin(story.room, span, Raiser(2)).await.expect("it begins"));
}

/// Rule 21.
async fn what_a_lost_run_changed_counts_for_nothing(here: &DerivingNode, there: &DerivingNode) {
    let mut story = begun(here, "stranded boat").await;
    let bodies = [joined(31), left(6), renamed("wreckage"), joined(32), left(32)];
    let lost: Vec<_> = (5..).zip(bodies).map(|(seq, body)| placed(story.room, 1, seq, body)).collect();
    here.store.store(story.room, lost.clone()).await.expect("they are stored");
    assert_eq!(found(there, "wreck").await, [story.room], "it is not lost yet");
    lose(there, &story, 4).await;
    story.check(here, "after the loss").await;
    for noted in [3, 5, 6] {
        story.note(there, noted.min(story.events.len() as u64)).await;
        story.check(here, &format!("noted {noted}")).await;
        // A late archiver of the lost run, after each step.
        there.store.store(story.room, lost.clone()).await.expect("they are stored");
        for raw in [31, 32] {
            assert!(here.directory.rooms_of(user(raw), None, 10).await.expect("they are read").is_empty(), "{raw}");
            assert_eq!(here.directory.room_count_of(user(raw)).await.expect("they are counted"), 0);
        }
        assert!(found(here, "wreck").await.is_empty());
        assert_eq!(found(here, "stranded").await, [story.room]);
        let bodies = [joined(33), left(33), joined(6)];
        let next = story.events.len();
        bodies.into_iter().take(if noted == 3 { 2 } else { 1 }).for_each(|body| story.add(2, body));
        here.store.store(story.room, story.events[next..].to_vec()).await.expect("they are stored");
    }
    let snapshot = here.directory.snapshot(story.room).await.expect("it is read").expect("it is there");
    assert_eq!(snapshot.spans.len(), 2);
    assert!(snapshot.memberships.into_iter().eq(story.derived(snapshot.row.head.position.seq.0).memberships));
}

async fn a_renumbered_change_counts_at_its_new_place(here: &DerivingNode, there: &DerivingNode) {
    let mut story = begun(here, "renumbered isle").await;
    here.store.store(story.room, vec![placed(story.room, 1, 9, joined(35))]).await.expect("it is stored");
    story.add(2, joined(35));
    there.store.store(story.room, vec![story.events[3].clone()]).await.expect("it is stored");
    lose(here, &story, 4).await;
    story.check(there, "before it is noted").await;
    story.note(here, 4).await;
    story.check(there, "noted").await;
}
