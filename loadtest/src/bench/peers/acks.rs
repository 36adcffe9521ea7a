//! Acked messages a second, of those who keep the same when they ack.

use super::Comparison;
use super::cast::{Contestant, Disk};
use super::row::{Measure, compare};
use super::subject::Subject;
use crate::bench::fanout::BYTES;
use crate::client::Shape;

const MEASURE: Measure = Measure { title: "acked messages a second", unit: "/s", more_is_better: true };

/// The first run after members entered pays for what later ones find warm.
const WARM_SECONDS: f64 = 1.0;

/// One load that all get: rooms with a member each, who keeps so many messages on the way.
struct Load {
    title: &'static str,
    rooms: usize,
    window: u64,
}

const LOADS: [Load; 2] = [
    Load { title: "1 room, window 32", rooms: 1, window: 32 },
    Load { title: "50 rooms, window 8", rooms: 50, window: 8 },
];

/// Those who keep the same, Bobchat first.
fn cast(comparison: &Comparison, disk: Disk) -> Vec<Contestant> {
    let given = &comparison.options.given;
    match disk {
        // Databases sync what they commit, unless they were told otherwise.
        Disk::Real => {
            [Contestant::Bobchat(disk), Contestant::SocketIo(Some(disk))].into_iter().chain(given.tinode()).collect()
        }
        // Nobody else keeps a file there; what they keep would be gone with the machine too, and with the process.
        Disk::Memory => {
            [Contestant::Bobchat(disk), Contestant::SocketIo(None)].into_iter().chain(given.centrifugo()).collect()
        }
    }
}

/// Measures all rows.
///
/// # Errors
/// When a server fails.
pub(super) async fn measure(comparison: &mut Comparison) -> anyhow::Result<()> {
    for (disk, kept) in [(Disk::Real, "synced to disk before the ack"), (Disk::Memory, "nothing survives the machine")]
    {
        for Load { title, rooms, window } in LOADS {
            let shape = Shape { rooms, members: 1, receivers: 1, bytes: BYTES };
            // The floor commits what the windows of all hold, as full as a batch can be.
            let batch = window * rooms as u64;
            let floor = Subject::enter(comparison, Contestant::Floor(Some((disk, batch))), shape).await?;
            let mut subjects = Vec::new();
            for who in cast(comparison, disk) {
                subjects.push(Subject::enter(comparison, who, shape).await?);
            }
            for subject in [&floor].into_iter().chain(&subjects) {
                subject.ack(window, WARM_SECONDS).await?;
            }
            let (effort, seconds) = (comparison.options.effort(), comparison.options.seconds);
            let work = async |subject: &Subject| subject.ack(window, seconds).await;
            let load = format!("{title}; {kept}");
            let row = compare(MEASURE, load, effort, &floor, &subjects, work).await?;
            comparison.take(row);
            floor.finish()?;
            subjects.into_iter().try_for_each(Subject::finish)?;
        }
    }
    Ok(())
}
