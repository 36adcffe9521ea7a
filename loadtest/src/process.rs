//! What a process used, read from `/proc`; and which core it runs on.

use std::collections::HashMap;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_setaffinity};

/// A process to be measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process(u32);

/// What a process had used at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Usage {
    /// Nanoseconds on a core, for each thread that lives.
    threads: HashMap<u32, u64>,
    /// Seconds on a core of all threads, dead ones too; in steps of 10 ms.
    seconds: f64,
}

impl Process {
    /// The process `pid`.
    pub(crate) const fn new(pid: u32) -> Self {
        Self(pid)
    }

    /// This process.
    pub(crate) fn own() -> Self {
        Self(std::process::id())
    }

    fn path(self, file: &str) -> String {
        format!("/proc/{}/{file}", self.0)
    }

    fn gone(self) -> String {
        format!("process {} is gone", self.0)
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it is gone, or somebody else's.
    pub(crate) fn signal(self, signal: Signal) -> anyhow::Result<()> {
        let pid = i32::try_from(self.0).ok().and_then(Pid::from_raw).context("no such process")?;
        kill_process(pid, signal).with_context(|| format!("could not signal process {}", self.0))
    }

    /// What it has used until now.
    ///
    /// # Errors
    /// When the process is gone.
    pub(crate) fn usage(self) -> anyhow::Result<Usage> {
        let mut threads = HashMap::new();
        for thread in std::fs::read_dir(self.path("task")).with_context(|| self.gone())? {
            let path = thread?.path();
            let id = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            // A thread may end while the directory is read.
            let Ok(text) = std::fs::read_to_string(path.join("schedstat")) else { continue };
            let spent = text.split_whitespace().next().and_then(|field| field.parse().ok());
            if let (Some(id), Some(spent)) = (id, spent) {
                threads.insert(id, spent);
            }
        }
        Ok(Usage { threads, seconds: self.seconds()? })
    }

    /// How the system says that it is, in one letter (proc(5)): `T` is stopped.
    ///
    /// # Errors
    /// When the process is gone.
    pub(crate) fn state(self) -> anyhow::Result<String> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0)).context("the process is gone")?;
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        Ok(fields.split_whitespace().next().unwrap_or_default().to_owned())
    }

    fn seconds(self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(self.path("stat")).with_context(|| self.gone())?;
        // The name in brackets may hold spaces; utime and stime are fields 14 and 15 (proc(5)).
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        let per_second = rustix::param::clock_ticks_per_second();
        Ok(ticks as f64 / per_second as f64)
    }

    /// Memory that it holds, in bytes.
    ///
    /// # Errors
    /// When the process is gone.
    pub(crate) fn resident_bytes(self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(self.path("status")).with_context(|| self.gone())?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kilobytes * 1024)
    }
}

/// Keeps the calling thread, and what it starts from now on, on `core`.
///
/// # Errors
/// When there is no such core.
pub(crate) fn pin_this_thread(core: usize) -> anyhow::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).with_context(|| format!("could not run on core {core}"))
}

impl Usage {
    /// Seconds on a core since `earlier`. Exact to nanoseconds, unless a thread ended meanwhile: then
    /// the sum that counts dead threads is used, exact to 10 ms.
    pub(crate) fn seconds_since(&self, earlier: &Self) -> f64 {
        if earlier.threads.is_empty() || earlier.threads.keys().any(|thread| !self.threads.contains_key(thread)) {
            return self.seconds - earlier.seconds;
        }
        let before = |thread| earlier.threads.get(thread).copied().unwrap_or(0);
        let spent: u64 = self.threads.iter().map(|(thread, spent)| spent.saturating_sub(before(thread))).sum();
        spent as f64 / 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_shows_in_the_usage_and_rest_does_not() {
        let own = Process::own();
        let before = own.usage().unwrap();
        let begin = std::time::Instant::now();
        let mut work = 0_u64;
        while begin.elapsed().as_millis() < 50 {
            work = std::hint::black_box(work.wrapping_add(1));
        }
        let spent = own.usage().unwrap().seconds_since(&before);
        assert!(spent > 0.0 && spent < 5.0, "{spent} s");
        assert!(own.resident_bytes().unwrap() > 100_000);
    }
}
