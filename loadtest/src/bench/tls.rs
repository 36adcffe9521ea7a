//! What TLS costs: CPU of a delivery beside the same server in the clear, in the same run; memory of an idle connection.

use super::bars::Bar;
use super::fanout::{BURSTS_A_SECOND, ONE_ROOM, Subject};
use super::judge::{Line, Repetition, Repetitions};
use super::{Bench, Options, idle};
use crate::load::Schedule;

/// Measures both lines.
///
/// # Errors
/// When a server fails.
pub(super) async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    if bench.wants(Bar::Tls) {
        let line = delivery(bench).await?;
        bench.take(line);
    }
    if bench.wants(Bar::TlsIdle) {
        let line = connection(bench).await?;
        bench.take(line);
    }
    Ok(())
}

/// Bursts of 1: a record for each delivery, the dearest way to write. The server in the clear stands where the floor
/// does in other lines.
async fn delivery(bench: &Bench) -> anyhow::Result<Line> {
    let (data, secure_data) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let (plain, _) = bench.installation.start(data.path())?;
    let secure = bench.installation.start_secure(secure_data.path())?;
    let plain = Subject::of(&plain, ONE_ROOM).await.map(|subject| (plain, subject))?;
    let secure = Subject::of(&secure, ONE_ROOM).await.map(|subject| (secure, subject))?;
    let schedule = Schedule { rate: BURSTS_A_SECOND, burst: 1, together: 1, seconds: bench.options.seconds };
    for (_, subject) in [&plain, &secure] {
        subject.measure(Schedule { seconds: 0.5, ..schedule }).await?;
    }
    let mut repetitions = Repetitions::default();
    while !repetitions.are_done(bench.options.effort()) {
        repetitions.add(Repetition {
            floor_before: plain.1.measure(schedule).await?.us_per_delivery,
            ours: secure.1.measure(schedule).await?.us_per_delivery,
            floor_after: plain.1.measure(schedule).await?.us_per_delivery,
        });
    }
    plain.1.finish("the server in the clear")?;
    secure.1.finish("the server over TLS")?;
    let mut line = repetitions.line(Bar::Tls, bench.options.effort(), "us");
    line.notes.push("the floor of this line is the same server in the clear".to_owned());
    Ok(line)
}

async fn connection(bench: &Bench) -> anyhow::Result<Line> {
    let Options { idle_connections: connections, idle_seconds: seconds, .. } = bench.options;
    let start = |data: &std::path::Path| bench.installation.start_secure(data);
    let ours = idle::of_started(start, connections, seconds).await?;
    Ok(Line::judged(Bar::TlsIdle, &[ours.kilobytes], 1, 1))
}
