//! What is on its way in an open loop: nothing waits for what came before it, so it may become much.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::check::Kind;
use crate::client::Shared;

/// More at once than this is given up, and counted as an error: a minute's stall at thousands a second.
const WAITING_MAX: usize = 200_000;

/// In the end, what takes longer than this has no answer. Longer than it takes a server to come back from a pause.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked whether all are done.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What is on its way.
pub(super) struct Crowd {
    shared: Rc<Shared>,
    waiting: Cell<usize>,
}

impl Crowd {
    pub(super) fn new(shared: Rc<Shared>) -> Rc<Self> {
        Rc::new(Self { shared, waiting: Cell::new(0) })
    }

    /// Begins something and lets it go on by itself.
    pub(super) fn begin(self: &Rc<Self>, work: impl Future<Output = ()> + 'static) {
        if self.waiting.get() >= WAITING_MAX {
            let mut checker = self.shared.checker.borrow_mut();
            return checker.fault(Kind::Unanswered, || format!("{WAITING_MAX} requests wait: one more was not made"));
        }
        self.waiting.set(self.waiting.get() + 1);
        let crowd = Rc::clone(self);
        tokio::task::spawn_local(async move {
            work.await;
            crowd.waiting.set(crowd.waiting.get() - 1);
        });
    }

    /// Waits until all are done; what takes too long is an error.
    pub(super) async fn wait_until_gone(&self) {
        let began = Instant::now();
        while self.waiting.get() > 0 && began.elapsed() < PATIENCE {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        for _ in 0..self.waiting.get() {
            self.shared
                .checker
                .borrow_mut()
                .fault(Kind::Unanswered, || format!("a request had no answer {} s after the end", PATIENCE.as_secs()));
        }
    }
}
