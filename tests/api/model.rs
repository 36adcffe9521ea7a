//! Any sequence of sends, retries, leavings, joinings, cut connections, crashes and resumes, held against a room that is
//! a list: what everybody hears, what they may read, and what each request answers.
//!
//! `PROPTEST_CASES=200 cargo test --test api model::` runs more of them.

mod reference;
mod run;

use proptest::prelude::*;
use proptest::sample::Index;

use run::Run;

/// People; the first one owns the rooms and stays in them.
pub(crate) const PEOPLE: usize = 3;

/// Rooms: one that shows its past, and one that hides it from who joins later.
pub(crate) const ROOMS: usize = 2;

/// Sequences in every `make test`; each starts a server and kills it some times.
const CASES: u32 = 6;

/// What somebody does. Whatever it is, it can be done in every state, so that a sequence can be shortened anywhere.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// So many messages in one go, and waits for the answers.
    Say {
        who: usize,
        room: usize,
        count: usize,
    },
    /// A message of before once more, under its key, perhaps with another text.
    Retry {
        which: Index,
        other_text: bool,
    },
    /// Sends, and the connection is cut before an answer can come; then comes back, and sends again.
    LoseAnswers {
        who: usize,
        room: usize,
        count: usize,
    },
    /// Sends, and the server is killed; when it is back, sends again.
    Crash {
        who: usize,
        room: usize,
        count: usize,
    },
    Join {
        who: usize,
        room: usize,
    },
    Leave {
        who: usize,
        room: usize,
    },
    /// The connection ends; who does something next comes back first.
    GoAway {
        who: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..PEOPLE;
    let guest = 1..PEOPLE;
    let room = 0..ROOMS;
    prop_oneof![
        8 => (who.clone(), room.clone(), 1..4_usize).prop_map(|(who, room, count)| Step::Say { who, room, count }),
        3 => (any::<Index>(), prop::bool::weighted(0.3)).prop_map(|(which, other_text)| Step::Retry { which, other_text }),
        2 => (who.clone(), room.clone(), 1..4_usize).prop_map(|(who, room, count)| Step::LoseAnswers { who, room, count }),
        1 => (who.clone(), room.clone(), 0..4_usize).prop_map(|(who, room, count)| Step::Crash { who, room, count }),
        3 => (guest.clone(), room.clone()).prop_map(|(who, room)| Step::Join { who, room }),
        2 => (guest, room).prop_map(|(who, room)| Step::Leave { who, room }),
        2 => who.prop_map(|who| Step::GoAway { who }),
    ]
}

fn cases() -> ProptestConfig {
    let wanted = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    // A sequence takes a second: a shorter one that fails too is looked for, but not for ever.
    ProptestConfig { cases: wanted.unwrap_or(CASES), max_shrink_iters: 200, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn whatever_people_do_and_whenever_it_crashes_everybody_hears_and_reads_the_same_list(
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut run = Run::begin().await;
            for step in steps {
                run.take(step).await;
            }
            run.end().await;
        });
    }
}
