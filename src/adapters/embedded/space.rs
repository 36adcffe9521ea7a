use std::path::PathBuf;
use std::time::Duration;

/// Below the reserve: how long until it is worth trying again. Space comes back by an operator's hand.
pub(super) const FULL_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Space on the disk that writes leave alone: what a commit under way, a backup's rename and the logs of
/// the machine still need when nothing more is taken (log protocol, rule 35).
#[derive(Debug)]
pub(super) struct Reserve {
    pub(super) folder: PathBuf,
    pub(super) bytes: u64,
}

/// What is free, seen against the reserve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    /// More than the reserve.
    Kept,
    /// Some of the reserve is gone: what grows is refused.
    Touched,
    /// All but a quarter of it is, which a write under way may need. Nothing more is written: a write that fails closes the
    /// store's file, and it could not be opened again, nor read, before there is space.
    Spent,
}

impl Reserve {
    /// Not knowing is no reason to refuse: the write itself will tell.
    pub(super) fn space(&self) -> Space {
        let Ok(disk) = rustix::fs::statvfs(&self.folder) else { return Space::Kept };
        match disk.f_bavail.saturating_mul(disk.f_frsize) {
            free if free > self.bytes => Space::Kept,
            free if free >= self.bytes / 4 => Space::Touched,
            _ => Space::Spent,
        }
    }
}
