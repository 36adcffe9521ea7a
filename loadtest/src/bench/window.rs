//! One room with a window of 32: how well the store's commits fill, and how much of bare redb is left.

use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::Bench;
use super::bars::Bar;
use super::child::Bobchat;
use super::fanout::BYTES;
use super::judge::{Line, Repetition, Repetitions};
use crate::client::{Fleet, Shape, sign_in_guests};
use crate::dialect::event_frame_bytes;
use crate::load::{Until, Window};
use crate::process::pin_this_thread;
use crate::server::store::{Append, BareStore};
use crate::statistics::Spread;

const WINDOW: u64 = 32;

/// Measures both lines.
///
/// # Errors
/// When the server or the disk fails.
pub(super) async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    if !bench.wants(Bar::WindowBatch) && !bench.wants(Bar::WindowRate) {
        return Ok(());
    }
    let data = tempfile::tempdir()?;
    let (server, _) = bench.installation.start(data.path())?;
    let users = sign_in_guests(&server.target(), 1)?;
    let shape = Shape { rooms: 1, members: 1, receivers: 1, bytes: BYTES };
    let fleet = Fleet::enter(&server.target(), shape, &users).await?;
    let seconds = bench.options.seconds;
    let (_, batch) = acked_a_second(&server, &fleet, seconds).await?;
    let bare = Bare { batch: batch.round().max(1.0) as u64, seconds, core: bench.options.server_core };
    let mut repetitions = Repetitions::default();
    let mut batches = Vec::new();
    while !repetitions.are_done(bench.options.effort()) {
        let floor_before = bare.appended_a_second(data.path())?;
        let (ours, batch) = acked_a_second(&server, &fleet, seconds).await?;
        let floor_after = bare.appended_a_second(data.path())?;
        repetitions.add(Repetition { floor_before, ours, floor_after });
        batches.push(batch);
    }
    let violations = fleet.finish(true);
    anyhow::ensure!(violations.is_empty(), "the server broke a promise: {:?}", violations.examples);
    if bench.wants(Bar::WindowBatch) {
        bench.take(Line::judged(Bar::WindowBatch, &batches, bench.options.kept, batches.len()));
    }
    if bench.wants(Bar::WindowRate) {
        let mut line = repetitions.line(Bar::WindowRate, bench.options.effort(), "messages/s");
        let batch = Spread::of(&batches).map_or(0.0, |spread| spread.median);
        line.notes.push(format!("mean commit batch {batch:.1}; bare redb commits {} at a time", bare.batch));
        bench.take(line);
    }
    Ok(())
}

/// Acked messages a second, and the mean commit batch meanwhile.
async fn acked_a_second(server: &Bobchat, fleet: &Fleet, seconds: f64) -> anyhow::Result<(f64, f64)> {
    let commits = server.commits()?;
    fleet.shared.checker.borrow_mut().begin();
    let began = Instant::now();
    Window { window: WINDOW, until: Until::Seconds(seconds) }.run(fleet, &ProgressBar::hidden()).await;
    let acked = fleet.shared.checker.borrow().counts().acked as f64 / began.elapsed().as_secs_f64();
    let batch = server.commits()?.mean_batch_since(commits);
    fleet.settle(true).await;
    Ok((acked, batch))
}

/// Bare redb on the server's core.
struct Bare {
    batch: u64,
    seconds: f64,
    core: usize,
}

impl Bare {
    fn appended_a_second(&self, folder: &Path) -> anyhow::Result<f64> {
        let file = tempfile::NamedTempFile::new_in(folder)?;
        let work = || {
            pin_this_thread(self.core)?;
            let store = BareStore::open(file.path())?;
            let bytes = vec![b'x'; event_frame_bytes(BYTES)];
            let (began, mut seq) = (Instant::now(), 0);
            while began.elapsed() < Duration::from_secs_f64(self.seconds) {
                store.append((0..self.batch).map(|one| Append { room: 1, seq: seq + one, bytes: &bytes }))?;
                seq += self.batch;
            }
            Ok(seq as f64 / began.elapsed().as_secs_f64())
        };
        std::thread::scope(|scope| scope.spawn(work).join()).map_err(|_| anyhow::anyhow!("bare redb panicked"))?
    }
}
