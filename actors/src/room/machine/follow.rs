//! What other nodes do to the room.

use bobchat_proto::ids::{Epoch, Position, Sequence};
use bobchat_proto::wire;

use super::{Effect, Machine, Phase};

impl<T> Machine<T> {
    /// Takes events that another node appended, as they are told: in order, but some may be missing, come twice or
    /// late. What is told only makes the room look: nothing is applied that does not follow, and what is beyond is
    /// read from the log (log protocol, rule 23).
    pub fn heard(&mut self, mut events: Vec<wire::Event>) -> Vec<Effect<T>> {
        let mut effects = Vec::new();
        let epoch = self.state.head.position.epoch.0;
        if events.iter().any(|event| event.epoch > epoch || self.contradicts(event)) {
            self.load_again(&mut effects);
            return effects;
        }
        events.retain(|event| event.epoch == epoch);
        if matches!(self.phase, Phase::Ready | Phase::Appending | Phase::Asking) {
            self.apply_all(events, &mut effects);
        }
        effects
    }

    /// Takes where the log is said to stand; with `None`, that something may have been missed.
    pub fn told_head(&mut self, head: Option<Position>) -> Vec<Effect<T>> {
        let mut effects = Vec::new();
        let known = self.state.head.position;
        match head {
            Some(head) if head.epoch > known.epoch => self.load_again(&mut effects),
            Some(head) if head <= known => {}
            _ if self.phase == Phase::Filling || self.phase == Phase::Reloading => {}
            _ => self.look_again(&mut effects),
        }
        effects
    }

    /// Takes the epoch that the log stands in. A newer one can stand where the room does: what it had seen was put back
    /// by others, and nothing follows that would tell it.
    pub fn told_epoch(&mut self, epoch: Epoch) -> Vec<Effect<T>> {
        let mut effects = Vec::new();
        if epoch > self.state.head.position.epoch {
            self.load_again(&mut effects);
        }
        effects
    }

    /// Whether the room has applied another event at the same position (rule 23).
    fn contradicts(&self, event: &wire::Event) -> bool {
        let applied = self.ring.after(Sequence(event.seq.saturating_sub(1))).and_then(|mut after| after.next());
        applied
            .is_some_and(|applied| (applied.epoch, applied.seq) == (event.epoch, event.seq) && applied.id != event.id)
    }

    /// While a batch is with the log, its answer mostly says the same. It does not have to (a full log says that alone),
    /// so the room looks again then.
    pub(super) fn load_again(&mut self, effects: &mut Vec<Effect<T>>) {
        if self.phase == Phase::Ready {
            self.phase = Phase::Reloading;
            effects.push(Effect::Reload);
        } else {
            self.missed = true;
        }
    }
}
