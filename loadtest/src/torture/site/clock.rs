//! The clock of one node, stepped while the node runs: libfaketime stands between it and the system's clock.
//!
//! Only the time of day is changed. Clocks that measure how long something takes go on as they do.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

/// Where a distribution keeps libraries: a folder below it for each architecture.
const LIBRARIES: &str = "/usr/lib";

/// libfaketime for programs with threads, there.
const FAKETIME: &str = "faketime/libfaketimeMT.so.1";

/// Seconds of a day.
const DAY: i64 = 24 * 60 * 60;

/// The clock of a node.
#[derive(Debug, Clone)]
pub(in super::super) struct Clock {
    library: PathBuf,
    /// Says how far it is off; looked at once a second.
    file: PathBuf,
}

impl Clock {
    /// A clock that goes right, and can be set by a file.
    ///
    /// # Errors
    /// When libfaketime is not installed, or the file cannot be written.
    pub(in super::super) fn make(file: &Path) -> anyhow::Result<Self> {
        let clock = Self { library: library()?, file: std::path::absolute(file)? };
        clock.set_off_by(0)?;
        Ok(clock)
    }

    /// Has a program go by it.
    pub(super) fn rule(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library).env("FAKETIME_TIMESTAMP_FILE", &self.file);
        command.env("FAKETIME_CACHE_DURATION", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }

    /// Steps it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(in super::super) fn set_off_by(&self, seconds: i64) -> anyhow::Result<()> {
        // Never half written for whoever reads it now.
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{seconds:+}\n"))?;
        Ok(std::fs::rename(&new, &self.file)?)
    }
}

/// Finds libfaketime.
///
/// # Errors
/// When it is not installed.
pub(in super::super) fn library() -> anyhow::Result<PathBuf> {
    let folders = std::fs::read_dir(LIBRARIES).with_context(|| format!("could not look into {LIBRARIES}"))?;
    let mut found = folders.filter_map(|folder| Some(folder.ok()?.path().join(FAKETIME)));
    let found = found.find(|path| path.is_file());
    found.context("clocks are stepped by libfaketime, which is not there: scripts/need faketime installs it")
}

/// How far the `Date` of an answer is from a time in seconds since 1970, in seconds, by the time of day alone: at most
/// half a day.
pub(super) fn off_by(answer: &str, now: i64) -> Option<i64> {
    let date =
        answer.lines().find_map(|line| line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("date")));
    let clock = date?.1.split_whitespace().find(|word| word.contains(':'))?;
    let mut parts = clock.split(':').map(str::parse::<i64>);
    let (hours, minutes, seconds) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    let off = (hours * 3600 + minutes * 60 + seconds - now).rem_euclid(DAY);
    Some(if off > DAY / 2 { off - DAY } else { off })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_says_how_far_a_clock_is_off_over_midnight_too() {
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\ndate: Mon, 23 Nov 2026 00:30:05 GMT\r\n\r\n";
        let at = |hours: i64, minutes: i64| 20_000 * DAY + hours * 3600 + minutes * 60;
        assert_eq!(off_by(answer, at(0, 30)), Some(5));
        assert_eq!(off_by(answer, at(23, 30)), Some(3605));
        assert_eq!(off_by(answer, at(1, 30)), Some(-3595));
        assert_eq!(off_by("HTTP/1.1 200 OK\r\n\r\n", 0), None);
    }
}
