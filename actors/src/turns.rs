//! Turns of heavy work on one thread.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use futures_util::poll;
use tokio::sync::Semaphore;
use tokio::task::yield_now;

/// Lets what takes as long as hundreds of deliveries, such as the encoding of a page or the check of a signature, be begun
/// one at a time: between two such pieces of work the thread looks at whatever else is ready, however many clients ask for
/// them at once. Without it, all that became ready together runs before anything that became ready after it.
#[derive(Debug)]
pub(crate) struct Turns(Semaphore);

impl Turns {
    pub(crate) fn new() -> Self {
        Self(Semaphore::new(1))
    }

    /// Begins `work` when it is its turn. What is left of it after it had to wait for something else does not wait for a
    /// turn again, and keeps nobody from theirs.
    pub(crate) async fn take<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let begun = {
            // Never closed: an error cannot be.
            let _turn = self.0.acquire().await;
            let begun = poll!(work.as_mut());
            // The turn lasts until the thread has looked at the others: else the next one would have it at once.
            yield_now().await;
            begun
        };
        match begun {
            Poll::Ready(done) => done,
            Poll::Pending => work.await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::task::{JoinSet, LocalSet};

    use super::*;

    /// In which order heavy work and light work are done that become ready together, heavy first.
    async fn order(heavy: usize, light: usize) -> Vec<&'static str> {
        let (turns, done) = (std::rc::Rc::new(Turns::new()), std::rc::Rc::new(RefCell::new(Vec::new())));
        LocalSet::new()
            .run_until(async {
                let mut tasks = JoinSet::new();
                for _ in 0..heavy {
                    let (turns, done) = (turns.clone(), done.clone());
                    tasks.spawn_local(async move { turns.take(async { done.borrow_mut().push("heavy") }).await });
                }
                for _ in 0..light {
                    let done = done.clone();
                    tasks.spawn_local(async move {
                        // Wakes somebody who does the rest, as a delivery does.
                        yield_now().await;
                        done.borrow_mut().push("light");
                    });
                }
                while tasks.join_next().await.is_some() {}
            })
            .await;
        done.take()
    }

    #[tokio::test]
    async fn light_work_waits_for_one_piece_of_heavy_work_and_not_for_all() {
        let order = order(10, 3).await;
        let last_light = order.iter().rposition(|piece| *piece == "light").unwrap();
        assert!(order[..last_light].iter().filter(|piece| **piece == "heavy").count() <= 2, "{order:?}");
        assert_eq!(order.len(), 13);
    }

    #[tokio::test]
    async fn who_waits_for_something_else_keeps_nobody_from_their_turn() {
        let turns = Turns::new();
        let mut stuck = pin!(turns.take(std::future::pending::<()>()));
        for _ in 0..2 {
            assert!(poll!(stuck.as_mut()).is_pending());
            yield_now().await;
        }
        assert_eq!(turns.take(async { 7 }).await, 7);
    }
}
