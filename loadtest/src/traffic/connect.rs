//! Everybody comes.

use std::rc::Rc;

use super::Crowd;
use crate::client::{Fleet, come};
use crate::load::Beat;
use crate::scenario::Scenario;

pub(super) async fn run(scenario: &Scenario, fleet: &Fleet, crowd: &Rc<Crowd>) -> anyhow::Result<()> {
    let Some(connect) = scenario.connect else { return Ok(()) };
    let clock = fleet.shared.clock;
    let mut coming = fleet.members();
    let Some(per_second) = connect.per_second else {
        let now = clock.now();
        coming.for_each(|member| crowd.begin(come(Rc::clone(member), now)));
        return Ok(());
    };
    let seconds = fleet.members().count() as f64 / per_second;
    let beat = Beat::new(per_second, seconds);
    beat.each(clock, |intended| {
        if let Some(member) = coming.next() {
            crowd.begin(come(Rc::clone(member), intended));
        }
    })
    .await
}
