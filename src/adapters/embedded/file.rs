//! The store's files: made private, locked, and never trusted after a failed fsync.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use redb::backends::FileBackend;
use redb::{BackendError, Builder, Database, DatabaseError, StorageBackend};

use super::OpenError;

/// The store's file in the data folder.
pub(super) const FILE_NAME: &str = "bobchat.redb";

/// How long a predecessor may hold the file: after a SIGKILL its lock goes when the kernel is done with
/// it, which a large cache delays.
pub(super) const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// Between two looks at the lock.
const LOCK_RETRY: Duration = Duration::from_millis(20);

/// `EX_IOERR` of sysexits.h.
const EXIT_IO_ERROR: i32 = 74;

/// How to open a store's file, again too.
#[derive(Debug, Clone)]
pub(super) struct FileOptions {
    pub(super) file: PathBuf,
    /// The journal beside it.
    pub(super) journal: PathBuf,
    pub(super) cache_bytes: usize,
    pub(super) fsyncs: Counter,
}

impl FileOptions {
    /// Opens the file, which must be there, and holds its lock. Waits `patience` for another holder.
    pub(super) fn open(&self, patience: Duration) -> Result<Database, OpenError> {
        let deadline = Instant::now() + patience;
        loop {
            match self.try_open() {
                Err(OpenError::InUse(_)) if Instant::now() < deadline => thread::sleep(LOCK_RETRY),
                outcome => return outcome,
            }
        }
    }

    fn try_open(&self) -> Result<Database, OpenError> {
        let failed = |source| OpenError::File { file: self.file.clone(), source };
        let file = OpenOptions::new().read(true).write(true).open(&self.file).map_err(failed)?;
        if !has_magic(&file).map_err(failed)? {
            return Err(OpenError::Foreign(self.file.clone()));
        }
        self.open_file(file)
    }

    /// Makes a database of an empty file, or opens the one in it.
    pub(super) fn open_file(&self, file: File) -> Result<Database, OpenError> {
        let backend = FileBackend::new(file).map_err(|error| self.judge(error))?;
        let backend = FailStop { backend, file: self.file.clone(), fsyncs: self.fsyncs.clone() };
        let opened = Builder::new().set_cache_size(self.cache_bytes).create_with_backend(backend);
        opened.map_err(|error| self.judge(error))
    }

    fn judge(&self, error: DatabaseError) -> OpenError {
        let file = self.file.clone();
        match error {
            DatabaseError::DatabaseAlreadyOpen => OpenError::InUse(folder_of(&file)),
            other => OpenError::Damaged { file, source: Box::new(other.into()) },
        }
    }
}

/// Makes the data folder, for nobody else to read, if it is not there.
pub(super) fn make_folder(folder: &Path) -> Result<(), OpenError> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| OpenError::Folder { folder: folder.to_owned(), source })
}

/// Makes names in a folder durable: a file whose name is lost is a lost file.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

pub(super) fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Makes a file that nobody else may read and that was not there.
pub(super) fn create_private(file: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(file)
}

/// Gives a finished file its name, durably, unless there is one of that name.
pub(super) fn publish(unfinished: &Path, file: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, unfinished, CWD, file, RenameFlags::NOREPLACE)?;
    sync_folder(&folder_of(file))
}

/// The name of a file that is being made: of this process, so that nobody else works on it.
pub(super) fn unfinished(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".unfinished-{}", std::process::id()));
    PathBuf::from(name)
}

/// Whether the file begins as redb's files do, which includes none that is empty.
pub(super) fn has_magic(file: &File) -> io::Result<bool> {
    const MAGIC: &[u8] = b"redb\x1a\x0a\xa9\x0d\x0a";
    let mut begin = [0; MAGIC.len()];
    match file.read_exact_at(&mut begin, 0) {
        Ok(()) => Ok(begin == MAGIC),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Syncs a file of the store, or ends the process (log protocol, rule 35).
///
/// After a failed fsync the kernel may have dropped the pages and call them clean: a later fsync that
/// succeeds proves nothing (Rebello et al., "Can Applications Recover from fsync Failures?", 2020). What
/// is on disk is found out by starting again.
pub(super) fn sync_or_end(file: &Path, fsyncs: &Counter, sync: impl FnOnce() -> io::Result<()>) {
    fsyncs.inc();
    if let Err(error) = sync() {
        tracing::error!(
            file = %file.display(),
            error = %error,
            "could not sync the store to disk: the process ends, nothing that was not synced was acknowledged"
        );
        std::process::exit(EXIT_IO_ERROR)
    }
}

/// The store's file, which ends the process when its data cannot be synced.
#[derive(Debug)]
struct FailStop {
    backend: FileBackend,
    file: PathBuf,
    fsyncs: Counter,
}

impl StorageBackend for FailStop {
    fn sync_data(&self) -> io::Result<()> {
        sync_or_end(&self.file, &self.fsyncs, || self.backend.sync_data());
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.backend.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.backend.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.backend.set_len(len)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.backend.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.backend.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.backend.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.backend.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.backend.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.backend.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.backend.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.backend.query_lock_range(start, end)
    }
}
