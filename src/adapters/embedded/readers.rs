//! Threads that read: a read may wait for the disk, and the threads of connections may not.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use bobchat_actors::ports::Unavailable;
use rustix::process::setpriority_process;
use rustix::thread::gettid;
use tokio::sync::{mpsc, oneshot};

use super::OpenError;
use super::metrics::Metrics;

/// Reads that run at a time: enough to keep a disk busy, few enough to leave the processors to
/// connections.
const THREADS: usize = 4;

/// Who reads pages gives way to who sends and receives: the threads of connections and the writer, which wait for each
/// other many times a message.
const NICENESS: i32 = 5;

/// Reads that wait: at 100 µs each, the last one waits 25 ms.
const READS_WAITING_MAX: usize = 1024;

type Read = Box<dyn FnOnce() + Send>;

/// The threads and their queue; dropping it waits for reads under way.
pub(super) struct Readers {
    queue: Option<mpsc::Sender<Read>>,
    threads: Vec<JoinHandle<()>>,
    metrics: Metrics,
    /// In a simulation, which has one thread: reads are done at once.
    #[cfg(feature = "planted-bugs")]
    here: bool,
}

impl Readers {
    pub(super) fn start(metrics: Metrics) -> Result<Self, OpenError> {
        let (queue, reads) = mpsc::channel(READS_WAITING_MAX);
        let reads = Arc::new(Mutex::new(reads));
        let mut readers = Self {
            queue: Some(queue),
            threads: Vec::with_capacity(THREADS),
            metrics,
            #[cfg(feature = "planted-bugs")]
            here: false,
        };
        for number in 1..=THREADS {
            let reads = Arc::clone(&reads);
            let thread = thread::Builder::new().name(format!("store-reader-{number}"));
            readers.threads.push(thread.spawn(move || run(&reads)).map_err(OpenError::Thread)?);
        }
        Ok(readers)
    }

    /// Reads on whatever thread asks.
    #[cfg(feature = "planted-bugs")]
    pub(super) const fn here(metrics: Metrics) -> Self {
        Self { queue: None, threads: Vec::new(), metrics, here: true }
    }

    /// Runs `read` on one of the threads; not at all if nobody waits for it any more.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, Unavailable> + Send + 'static,
    ) -> Result<T, Unavailable> {
        #[cfg(feature = "planted-bugs")]
        if self.here {
            return read();
        }
        let (reply, answer) = oneshot::channel();
        let span = tracing::Span::current();
        let job = move || {
            if !reply.is_closed() {
                let _ = reply.send(span.in_scope(read));
            }
        };
        let closed = || Unavailable::new("the store is closed");
        let queue = self.queue.as_ref().ok_or_else(closed)?;
        queue.try_send(Box::new(job)).map_err(|_| {
            self.metrics.reads_refused.inc();
            Unavailable::new("too many reads wait")
        })?;
        answer.await.map_err(|_| Unavailable::new("a read of the store panicked"))?
    }
}

fn run(reads: &Mutex<mpsc::Receiver<Read>>) {
    // Without it all works, only unfairly: on Linux a thread has a priority of its own (setpriority(2)).
    let _ = setpriority_process(Some(gettid()), NICENESS);
    loop {
        // One thread waits for the queue, the others for the lock: the same to whoever sends.
        let next = reads.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        match next {
            Some(read) => survive(read),
            None => return,
        }
    }
}

/// A read that panics is lost, and whoever waits for it is told; its thread goes on, for without it the others would
/// have to do all the rest, and after the last nobody would. Unlike a write, a read leaves nothing half done.
fn survive(read: Read) {
    if catch_unwind(AssertUnwindSafe(read)).is_err() {
        tracing::error!("a read of the store panicked");
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            // No read can end it with a panic.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    #[tokio::test]
    async fn a_read_that_panics_takes_no_thread_along() {
        let readers = Readers::start(Metrics::register(&mut Registry::default())).unwrap();
        for _ in 0..=THREADS {
            let read = || -> Result<(), Unavailable> { panic!("planted") };
            assert!(readers.run(read).await.is_err(), "whoever waits is told");
        }
        assert_eq!(readers.run(|| Ok(7)).await.unwrap(), 7);
    }
}
