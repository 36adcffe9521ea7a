//! Takes the facts of a history, one after the other.

use bobchat_proto::ids::Position;

use super::super::abuser::{Abuse, CUT};
use super::super::history::fact::{Fact, Told};
use super::Check;
use crate::check::Kind;

impl Check {
    /// Takes what a client did or heard.
    pub(in super::super) fn take(&mut self, told: &Told) {
        let Told { op, client, fact, events } = told;
        self.now = *op;
        let client = *client;
        match fact {
            Fact::Is { user, over_rest } => {
                self.users.insert(client, *user);
                if *over_rest {
                    self.over_rest.insert(client);
                    self.tally.clients_over_rest += 1;
                }
            }
            Fact::Connected { node } => {
                self.nodes.insert(client, *node);
                self.connected(client);
            }
            Fact::Gone { .. } => {}
            Fact::Subscribed { room, after } => self.subscribed(client, *room, Position::from(*after)),
            Fact::Reset { room, cursor, head } => {
                self.reset(client, *room, Position::from(*cursor), Position::from(*head));
            }
            Fact::Live => events.iter().for_each(|event| self.live(client, event)),
            Fact::Page { known } => self.page(events, known.map(Position::from)),
            Fact::Send { room, key, text } => {
                let author = self.users.get(&client).copied().unwrap_or_default();
                self.sending(*room, author, key, text);
            }
            Fact::Again { .. } => self.tally.again += 1,
            Fact::Ok { key, ack } => {
                let before = self.tally.acked;
                self.acked_by(self.nodes.get(&client).copied(), key, ack);
                if self.over_rest.contains(&client) {
                    self.tally.acked_over_rest += self.tally.acked - before;
                }
            }
            Fact::Fail { key } => self.abandoned(key),
            Fact::Info { key } => self.left_open(key),
            Fact::Refused { code } => self.refused(code),
            Fact::Unanswered => self.tally.unanswered += 1,
            Fact::Leaving { room } => self.leaving(client, *room),
            Fact::Left { room } => self.left(client, *room),
            Fact::Peek { .. } => {
                if let Some(newest) = events.last() {
                    self.shown_to(client, newest);
                }
                self.page(events, None);
            }
            Fact::Joining { room } => self.joining(client, *room),
            Fact::Abused { abuse, from_ns, closed } => self.abused(*abuse, *from_ns, closed.as_deref()),
            Fact::Fault { kind, detail } => self.fault(*kind, || detail.clone()),
        }
    }

    /// A node ended the connection of one who meant harm, or bore it for too long. What a fault may have ended, or kept
    /// from ending, says nothing.
    fn abused(&mut self, abuse: Abuse, from_ns: u64, closed: Option<&str>) {
        let disturbed = self.deeds.iter().any(|deed| deed.meets(from_ns, self.now.t_ns));
        match closed {
            Some(CUT) | None if disturbed => {}
            Some(_) => *self.tally.thrown_out.entry(abuse).or_insert(0) += 1,
            None => self.fault(Kind::Tolerated, || format!("{}: the node bore it", abuse.told())),
        }
    }
}
