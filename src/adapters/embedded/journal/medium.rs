//! What the journal stands on.

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use prometheus_client::metrics::counter::Counter;

use super::super::file::sync_or_end;

/// A file, or what a simulation has instead.
pub(in super::super) trait Medium: Debug + Send {
    /// How many bytes there are.
    fn len(&self) -> io::Result<u64>;

    fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()>;

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes durable what was written; an error says that the machine is gone.
    fn sync(&self) -> io::Result<()>;
}

/// A file of the system, which ends the process when it cannot be synced.
#[derive(Debug)]
pub(super) struct JournalFile {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) fsyncs: Counter,
}

impl Medium for JournalFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(into, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        sync_or_end(&self.path, &self.fsyncs, || self.file.sync_data());
        Ok(())
    }
}
