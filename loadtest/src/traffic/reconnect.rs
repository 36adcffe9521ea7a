//! Connections are lost without a word, and their members come back and go on from their cursor.

use std::rc::Rc;

use super::Crowd;
use crate::client::{Fleet, Member, come};
use crate::load::Beat;
use crate::scenario::Scenario;

pub(super) async fn run(scenario: &Scenario, fleet: &Fleet, crowd: &Rc<Crowd>) -> anyhow::Result<()> {
    let Some(reconnect) = scenario.reconnect else { return Ok(()) };
    let members: Vec<&Rc<Member>> = in_turns(fleet).filter(|member| !member.is_slow()).collect();
    let mut turn = 0;
    Beat::new(reconnect.per_second, scenario.seconds)
        .each(fleet.shared.clock, |intended| {
            // Whoever is still coming back is left to it.
            let mut next = members.iter().cycle().skip(turn % members.len().max(1)).take(members.len());
            if let Some(member) = next.by_ref().inspect(|_| turn += 1).find(|member| member.is_here()) {
                member.cut();
                crowd.begin(come(Rc::clone(member), intended));
            }
        })
        .await
}

/// Members of all rooms in turns, so that no room is hit more than others.
pub(super) fn in_turns(fleet: &Fleet) -> impl Iterator<Item = &Rc<Member>> {
    let longest = fleet.rooms.iter().map(|room| room.members.len()).max().unwrap_or(0);
    (0..longest).flat_map(|place| fleet.rooms.iter().filter_map(move |room| room.members.get(place)))
}
