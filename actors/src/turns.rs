//! Turns of what can wait on one thread.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::Semaphore;
use tokio::task::{spawn_local, yield_now};

/// Pieces that are begun before the thread looks at everything else. One would be best for a message that passes, but each
/// look at the rest may take milliseconds where there is much of it, and that many connections a second have to come in.
const AT_ONCE: usize = 4;

/// Lets what can wait be begun a few pieces at a time: between them the thread looks at whatever else is ready,
/// however many clients ask for them at once. Without it, all that became ready together runs before anything that became
/// ready after it, and a message has to stand in that line at each of its steps.
///
/// Two things can wait, each in a line of its own ([`crate::Worker`]): what takes as long as hundreds of deliveries, such as
/// the encoding of a page; and whatever strangers do, who cost little each and may be many.
#[derive(Debug, Clone)]
pub struct Turns(Arc<Semaphore>);

impl Turns {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }

    /// Begins `work` when it is its turn. What is left of it after it had to wait for something else does not wait for a
    /// turn again, and keeps nobody from theirs.
    pub(crate) async fn take<T>(&self, work: impl Future<Output = T>) -> T {
        self.clone().turn().await;
        work.await
    }

    /// Does `work` with a turn for each of its steps, from one waiting to the next.
    pub async fn pace<T>(&self, work: impl Future<Output = T>) -> T {
        let (mut work, mut line) = (pin!(work), Line::new(self.clone()));
        poll_fn(|context| {
            ready!(line.poll_turn(context));
            work.as_mut().poll(context)
        })
        .await
    }

    /// Waits for a turn, which has begun then and ends by itself.
    async fn turn(self) {
        let Ok(turn) = self.0.clone().acquire_owned().await else { return };
        turn.forget();
        spawn_local(async move {
            // A turn lasts until the thread has looked at the others: else the next one would have it at once.
            yield_now().await;
            self.0.add_permits(1);
        });
    }
}

/// Somebody's place in the line for turns, again and again. Whoever waits here has to be asked when they are woken, or to
/// leave: the turn is kept for them.
pub(crate) struct Line {
    turns: Turns,
    waiting: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Line {
    pub(crate) fn new(turns: Turns) -> Self {
        Self { turns, waiting: None }
    }

    /// Gives the place to the next one.
    pub(crate) fn leave(&mut self) {
        self.waiting = None;
    }

    /// Waits for the next turn.
    pub(crate) fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(self.turns.clone().turn()));
        ready!(waiting.as_mut().poll(context));
        self.waiting = None;
        Poll::Ready(())
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("waiting", &self.waiting.is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::pending;
    use std::rc::Rc;

    use futures_util::poll;
    use tokio::task::{JoinSet, LocalSet};

    use super::*;

    /// Pieces of what can wait, all ready at one moment.
    const HEAVY: usize = 40;

    /// Who did something when, of many that become ready together: first those who can wait, each two steps, then the others.
    async fn order(begin: impl AsyncFn(Turns, Rc<RefCell<Vec<&'static str>>>) + 'static) -> Vec<&'static str> {
        let (turns, done, begin) = (Turns::new(), Rc::new(RefCell::new(Vec::new())), Rc::new(begin));
        LocalSet::new()
            .run_until(async {
                let mut tasks = JoinSet::new();
                for _ in 0..HEAVY {
                    let (turns, done, begin) = (turns.clone(), done.clone(), begin.clone());
                    tasks.spawn_local(async move { begin(turns, done).await });
                }
                for _ in 0..3 {
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

    fn heavy_before_the_last_light(order: &[&str]) -> usize {
        let last_light = order.iter().rposition(|piece| *piece == "light").unwrap();
        order[..last_light].iter().filter(|piece| **piece == "heavy").count()
    }

    #[tokio::test]
    async fn light_work_waits_for_a_few_pieces_of_heavy_work_and_not_for_all() {
        let order = order(async |turns: Turns, done: Rc<RefCell<Vec<_>>>| {
            turns.take(async { done.borrow_mut().push("heavy") }).await;
        })
        .await;
        assert!(heavy_before_the_last_light(&order) <= 2 * AT_ONCE, "{order:?}");
        assert_eq!(order.len(), HEAVY + 3);
    }

    #[tokio::test]
    async fn light_work_waits_for_a_few_steps_of_paced_work_and_not_for_all() {
        let order = order(async |turns: Turns, done: Rc<RefCell<Vec<_>>>| {
            let steps = async {
                done.borrow_mut().push("heavy");
                yield_now().await;
                done.borrow_mut().push("heavy");
            };
            turns.pace(steps).await;
        })
        .await;
        assert!(heavy_before_the_last_light(&order) <= 2 * AT_ONCE, "{order:?}");
        assert_eq!(order.len(), 2 * HEAVY + 3);
    }

    #[tokio::test]
    async fn who_waits_for_something_else_keeps_nobody_from_their_turn() {
        LocalSet::new()
            .run_until(async {
                let turns = Turns::new();
                let (stuck, paced) = (turns.clone(), turns.clone());
                spawn_local(async move { stuck.take(pending::<()>()).await });
                spawn_local(async move { paced.pace(pending::<()>()).await });
                for _ in 0..4 {
                    yield_now().await;
                }
                assert_eq!(turns.take(async { 7 }).await, 7);
            })
            .await;
    }

    #[tokio::test]
    async fn who_leaves_the_line_keeps_nobody_from_their_turn() {
        LocalSet::new()
            .run_until(async {
                let turns = Turns::new();
                for _ in 0..AT_ONCE {
                    turns.take(async {}).await;
                }
                let mut gone = Box::pin(turns.take(async {}));
                assert!(poll!(gone.as_mut()).is_pending(), "others have the turns");
                drop(gone);
                assert_eq!(turns.take(async { 7 }).await, 7);
            })
            .await;
    }
}
