//! What is broken meanwhile: by the run itself, or by somebody who wrote it down.

use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::process::Process;
use crate::scenario::Fault;

/// When something was broken, in seconds from the beginning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) name: String,
    pub(crate) from: f64,
    pub(crate) until: f64,
}

/// A line of a file of marks: who breaks servers beside a run writes one for each fault.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    /// Milliseconds since 1970.
    from_ms: f64,
    until_ms: f64,
}

/// Reads a file of marks, a line of JSON each, for a run that began at `began_ms`.
///
/// # Errors
/// When it cannot be read, or a line is none.
pub(crate) fn read_marks(path: &Path, began_ms: u64) -> anyhow::Result<Vec<Mark>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
    let since = |ms: f64| (ms - began_ms as f64) / 1e3;
    let line = |(number, line): (usize, &str)| {
        let Written { name, from_ms, until_ms } =
            serde_json::from_str(line).with_context(|| format!("{}:{}: no mark", path.display(), number + 1))?;
        Ok(Mark { name, from: since(from_ms), until: since(until_ms) })
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(line).collect()
}

/// Breaks what a scenario says, on a thread of its own. Whatever happens, all is whole again in the end.
pub(crate) struct Breaker {
    /// Dropped to end it early.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<anyhow::Result<Vec<Mark>>>>,
}

impl Breaker {
    /// Begins now.
    ///
    /// # Errors
    /// When there is nothing to break.
    pub(crate) fn begin(mut faults: Vec<Fault>, processes: Vec<Process>) -> anyhow::Result<Self> {
        ensure!(faults.is_empty() || !processes.is_empty(), "faults of the scenario pause --pid: give one");
        faults.sort_by(|one, other| one.at.total_cmp(&other.at));
        let (end, ended) = channel::<()>();
        let thread = std::thread::spawn(move || {
            let began = Instant::now();
            let since = || began.elapsed().as_secs_f64();
            let wait_until = |moment: f64| {
                let wait = Duration::from_secs_f64((moment - since()).max(0.0));
                ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout)
            };
            let mut marks = Vec::new();
            for fault in faults {
                if !wait_until(fault.at) {
                    break;
                }
                let from = since();
                let paused = Paused::begin(&processes)?;
                let goes_on = wait_until(from + fault.seconds);
                drop(paused);
                marks.push(Mark { name: fault.kind.name().to_owned(), from, until: since() });
                if !goes_on {
                    break;
                }
            }
            Ok(marks)
        });
        Ok(Self { end: Some(end), thread: Some(thread) })
    }

    /// Ends, and says what was broken when.
    ///
    /// # Errors
    /// When a process could not be paused.
    pub(crate) fn finish(mut self) -> anyhow::Result<Vec<Mark>> {
        self.end.take();
        let thread = self.thread.take().context("it was finished before")?;
        thread.join().map_err(|_| anyhow::anyhow!("what breaks servers panicked"))?
    }
}

impl Drop for Breaker {
    fn drop(&mut self) {
        self.end.take();
        if let Some(thread) = self.thread.take() {
            // Nobody asks any more what was broken.
            let _ = thread.join();
        }
    }
}

/// Processes that stand still until this is dropped.
struct Paused<'a>(&'a [Process]);

impl<'a> Paused<'a> {
    fn begin(processes: &'a [Process]) -> anyhow::Result<Self> {
        let paused = Self(processes);
        processes.iter().try_for_each(|process| process.signal(Signal::STOP))?;
        Ok(paused)
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        for process in self.0 {
            // One that is gone needs nothing.
            let _ = process.signal(Signal::CONT);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn marks_are_read_relative_to_the_beginning() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "{{\"name\": \"node 2 killed\", \"from_ms\": 11500, \"until_ms\": 13000}}\n").unwrap();
        let mark = Mark { name: "node 2 killed".to_owned(), from: 1.5, until: 3.0 };
        assert_eq!(read_marks(file.path(), 10_000).unwrap(), [mark]);
        writeln!(file, "{{\"name\": 1}}").unwrap();
        assert!(format!("{:#}", read_marks(file.path(), 0).unwrap_err()).contains(":3: no mark"));
    }
}
