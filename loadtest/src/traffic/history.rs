//! People open rooms and scroll back. Every page is held against what is known of the room.

use std::cell::Cell;
use std::rc::Rc;

use bobchat_proto::wire::{self, client_frame::Request, ok};

use super::{Crowd, ask};
use crate::check::{Kind, RoomSlot};
use crate::client::{Fleet, Member, of_error};
use crate::dialect::{Delivery, delivery};
use crate::load::Beat;
use crate::scenario::{History, Scenario};
use crate::time::{Nanos, micros};

pub(super) async fn run(scenario: &Scenario, fleet: &Fleet, crowd: &Rc<Crowd>) -> anyhow::Result<()> {
    let Some(plan) = scenario.history else { return Ok(()) };
    let readers: Vec<Rc<Reader>> = fleet
        .rooms
        .iter()
        .flat_map(|room| room.members.iter().map(|member| Reader::new(member, room.id, room.slot)))
        .collect();
    let mut turns = readers.iter().cycle();
    Beat::new(plan.per_second, scenario.seconds)
        .each(fleet.shared.clock, |intended| {
            if let Some(reader) = turns.next() {
                crowd.begin(Rc::clone(reader).read(plan, intended));
            }
        })
        .await
}

/// Somebody with a room open.
struct Reader {
    member: Rc<Member>,
    room: u64,
    slot: RoomSlot,
    /// The oldest message that is on the screen; none before the room is opened.
    oldest: Cell<Option<u64>>,
    /// Pages since it was opened.
    pages: Cell<u32>,
}

impl Reader {
    fn new(member: &Rc<Member>, room: u64, slot: RoomSlot) -> Rc<Self> {
        let member = Rc::clone(member);
        Rc::new(Self { member, room, slot, oldest: Cell::new(None), pages: Cell::new(0) })
    }

    async fn read(self: Rc<Self>, plan: History, intended: Nanos) {
        let before = self.oldest.get();
        let request = wire::MessageHistory { room: self.room, before, limit: Some(plan.limit), ..Default::default() };
        let Some(answer) = ask(&self.member, Request::MessageHistory(request)).await else { return };
        let shared = &self.member.shared;
        let now = shared.clock.now();
        let mut checker = shared.checker.borrow_mut();
        match answer {
            Ok(ok::Result::MessageHistory(page)) => {
                let has_more = page.has_more_before;
                let page: Vec<Delivery> =
                    page.messages.into_iter().map(|event| delivery(event, &shared.messages)).collect();
                checker.read_page(self.slot, &page, before);
                let counts = checker.counts_mut();
                counts.pages += 1;
                counts.page_latency.saturating_record(micros(now.saturating_sub(intended)));
                self.turn_page(plan, page.first().filter(|_| has_more));
            }
            Ok(_) => {
                checker.fault(Kind::Protocol, || "message_history was answered with something else".to_owned());
            }
            Err(error) => checker.fault(Kind::Refused, || of_error("message_history", &error)),
        }
    }

    /// Goes on to the page before, or closes the room after enough of them or at its beginning.
    fn turn_page(&self, plan: History, oldest: Option<&Delivery>) {
        let pages = self.pages.get() + 1;
        match oldest.filter(|_| pages < plan.pages) {
            Some(oldest) => {
                self.oldest.set(Some(oldest.seq));
                self.pages.set(pages);
            }
            None => {
                self.oldest.set(None);
                self.pages.set(0);
            }
        }
    }
}
