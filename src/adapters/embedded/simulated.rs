//! The store of a simulation: the same writer, journal and tables on a disk that is simulated, without threads.

use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bobchat_actors::ports::Clock;
use bobchat_actors::random::SplitMix64;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use redb::{BackendError, Builder, Database, StorageBackend};

use super::file::FileOptions;
use super::journal::{Journal, JournalMedium, Rows, replay};
use super::meta::{self, Format};
use super::metrics::Metrics;
use super::queue::Queue;
use super::readers::Readers;
use super::shared::Shared;
use super::space::Reserve;
use super::writer::Writer;
use super::{EmbeddedOptions, EmbeddedStore, OpenError};

/// Memory for pages: a run writes little.
const CACHE_BYTES: usize = 1 << 20;

/// What is torn is torn between sectors.
const SECTOR_BYTES: usize = 512;

/// A disk with the two files of a store. It outlives the machine that it is in: what was not synced may be gone then.
#[derive(Debug, Clone)]
pub struct SimulatedDisk(Arc<Mutex<Disk>>);

#[derive(Debug)]
struct Disk {
    store: Content,
    journal: Content,
    /// Numbers the machines that had it: what an earlier one still does reaches nothing.
    life: u64,
    has_power: bool,
    /// Operations until the power fails.
    cut_after: Option<u32>,
    random: SplitMix64,
}

/// A file: what reads give, and how to get back to what was synced.
#[derive(Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Debug)]
struct Change {
    offset: usize,
    before: Vec<u8>,
    after: Vec<u8>,
    length_before: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Store,
    Journal,
}

/// One file, as one machine sees it.
#[derive(Debug)]
struct Handle {
    disk: SimulatedDisk,
    name: Name,
    life: u64,
}

impl SimulatedDisk {
    /// An empty disk. What survives a cut of its power is drawn from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let (store, journal) = (Content::default(), Content::default());
        let random = SplitMix64::new(seed);
        Self(Arc::new(Mutex::new(Disk { store, journal, life: 0, has_power: true, cut_after: None, random })))
    }

    /// Has the power fail at the write or sync of this number, from now on.
    pub fn cut_power_after(&self, operations: u32) {
        self.lock().cut_after = Some(operations);
    }

    /// Has the power not fail, if it has not yet.
    pub fn keep_power(&self) {
        self.lock().cut_after = None;
    }

    /// Whether there is power.
    #[must_use]
    pub fn has_power(&self) -> bool {
        self.lock().has_power
    }

    /// The machine ends, and another one will have the disk. Without power what was not synced is lost, all of it or
    /// some; when a process ends it stays.
    pub fn change_hands(&self) {
        let mut disk = self.lock();
        if !disk.has_power {
            disk.lose_unsynced();
        }
        disk.life = disk.life.saturating_add(1);
        (disk.has_power, disk.cut_after) = (true, None);
    }

    fn handle(&self, name: Name) -> Handle {
        let life = self.lock().life;
        Handle { disk: self.clone(), name, life }
    }

    /// How long a commit takes.
    fn pause(&self) -> Duration {
        Duration::from_millis(1 + self.lock().random.draw() % 8)
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        // Whole after each statement.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk {
    fn content(&mut self, name: Name) -> &mut Content {
        match name {
            Name::Store => &mut self.store,
            Name::Journal => &mut self.journal,
        }
    }

    /// Counts an operation that changes something, and is the one at which the power fails.
    fn operate(&mut self, life: u64) -> io::Result<()> {
        self.reach(life)?;
        if let Some(left) = &mut self.cut_after {
            *left = left.saturating_sub(1);
            self.has_power = *left > 0;
        }
        self.reach(life)
    }

    fn reach(&self, life: u64) -> io::Result<()> {
        if self.has_power && self.life == life { Ok(()) } else { Err(io::Error::other("simulated: no power")) }
    }

    /// Of what was not synced, each write is there, or is not, or is torn.
    fn lose_unsynced(&mut self) {
        for name in [Name::Store, Name::Journal] {
            let changes = std::mem::take(&mut self.content(name).unsynced);
            changes.iter().rev().for_each(|change| self.content(name).undo(change));
            for change in changes {
                let sectors = change.after.len().div_ceil(SECTOR_BYTES);
                let survive = match self.random.draw() % 3 {
                    0 => 0,
                    1 => change.after.len(),
                    _ => usize::try_from(self.random.draw()).unwrap_or(0) % (sectors + 1) * SECTOR_BYTES,
                };
                let after = change.after.get(..survive).unwrap_or(&change.after).to_vec();
                self.content(name).put(change.offset, &after);
            }
        }
    }
}

impl Content {
    fn write(&mut self, offset: u64, after: &[u8]) {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let (length_before, end) = (self.bytes.len(), offset.saturating_add(after.len()));
        let before = self.bytes.get(offset..end.min(length_before)).unwrap_or_default().to_vec();
        self.put(offset, after);
        self.unsynced.push(Change { offset, before, after: after.to_vec(), length_before });
    }

    fn set_len(&mut self, length: u64) {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let length_before = self.bytes.len();
        let before = self.bytes.get(length..).unwrap_or_default().to_vec();
        self.bytes.resize(length, 0);
        self.unsynced.push(Change { offset: length, before, after: Vec::new(), length_before });
    }

    fn put(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset.saturating_add(bytes.len());
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        if let Some(place) = self.bytes.get_mut(offset..end) {
            place.copy_from_slice(bytes);
        }
    }

    fn undo(&mut self, change: &Change) {
        self.bytes.resize(change.length_before, 0);
        self.put(change.offset, &change.before);
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let from = self.bytes.get(offset..offset.saturating_add(into.len()));
        into.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl Handle {
    fn length(&self) -> io::Result<u64> {
        let mut disk = self.disk.lock();
        disk.reach(self.life)?;
        Ok(disk.content(self.name).bytes.len() as u64)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.reach(self.life)?;
        disk.content(self.name).read(offset, into)
    }

    fn change(&self, change: impl FnOnce(&mut Content)) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.operate(self.life)?;
        change(disk.content(self.name));
        Ok(())
    }
}

impl JournalMedium for Handle {
    fn len(&self) -> io::Result<u64> {
        self.length()
    }

    fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_at(offset, into)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.change(|content| content.write(offset, bytes))
    }

    fn sync(&self) -> io::Result<()> {
        self.change(|content| content.unsynced.clear())
    }
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        self.length()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.read_at(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(|content| content.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(|content| content.unsynced.clear())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(|content| content.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        Ok(())
    }

    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn try_lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn unlock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn query_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(false)
    }
}

impl EmbeddedStore {
    /// Opens the store of a simulated disk, and makes it where there is none. To be called where local tasks can be
    /// spawned: one of them writes.
    ///
    /// # Errors
    /// [`OpenError`]: the disk has lost its power, or is damaged.
    pub fn simulated(disk: &SimulatedDisk, clock: Arc<dyn Clock>) -> Result<Arc<Self>, OpenError> {
        let metrics = Metrics::register(&mut Registry::default());
        let database = open(disk)?;
        let journal = Journal::over(Box::new(disk.handle(Name::Journal)), Path::new("simulated.journal"));
        replay(&database, &journal)?;
        let shared = Arc::new(Shared::new(database));
        let (queue, commands) = Queue::new(metrics.clone());
        let file = PathBuf::from("simulated");
        let options = EmbeddedOptions::default();
        let writer = Writer {
            shared: Arc::clone(&shared),
            queue: commands,
            batch_max: options.commit_batch_max,
            checkpoint_when_idle: options.checkpoint_when_idle,
            file: FileOptions { file: file.clone(), journal: file.clone(), cache_bytes: 0, fsyncs: Counter::default() },
            journal,
            rows: Rows::default(),
            // Nothing is known of its space, which is enough.
            reserve: Reserve { folder: file, bytes: 0 },
            metrics: metrics.clone(),
            is_simulated: true,
        };
        let paced = disk.clone();
        actix_rt::spawn(writer.serve(move || paced.pause()));
        let (readers, queue) = (Readers::here(metrics), Some(queue));
        Ok(Arc::new(Self { shared, clock, readers, queue, writer: None, stop_sweeper: None, sweeper: None }))
    }
}

fn open(disk: &SimulatedDisk) -> Result<Database, OpenError> {
    let damaged =
        |source: redb::Error| OpenError::Damaged { file: PathBuf::from("simulated"), source: Box::new(source) };
    let opened = Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(disk.handle(Name::Store));
    let database = opened.map_err(|error| damaged(error.into()))?;
    if meta::format(&database).map_err(damaged)? == Format::Foreign {
        meta::initialize(&database).map_err(damaged)?;
    }
    Ok(database)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(disk: &SimulatedDisk) -> Handle {
        disk.handle(Name::Journal)
    }

    fn read(disk: &SimulatedDisk) -> Vec<u8> {
        let handle = journal(disk);
        let mut bytes = vec![0; usize::try_from(handle.length().unwrap()).unwrap()];
        handle.read_at(0, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_was_synced_survives_every_cut_and_what_was_not_survives_some() {
        let mut lost = 0;
        for seed in 0..50 {
            let disk = SimulatedDisk::new(seed);
            let handle = journal(&disk);
            handle.write_all_at(b"synced", 0).unwrap();
            handle.sync().unwrap();
            handle.write_all_at(b"SYN", 0).unwrap();
            disk.cut_power_after(1);
            assert!(handle.sync().is_err() && !disk.has_power());
            disk.change_hands();
            assert!(handle.write_all_at(b"late", 0).is_err(), "its machine is gone");
            assert!([&b"synced"[..], b"SYNced"].contains(&read(&disk).as_slice()), "{:?}", read(&disk));
            lost += usize::from(read(&disk) == b"synced");
        }
        assert!((1..50).contains(&lost), "{lost} of 50");
    }

    #[test]
    fn a_process_that_ends_takes_nothing_along_that_it_wrote() {
        let disk = SimulatedDisk::new(1);
        journal(&disk).write_all_at(b"written", 0).unwrap();
        disk.change_hands();
        assert_eq!(read(&disk), b"written");
        disk.cut_power_after(1);
        assert!(journal(&disk).sync().is_err());
    }
}
