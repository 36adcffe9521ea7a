//! What telemetry costs, and which part of it: the same server with what can be switched off switched off, and with one
//! more of it switched on each time.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use super::Bench;
use super::bars::Bar;
use super::child::Bobchat;
use super::fanout::{BYTES, Subject};
use super::judge::{Line, Repetition, Repetitions};
use crate::client::Shape;
use crate::load::Schedule;
use crate::statistics::Spread;

/// As the row of stored messages has it: few receivers a message make what is done once a message weigh most.
const ROOMS: Shape = Shape { rooms: 100, members: 10, receivers: 10, bytes: BYTES };

/// How often all rooms get a message.
const ROUNDS_A_SECOND: f64 = 20.0;

/// How often metrics are scraped: thrice as often as the chart's 15 s, for a repetition is short.
const SCRAPE_EVERY: Duration = Duration::from_secs(5);

/// What a collector is sent at once at most.
const PARCEL_BYTES_MAX: usize = 16 << 20;

/// How a server differs from one that is not scraped, writes no line below `error` and traces nothing. What it counts it
/// counts in any case.
struct Telling {
    name: &'static str,
    is_scraped: bool,
    logs: bool,
    traces: bool,
}

/// What is measured, each with more than the one before, and the whole last. The first differs in nothing: it says what the
/// others' figures are worth.
const TELLING: [Telling; 4] = [
    Telling { name: "nothing", is_scraped: false, logs: false, traces: false },
    Telling { name: "metrics", is_scraped: true, logs: false, traces: false },
    Telling { name: "metrics and logs", is_scraped: true, logs: true, traces: false },
    Telling { name: "all", is_scraped: true, logs: true, traces: true },
];

impl Telling {
    fn settings(&self, collector: &Collector) -> Vec<(&'static str, String)> {
        let filter = if self.logs { "info" } else { "error" };
        let mut settings =
            vec![("TELEMETRY__LOG_FILTER", filter.to_owned()), ("TELEMETRY__LOG_FORMAT", "json".to_owned())];
        if self.traces {
            settings.push(("TELEMETRY__OTLP_ENDPOINT", collector.endpoint.clone()));
            settings.push(("TELEMETRY__TRACE_SAMPLE_RATIO", "0.01".to_owned()));
        }
        settings
    }
}

/// A server that tells something, with members in it.
struct Teller {
    telling: &'static Telling,
    subject: Subject,
    scraper: Option<Scraper>,
    repetitions: Repetitions,
    _server: Arc<Bobchat>,
    _data: TempDir,
}

impl Teller {
    async fn start(bench: &Bench, telling: &'static Telling, collector: &Collector) -> anyhow::Result<Self> {
        let data = tempfile::tempdir()?;
        let server = Arc::new(bench.installation.start_node(data.path(), &telling.settings(collector))?);
        let subject = Subject::of(&server, ROOMS).await?;
        let scraper = telling.is_scraped.then(|| Scraper::start(&server));
        Ok(Self { telling, subject, scraper, repetitions: Repetitions::default(), _server: server, _data: data })
    }
}

/// The row: CPU per delivery with metrics scraped, lines logged as JSON and one request in a hundred traced, against no
/// scrape, no line below `error` and no trace; and which of them costs what.
///
/// # Errors
/// When a server fails.
pub(super) async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    if !bench.wants(Bar::Telemetry) {
        return Ok(());
    }
    let collector = Collector::start()?;
    let [nothing, ..] = &TELLING;
    let silent = Teller::start(bench, nothing, &collector).await?;
    let mut tellers = Vec::new();
    for telling in &TELLING {
        tellers.push(Teller::start(bench, telling, &collector).await?);
    }
    let together = ROOMS.rooms;
    let schedule =
        Schedule { rate: ROUNDS_A_SECOND * together as f64, burst: 1, together, seconds: bench.options.seconds };
    for teller in tellers.iter().chain([&silent]) {
        teller.subject.measure(Schedule { seconds: 0.5, ..schedule }).await?;
    }
    let effort = bench.options.effort();
    let mut turn = 0;
    while !tellers.iter().all(|teller| teller.repetitions.are_done(effort)) {
        repeat(&silent, &mut tellers, turn, schedule).await?;
        turn += 1;
    }
    let mut lines: Vec<Line> =
        tellers.iter().map(|teller| teller.repetitions.line(Bar::Telemetry, effort, "us")).collect();
    let figures: Vec<String> = lines.iter().zip(&TELLING).filter_map(|(line, telling)| figure(line, telling)).collect();
    let mut line = lines.pop().context("nothing was measured")?;
    line.notes.push(figures.join("; "));
    let mut scrapes = 0;
    for Teller { telling, subject, scraper, .. } in tellers {
        scrapes += scraper.map_or(0, Scraper::stop);
        subject.finish(telling.name)?;
    }
    silent.subject.finish("the server that tells nothing")?;
    let parcels = collector.parcels.load(Ordering::Relaxed);
    ensure!(scrapes > 0 && parcels > 0, "nothing was told: {scrapes} scrapes, {parcels} parcels of spans");
    line.notes.push(format!("{scrapes} scrapes, {parcels} parcels of spans; what is counted is counted in all"));
    bench.take(line);
    Ok(())
}

/// One repetition of each, between two of the server that tells nothing; each `turn` begins with another of them, for who
/// comes first or last is further from one of the floors.
async fn repeat(silent: &Teller, tellers: &mut [Teller], turn: usize, schedule: Schedule) -> anyhow::Result<()> {
    let (count, mut figures) = (tellers.len(), Vec::new());
    let first = turn % count;
    let floor_before = silent.subject.measure(schedule).await?.us_per_delivery;
    for teller in tellers.iter().cycle().skip(first).take(count) {
        figures.push(teller.subject.measure(schedule).await?.us_per_delivery);
    }
    let floor_after = silent.subject.measure(schedule).await?.us_per_delivery;
    figures.rotate_right(first);
    for (teller, ours) in tellers.iter_mut().zip(figures) {
        teller.repetitions.add(Repetition { floor_before, ours, floor_after });
    }
    Ok(())
}

/// Finer than the line has it: what is told apart are hundredths.
fn figure(line: &Line, telling: &Telling) -> Option<String> {
    let Spread { median, lower_quartile, upper_quartile } = line.figure?;
    Some(format!("{} {median:.3} ({lower_quartile:.3}-{upper_quartile:.3})", telling.name))
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
