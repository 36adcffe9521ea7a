//! What telemetry costs: the same server with all of it and with what can be switched off switched off.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::Bench;
use super::bars::Bar;
use super::child::Bobchat;
use super::fanout::{BYTES, Subject};
use super::judge::{Repetition, Repetitions};
use crate::client::Shape;
use crate::load::Schedule;

/// As the row of stored messages has it: few receivers a message make what is done once a message weigh most.
const ROOMS: Shape = Shape { rooms: 100, members: 10, receivers: 10, bytes: BYTES };

/// How often all rooms get a message.
const ROUNDS_A_SECOND: f64 = 20.0;

/// How often metrics are scraped: thrice as often as the chart's 15 s, for a repetition is short.
const SCRAPE_EVERY: Duration = Duration::from_secs(5);

/// What a collector is sent at once at most.
const PARCEL_BYTES_MAX: usize = 16 << 20;

/// The row: CPU per delivery with metrics scraped, lines logged as JSON and one request in a hundred traced, against no
/// scrape, no line below `error` and no trace. The same program: what it counts it counts in both.
///
/// # Errors
/// When a server fails.
pub(super) async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    if !bench.wants(Bar::Telemetry) {
        return Ok(());
    }
    let collector = Collector::start()?;
    let folders = [tempfile::tempdir()?, tempfile::tempdir()?];
    let [silent, telling] = folders.each_ref().map(tempfile::TempDir::path);
    let off = [("TELEMETRY__LOG_FILTER", "error".to_owned())];
    let on = [
        ("TELEMETRY__LOG_FILTER", "info".to_owned()),
        ("TELEMETRY__LOG_FORMAT", "json".to_owned()),
        ("TELEMETRY__OTLP_ENDPOINT", collector.endpoint.clone()),
        ("TELEMETRY__TRACE_SAMPLE_RATIO", "0.01".to_owned()),
    ];
    let off = bench.installation.start_node(silent, &off)?;
    let on = Arc::new(bench.installation.start_node(telling, &on)?);
    let scraper = Scraper::start(&on);
    let subjects = [Subject::of(&off, ROOMS).await?, Subject::of(&on, ROOMS).await?];
    let together = ROOMS.rooms;
    let rate = ROUNDS_A_SECOND * together as f64;
    let schedule = Schedule { rate, burst: 1, together, seconds: bench.options.seconds };
    let [without, with] = &subjects;
    for subject in &subjects {
        subject.measure(Schedule { seconds: 0.5, ..schedule }).await?;
    }
    let mut repetitions = Repetitions::default();
    while !repetitions.are_done(bench.options.effort()) {
        repetitions.add(Repetition {
            floor_before: without.measure(schedule).await?.us_per_delivery,
            ours: with.measure(schedule).await?.us_per_delivery,
            floor_after: without.measure(schedule).await?.us_per_delivery,
        });
    }
    let mut line = repetitions.line(Bar::Telemetry, bench.options.effort(), "us");
    let (scrapes, parcels) = (scraper.stop(), collector.parcels.load(Ordering::Relaxed));
    ensure!(scrapes > 0 && parcels > 0, "nothing was told: {scrapes} scrapes, {parcels} parcels of spans");
    line.notes.push(format!("{scrapes} scrapes, {parcels} parcels of spans; what is counted is counted in both"));
    bench.take(line);
    let [without, with] = subjects;
    without.finish("the server that tells nothing")?;
    with.finish("the server that tells everything")
}

/// Takes spans and throws them away, on a thread of its own.
struct Collector {
    endpoint: String,
    parcels: Arc<AtomicU64>,
}

impl Collector {
    fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let parcels = Arc::new(AtomicU64::new(0));
        let taken = parcels.clone();
        // Ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let taken = taken.clone();
                std::thread::spawn(move || take_parcels(stream, &taken));
            }
        });
        Ok(Self { endpoint, parcels })
    }
}

/// Answers every request of a connection, for as long as they can be read.
fn take_parcels(mut stream: TcpStream, taken: &AtomicU64) {
    while take_parcel(&mut stream).is_ok() {
        taken.fetch_add(1, Ordering::Relaxed);
    }
}

fn take_parcel(stream: &mut TcpStream) -> anyhow::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
        ensure!(head.len() < 16 * 1024, "no request of an exporter");
    }
    let head = String::from_utf8(head)?.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.context("a parcel without a length")?.trim().parse()?;
    ensure!(length <= PARCEL_BYTES_MAX, "a parcel of {length} bytes");
    stream.read_exact(&mut vec![0; length])?;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
    Ok(())
}

/// Reads a server's metrics as Prometheus does.
struct Scraper {
    ends: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Scraper {
    fn start(server: &Arc<Bobchat>) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let (server, told) = (server.clone(), ends.clone());
        let thread = std::thread::spawn(move || {
            let mut scrapes = 0;
            while !told.load(Ordering::Relaxed) {
                scrapes += u64::from(server.metrics().is_ok());
                std::thread::park_timeout(SCRAPE_EVERY);
            }
            scrapes
        });
        Self { ends, thread }
    }

    /// Ends it; how often it read them.
    fn stop(self) -> u64 {
        self.ends.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        self.thread.join().unwrap_or_default()
    }
}
