use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::roster::NODES_MAX;
use crate::ports::{NodeLife, NodeReply, Unavailable};

/// Questions of this node that wait for answers at once: an operator asks one, sign-outs come by the hundred.
const WAITING_MAX: usize = 256;

/// The questions of this node that wait for answers.
#[derive(Debug, Default)]
pub(super) struct Calls {
    next: AtomicU64,
    waiting: Mutex<HashMap<u64, mpsc::Sender<(NodeLife, NodeReply)>>>,
}

/// A question that waits for answers, for as long as it is kept.
pub(super) struct Call<'c> {
    calls: &'c Calls,
    pub(super) id: u64,
    answers: mpsc::Receiver<(NodeLife, NodeReply)>,
}

impl Calls {
    pub(super) fn open(&self) -> Result<Call<'_>, Unavailable> {
        let mut waiting = self.lock();
        if waiting.len() >= WAITING_MAX {
            return Err(Unavailable::new("too many questions to other nodes wait for answers"));
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        // Each node answers once, or once more where it was asked again.
        let (sender, answers) = mpsc::channel(2 * NODES_MAX);
        waiting.insert(id, sender);
        Ok(Call { calls: self, id, answers })
    }

    /// Takes an answer; `false` when nobody waits for it.
    pub(super) fn answered(&self, id: u64, from: NodeLife, reply: NodeReply) -> bool {
        self.lock().get(&id).is_some_and(|waiting| waiting.try_send((from, reply)).is_ok())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, mpsc::Sender<(NodeLife, NodeReply)>>> {
        // Every change is one call: a thread that panicked in between left it whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call<'_> {
    /// The next answer.
    pub(super) async fn next(&mut self) -> (NodeLife, NodeReply) {
        match self.answers.recv().await {
            Some(answer) => answer,
            // The sender is kept until this is dropped.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.calls.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use bobchat_proto::ids::NodeId;

    use super::*;

    #[test]
    fn no_more_wait_than_may_and_nobody_waits_for_what_was_dropped() {
        let calls = Calls::default();
        let mut open: Vec<_> = (0..WAITING_MAX).map(|_| calls.open().unwrap()).collect();
        assert!(calls.open().is_err());
        let last = open.pop().unwrap().id;
        assert!(calls.open().is_ok());
        let from = NodeLife { node: NodeId::new(2).unwrap(), life: 1 };
        let reply = || NodeReply::SignedOut { connections: 0 };
        assert!(!calls.answered(last, from, reply()), "late");
        assert!(calls.answered(open[0].id, from, reply()));
        (0..4 * NODES_MAX).for_each(|_| _ = calls.answered(open[0].id, from, reply()));
        assert!(!calls.answered(open[0].id, from, reply()), "a forger fills no memory");
    }
}
