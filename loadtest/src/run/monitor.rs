//! The servers' side of a run: what their processes use and what they count themselves, once a second, on a thread
//! of its own so that the load does not wait for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::metrics::Metrics;
use crate::process::{Process, Usage};

/// A page of metrics that does not come within this is left out of its second.
const PAGE_TIMEOUT: Duration = Duration::from_secs(2);

/// How often the thread looks whether it shall end.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What of the servers' metrics stands in the series, as counters or as they are.
const KEPT: [&str; 10] = [
    "bobchat_sessions",
    "bobchat_rooms_active",
    "bobchat_messages_acknowledged_total",
    "bobchat_deliveries_total",
    "bobchat_outbound_bytes",
    "bobchat_store_queue_depth",
    "bobchat_slow_consumers_total",
    "bobchat_requests_failed_total",
    "bobchat_sends_limited_total",
    "bobchat_resets_total",
];

/// What servers are watched.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watched {
    pub(crate) processes: Vec<Process>,
    /// `http://HOST:PORT/metrics` of each.
    pub(crate) pages: Vec<String>,
}

/// The servers in one second, all together.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ServerPoint {
    pub(crate) second: u64,
    /// Cores that they used; absent when nothing tells.
    pub(crate) cores: Option<f64>,
    pub(crate) resident_bytes: Option<u64>,
    /// What they count, by name; absent when a page did not come.
    pub(crate) metrics: std::collections::BTreeMap<String, f64>,
}

/// The servers at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    usage: Vec<Usage>,
    pub(crate) resident_bytes: Option<u64>,
    /// CPU seconds by their own count, where no process is known.
    cpu_seconds: Option<f64>,
    /// A page for each server, or nothing.
    pub(crate) pages: Option<Vec<Metrics>>,
}

impl Watched {
    /// Reads everything now.
    ///
    /// # Errors
    /// When a process is gone, or a page is not there.
    pub(crate) fn read(&self) -> anyhow::Result<Reading> {
        self.read_with(Some(self.pages()?))
    }

    fn pages(&self) -> anyhow::Result<Vec<Metrics>> {
        let config = ureq::Agent::config_builder().timeout_global(Some(PAGE_TIMEOUT)).build();
        let agent = ureq::Agent::new_with_config(config);
        let page = |url: &String| {
            let context = || format!("could not read the metrics at {url}");
            let page =
                agent.get(url).call().with_context(context)?.body_mut().read_to_string().with_context(context)?;
            Ok(Metrics::new(page))
        };
        self.pages.iter().map(page).collect()
    }

    fn read_with(&self, pages: Option<Vec<Metrics>>) -> anyhow::Result<Reading> {
        let usage = self.processes.iter().map(|process| process.usage()).collect::<anyhow::Result<Vec<_>>>()?;
        let resident: Vec<u64> =
            self.processes.iter().map(|process| process.resident_bytes()).collect::<anyhow::Result<_>>()?;
        let told = |name: &str| pages.as_ref().filter(|pages| !pages.is_empty()).and_then(|pages| sum(pages, name));
        let resident_bytes = match resident.is_empty() {
            true => told("process_resident_memory_bytes").map(|bytes| bytes as u64),
            false => Some(resident.iter().sum()),
        };
        Ok(Reading { usage, resident_bytes, cpu_seconds: told("process_cpu_seconds_total"), pages })
    }

    /// Whether anything tells of the servers.
    pub(crate) fn is_anything(&self) -> bool {
        !self.processes.is_empty() || !self.pages.is_empty()
    }
}

impl Reading {
    /// Seconds on a core that the servers used since `earlier`.
    pub(crate) fn cpu_seconds_since(&self, earlier: &Self) -> Option<f64> {
        if self.usage.is_empty() {
            return Some(self.cpu_seconds? - earlier.cpu_seconds?);
        }
        Some(self.usage.iter().zip(&earlier.usage).map(|(now, before)| now.seconds_since(before)).sum())
    }

    /// A figure over all servers; `None` without a page of each.
    pub(crate) fn sum(&self, name: &str) -> Option<f64> {
        sum(self.pages.as_ref()?, name)
    }
}

fn sum(pages: &[Metrics], name: &str) -> Option<f64> {
    let figures: Option<Vec<f64>> = pages.iter().map(|page| page.sum(name).ok()).collect();
    figures.filter(|figures| !figures.is_empty()).map(|figures| figures.iter().sum())
}

/// Watches until it is told to end.
pub(crate) struct Monitor {
    end: Arc<AtomicBool>,
    points: Arc<Mutex<Vec<ServerPoint>>>,
    thread: Option<JoinHandle<()>>,
}

impl Monitor {
    /// Begins with what was read just before.
    pub(crate) fn begin(watched: Watched, first: Reading) -> Self {
        let (end, points) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let thread = watched.is_anything().then(|| {
            let (end, points) = (Arc::clone(&end), Arc::clone(&points));
            std::thread::spawn(move || watch(&watched, first, &end, &points))
        });
        Self { end, points, thread }
    }

    /// The newest point.
    pub(crate) fn newest(&self) -> Option<ServerPoint> {
        self.points.lock().unwrap_or_else(PoisonError::into_inner).last().cloned()
    }

    /// Ends and gives all points.
    pub(crate) fn finish(mut self) -> Vec<ServerPoint> {
        self.stop();
        std::mem::take(&mut self.points.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn stop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there was printed; the points until then are good.
            let _ = thread.join();
        }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.stop();
    }
}

fn watch(watched: &Watched, first: Reading, end: &AtomicBool, points: &Mutex<Vec<ServerPoint>>) {
    let began = Instant::now();
    let (mut last, mut last_at) = (first, began);
    let mut next = 1;
    loop {
        while began.elapsed() < Duration::from_secs(next) {
            if end.load(Ordering::Relaxed) {
                return;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        // A server that stands still gives no page, and one that died no usage: the second stays empty.
        let read = watched.read_with(watched.pages().ok());
        // What took longer than a second stands for all that went by, or the next would be of a moment.
        let second = began.elapsed().as_secs();
        next = second + 1;
        let Ok(now) = read else { continue };
        let passed = last_at.elapsed().as_secs_f64();
        let metrics = KEPT.iter().filter_map(|name| Some(((*name).to_owned(), now.sum(name)?))).collect();
        let cores = now.cpu_seconds_since(&last).map(|seconds| (seconds / passed).max(0.0));
        let point = ServerPoint { second, cores, resident_bytes: now.resident_bytes, metrics };
        points.lock().unwrap_or_else(PoisonError::into_inner).push(point);
        (last, last_at) = (now, Instant::now());
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What would be read of servers with these pages.
    pub(in super::super) fn reading(pages: &[String]) -> Reading {
        let pages = pages.iter().cloned().map(Metrics::new).collect();
        Watched::default().read_with(Some(pages)).unwrap()
    }

    #[test]
    fn a_server_without_a_process_tells_what_it_uses_itself() {
        let page =
            |seconds, bytes| format!("process_cpu_seconds_total {seconds}\nprocess_resident_memory_bytes {bytes}\n");
        let (before, after) = (reading(&[page(1.5, 100), page(0.5, 7)]), reading(&[page(2.0, 200), page(0.75, 8)]));
        assert_eq!(after.cpu_seconds_since(&before), Some(0.75));
        assert_eq!((before.resident_bytes, after.resident_bytes), (Some(107), Some(208)));
        assert_eq!(reading(&[]).cpu_seconds_since(&reading(&[])), None);
    }

    #[test]
    fn a_page_that_takes_long_makes_no_moment_of_the_next_second() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/metrics", listener.local_addr().unwrap());
        // The first page comes late, all others at once.
        std::thread::spawn(move || {
            let mut wait = Duration::from_millis(1_300);
            for stream in listener.incoming() {
                std::thread::sleep(std::mem::take(&mut wait));
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nup 1\n";
                std::io::Write::write_all(&mut stream.unwrap(), answer.as_bytes()).unwrap();
            }
        });
        let watched = Watched { processes: vec![Process::own()], pages: vec![url] };
        let first = watched.read_with(None).unwrap();
        let monitor = Monitor::begin(watched, first);
        let deadline = Instant::now() + Duration::from_secs(20);
        while monitor.newest().is_none_or(|point| point.second < 3) {
            assert!(Instant::now() < deadline);
            std::thread::sleep(LOOK_EVERY);
        }
        let seconds: Vec<u64> = monitor.finish().iter().map(|point| point.second).collect();
        assert_eq!(seconds, [2, 3], "the first page was there after 2.3 s");
    }

    #[test]
    fn a_process_is_watched_second_by_second() {
        let watched = Watched { processes: vec![Process::own()], pages: Vec::new() };
        let first = watched.read().unwrap();
        let monitor = Monitor::begin(watched, first);
        let deadline = Instant::now() + Duration::from_secs(20);
        while monitor.newest().is_none() {
            assert!(Instant::now() < deadline);
            std::thread::yield_now();
        }
        let points = monitor.finish();
        assert!(points[0].second == 1 && points[0].cores.unwrap() > 0.0 && points[0].resident_bytes.unwrap() > 100_000);
    }
}
