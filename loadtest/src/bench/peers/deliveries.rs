//! CPU of a delivery: what it costs a server that one member gets one message.

use super::Comparison;
use super::cast::{Contestant, Disk};
use super::row::{Measure, compare};
use super::subject::Subject;
use crate::bench::fanout::BYTES;
use crate::client::Shape;
use crate::load::Schedule;

const MEASURE: Measure = Measure { title: "CPU a delivery", unit: "µs", more_is_better: false };

/// The first run after members entered pays for pages, caches and compiled code that later ones find warm.
const WARM_SECONDS: f64 = 1.0;

/// One load that all get.
struct Load {
    title: &'static str,
    shape: Shape,
    /// Bursts a second to each room. They leave the dearest of all half a core and more: a server that runs late
    /// coalesces and looks cheaper than it is.
    bursts_a_second: f64,
    burst: u64,
}

const ONE_ROOM: Shape = Shape { rooms: 1, members: 300, receivers: 300, bytes: BYTES };
const MANY_ROOMS: Shape = Shape { rooms: 50, members: 10, receivers: 10, bytes: BYTES };

const LOADS: [Load; 4] = [
    Load { title: "1 room of 300, bursts of 1", shape: ONE_ROOM, bursts_a_second: 40.0, burst: 1 },
    Load { title: "1 room of 300, bursts of 8", shape: ONE_ROOM, bursts_a_second: 8.0, burst: 8 },
    Load { title: "1 room of 300, bursts of 32", shape: ONE_ROOM, bursts_a_second: 2.0, burst: 32 },
    Load { title: "50 rooms of 10, bursts of 1", shape: MANY_ROOMS, bursts_a_second: 10.0, burst: 1 },
];

/// Everybody, each with what it keeps by itself, and Socket.IO also with a log.
fn cast(comparison: &Comparison) -> Vec<Contestant> {
    let others = [
        Contestant::Bobchat(Disk::Real),
        Contestant::SocketIo(None),
        Contestant::SocketIo(Some(Disk::Real)),
        Contestant::Baseline,
    ];
    others.into_iter().chain(comparison.options.given.all()).collect()
}

/// Measures all rows.
///
/// # Errors
/// When a server fails.
pub(super) async fn measure(comparison: &mut Comparison) -> anyhow::Result<()> {
    for Load { title, shape, bursts_a_second, burst } in LOADS {
        let floor = Subject::enter(comparison, Contestant::Floor(None), shape).await?;
        let mut subjects = Vec::new();
        for who in cast(comparison) {
            subjects.push(Subject::enter(comparison, who, shape).await?);
        }
        let together = shape.rooms;
        let rate = bursts_a_second * burst as f64 * together as f64;
        let schedule = Schedule { rate, burst, together, seconds: comparison.options.seconds };
        for subject in [&floor].into_iter().chain(&subjects) {
            subject.deliver(Schedule { seconds: WARM_SECONDS, ..schedule }).await?;
        }
        let effort = comparison.options.effort();
        let work = async |subject: &Subject| subject.deliver(schedule).await;
        let row = compare(MEASURE, title.to_owned(), effort, &floor, &subjects, work).await?;
        comparison.take(row);
        floor.finish()?;
        subjects.into_iter().try_for_each(Subject::finish)?;
    }
    Ok(())
}
