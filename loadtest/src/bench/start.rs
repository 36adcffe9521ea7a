//! Start to ready with many messages stored, in order and after SIGKILL in the middle of load.

use indicatif::ProgressBar;

use super::Bench;
use super::bars::Bar;
use super::fanout::BYTES;
use super::history::Filled;
use super::judge::Line;
use crate::client::{Fleet, Shape, sign_in_guests};
use crate::load::{Until, Window};

/// How long load runs before the server is killed under it.
const LOAD_SECONDS: f64 = 0.5;

/// Measures both lines.
///
/// # Errors
/// When the server does not start again.
pub(super) async fn measure(bench: &mut Bench, filled: Filled) -> anyhow::Result<()> {
    let data = filled.stop()?;
    let tries = bench.options.kept;
    if bench.wants(Bar::Start) {
        let mut seconds = Vec::new();
        for _ in 0..tries {
            let (server, took) = bench.installation.start(data.path())?;
            seconds.push(took.as_secs_f64());
            server.stop()?;
        }
        bench.take(Line::judged(Bar::Start, &seconds, tries, tries));
    }
    if bench.wants(Bar::StartAfterKill) {
        let mut seconds = Vec::new();
        let (mut server, _) = bench.installation.start(data.path())?;
        for _ in 0..tries {
            let users = sign_in_guests(&server.target(), 1)?;
            let shape = Shape { rooms: 1, members: 1, receivers: 1, bytes: BYTES };
            let fleet = Fleet::enter(&server.target(), shape, &users).await?;
            // Not settled: messages are on the way when it dies.
            Window { window: 32, until: Until::Seconds(LOAD_SECONDS) }.run(&fleet, &ProgressBar::hidden()).await;
            server.kill();
            fleet.abandon();
            let (again, took) = bench.installation.start(data.path())?;
            seconds.push(took.as_secs_f64());
            server = again;
        }
        server.stop()?;
        bench.take(Line::judged(Bar::StartAfterKill, &seconds, tries, tries));
    }
    Ok(())
}
