//! Making a run that fails short: whatever it fails without is left out.

use bobchat_actors::plant::Bug;

use crate::run::run;
use crate::schedule::Schedule;
use crate::world::Story;

/// Runs that are tried at most: some minutes.
const TRIES_MAX: usize = 400;

/// The least of a schedule with which it still breaks the invariant.
#[must_use]
pub fn shrink(schedule: &Schedule, bug: Option<Bug>, invariant: &str) -> Schedule {
    let mut tries = 0;
    let mut least = schedule.clone();
    let mut still_breaks = |shorter: &Schedule| {
        tries += 1;
        tries <= TRIES_MAX && run(shorter, bug, Story::Silent).breaks(invariant)
    };
    least.troubles = without_needless(least.troubles.clone(), |troubles| {
        still_breaks(&Schedule { troubles: troubles.to_vec(), ..schedule.clone() })
    });
    let troubles = least.troubles.clone();
    least.acts = without_needless(least.acts.clone(), |acts| {
        still_breaks(&Schedule { acts: acts.to_vec(), troubles: troubles.clone(), ..schedule.clone() })
    });
    least
}

/// Leaves out halves, quarters and so on, as long as what is left will do.
fn without_needless<T: Clone>(mut items: Vec<T>, mut will_do: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut chunk = items.len().div_ceil(2);
    while chunk > 0 && !items.is_empty() {
        let mut at = 0;
        while at < items.len() {
            let mut fewer = items.clone();
            fewer.drain(at..(at + chunk).min(items.len()));
            if will_do(&fewer) {
                items = fewer;
            } else {
                at += chunk;
            }
        }
        chunk = if chunk == 1 { 0 } else { chunk.div_ceil(2) };
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_needed_is_left_out() {
        let needed = |items: &[u32]| items.contains(&3) && items.contains(&11);
        assert_eq!(without_needless((0..20).collect(), needed), [3, 11]);
        assert!(without_needless((0..20).collect(), |_: &[u32]| true).is_empty());
    }
}
