//! Putting what the journal holds into the store, before anybody reads.

use std::io;
use std::time::Instant;

use redb::{Database, WriteTransaction};

use super::super::OpenError;
use super::super::error::corrupt;
use super::super::meta::{self, JOURNAL_KEY};
use super::super::tables::{HEADS, KEYS, MESSAGES, META};
use super::medium::Medium;
use super::record::{ALIGNMENT, HEADER_BYTES, Header, is_intact};
use super::row::Row;
use super::{JOURNAL_BYTES, Journal};

/// Puts the rows of the run that the store names, up to the first record that is not whole: its writing
/// was cut short, so nobody was told of it. Afterwards the store names no run.
pub(in super::super) fn replay(database: &Database, journal: &Journal) -> Result<(), OpenError> {
    let failed = |source: redb::Error| OpenError::Replay { file: journal.path.clone(), source: Box::new(source) };
    let Some(run) = meta::journal(database).map_err(failed)? else { return Ok(()) };
    let started = Instant::now();
    let mut records = Records { medium: &*journal.medium, run, number: 0, offset: 0 };
    if let Some(first) = records.next().map_err(|error| failed(error.into()))? {
        let events = put_all(database, first, &mut records).map_err(failed)?;
        let duration_ms = started.elapsed().as_secs_f64() * 1e3;
        tracing::info!(events, records = records.number, duration_ms, "the journal was replayed into the store");
    }
    if records.are_cut().map_err(|error| failed(error.into()))? {
        tracing::error!(
            file = %journal.path.display(),
            records = records.number,
            "the journal is damaged: acknowledged messages behind the damage are lost; look at the disk"
        );
    }
    Ok(())
}

fn put_all(database: &Database, first: Vec<u8>, records: &mut Records<'_>) -> Result<u64, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    let (mut next, mut events) = (Some(first), 0_u64);
    while let Some(record) = next {
        events = events.saturating_add(put(&transaction, record.get(HEADER_BYTES..).unwrap_or_default())?);
        next = records.next()?;
    }
    transaction.open_table(META)?.remove(JOURNAL_KEY)?;
    transaction.commit()?;
    Ok(events)
}

/// Puts one record's rows; returns how many messages are among them.
fn put(transaction: &WriteTransaction, rows: &[u8]) -> Result<u64, redb::Error> {
    let mut heads = transaction.open_table(HEADS)?;
    let mut messages = transaction.open_table(MESSAGES)?;
    let mut keys = transaction.open_table(KEYS)?;
    let mut events = 0_u64;
    for row in Row::decode_all(rows) {
        match row.ok_or_else(|| corrupt("a record of the journal has something else than rows"))? {
            Row::Head(room, head) => drop(heads.insert(room, head)?),
            Row::Message(room, seq, message) => {
                messages.insert((room, seq), message)?;
                events = events.saturating_add(1);
            }
            Row::Key(key, used) => drop(keys.insert(key, used)?),
        }
    }
    Ok(events)
}

/// The records of one run, from the start of the file.
struct Records<'f> {
    medium: &'f dyn Medium,
    run: u64,
    /// The number of the next record.
    number: u64,
    /// Where it would stand.
    offset: u64,
}

impl Records<'_> {
    /// The next record; none if what stands there is not it, or not all of it.
    ///
    /// A disk that cannot be read is an error, not the end: what stands there may be acknowledged.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let left = self.medium.len()?.saturating_sub(self.offset);
        if left < HEADER_BYTES as u64 {
            return Ok(None);
        }
        let mut header = [0; HEADER_BYTES];
        self.medium.read_exact_at(&mut header, self.offset)?;
        let Some(Header { run, number, length }) = Header::parse(&header) else { return Ok(None) };
        let bytes = length.saturating_add(HEADER_BYTES as u64);
        if (run, number) != (self.run, self.number) || bytes > left {
            return Ok(None);
        }
        let mut record = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
        self.medium.read_exact_at(&mut record, self.offset)?;
        if !is_intact(&record) {
            return Ok(None);
        }
        self.number = self.number.saturating_add(1);
        self.offset = self.offset.saturating_add(bytes.next_multiple_of(ALIGNMENT));
        Ok(Some(record))
    }

    /// Whether a later record of the run stands behind the end that was found. It was written when the one
    /// that is missing was on disk: so that one was not torn, the disk has lost it.
    fn are_cut(&self) -> io::Result<bool> {
        let left = self.medium.len()?.min(JOURNAL_BYTES).saturating_sub(self.offset);
        let mut rest = vec![0; usize::try_from(left).map_err(io::Error::other)?];
        self.medium.read_exact_at(&mut rest, self.offset)?;
        let is_later = |header: Header| header.run == self.run && header.number > self.number;
        let mut headers = rest.chunks(ALIGNMENT as usize).filter_map(|place| Header::parse(place.first_chunk()?));
        Ok(headers.any(is_later))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt as _;
    use std::path::PathBuf;

    use prometheus_client::metrics::counter::Counter;

    use super::super::Rows;
    use super::super::medium::JournalFile;
    use super::*;

    const RUN: u64 = 7;

    /// A file with four records, and where they begin.
    fn four() -> (File, Vec<u64>) {
        let (file, mut places) = (tempfile::tempfile().unwrap(), vec![0]);
        let mut rows = Rows::default();
        for number in 0..4 {
            rows.clear();
            rows.push(Row::Message(1, number, b"some text"));
            let place = *places.last().unwrap();
            file.write_all_at(rows.seal(RUN, number), place).unwrap();
            places.push(place + rows.space());
        }
        (file, places)
    }

    fn read(file: &File, run: u64) -> (u64, bool) {
        let file = file.try_clone().unwrap();
        let medium = JournalFile { file, path: PathBuf::new(), fsyncs: Counter::default() };
        let mut records = Records { medium: &medium, run, number: 0, offset: 0 };
        while records.next().unwrap().is_some() {}
        (records.number, records.are_cut().unwrap())
    }

    #[test]
    fn all_records_of_the_run_are_read() {
        let (file, _) = four();
        assert_eq!(read(&file, RUN), (4, false));
        assert_eq!(read(&file, RUN + 1), (0, false));
    }

    #[test]
    fn a_torn_end_is_no_damage() {
        let (file, places) = four();
        // Less than its 40 and 34 bytes.
        for length in places[3]..places[3] + 74 {
            file.set_len(length).unwrap();
            assert_eq!(read(&file, RUN), (3, false));
        }
    }

    #[test]
    fn damage_before_the_end_is_noticed() {
        for number in 0..3 {
            let (file, places) = four();
            file.write_all_at(&[0xA5; 12], places[number]).unwrap();
            assert_eq!(read(&file, RUN), (number as u64, true));
        }
    }
}
