//! People type.

use std::rc::Rc;

use bobchat_proto::wire::{self, client_frame::Request};

use super::{Crowd, ask};
use crate::check::Kind;
use crate::client::{Fleet, Member, of_error};
use crate::load::Beat;
use crate::scenario::Scenario;
use crate::time::{Nanos, micros};

pub(super) async fn run(scenario: &Scenario, fleet: &Fleet, crowd: &Rc<Crowd>) -> anyhow::Result<()> {
    let Some(typing) = scenario.typing else { return Ok(()) };
    let people = fleet.rooms.iter().flat_map(|room| room.members.iter().map(|member| (member, room.id)));
    let mut people = people.cycle();
    Beat::new(typing.per_second, scenario.seconds)
        .each(fleet.shared.clock, |intended| {
            if let Some((member, room)) = people.next() {
                crowd.begin(say(Rc::clone(member), room, intended));
            }
        })
        .await
}

async fn say(member: Rc<Member>, room: u64, intended: Nanos) {
    let Some(answer) = ask(&member, Request::Typing(wire::Typing { room })).await else { return };
    let now = member.shared.clock.now();
    let mut checker = member.shared.checker.borrow_mut();
    match answer {
        Ok(_) => {
            let counts = checker.counts_mut();
            counts.typed += 1;
            counts.typing_latency.saturating_record(micros(now.saturating_sub(intended)));
        }
        Err(error) => checker.fault(Kind::Refused, || of_error("typing", &error)),
    }
}
