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

impl Reserve {
    /// Whether more than the reserve is free. Not knowing is no reason to refuse: the write itself will tell.
    pub(super) fn is_kept(&self) -> bool {
        let Ok(disk) = rustix::fs::statvfs(&self.folder) else { return true };
        disk.f_bavail.saturating_mul(disk.f_frsize) > self.bytes
    }
}
