//! How a batch of rows stands in the journal: a header, then the rows one after the other.
//!
//! | bytes | |
//! |---|---|
//! | 8 | checksum: XXH3 (64 bits) of everything that follows |
//! | 8 | mark and version |
//! | 8 | the run that the record belongs to |
//! | 8 | its number in the run, from 0 |
//! | 8 | how many bytes of rows follow |
//!
//! Numbers are little-endian. Each record begins at a multiple of [`ALIGNMENT`].

use xxhash_rust::xxh3::xxh3_64;

use super::row::Row;

/// What stands before the rows.
pub(in super::super) const HEADER_BYTES: usize = 40;

/// So records are found without those before them: see [`super::replay()`].
pub(super) const ALIGNMENT: u64 = 64;

/// The checksum, which does not cover itself.
const CHECKSUM_BYTES: usize = 8;

/// What is kept of the memory of a batch: most are smaller, and a rare large one is not held for ever.
const KEPT_BYTES: usize = 1 << 20;

/// Marks a record; its last byte is the version of the format.
const MARK: u64 = u64::from_le_bytes(*b"bobjrnl\x01");

/// The rows of a batch, in the order in which they were put, with space for the header before them: so a
/// record is one piece of memory and one write.
#[derive(Debug)]
pub(in super::super) struct Rows(Vec<u8>);

impl Default for Rows {
    fn default() -> Self {
        Self(vec![0; HEADER_BYTES])
    }
}

impl Rows {
    /// Forgets the rows, and keeps memory for the next batch.
    pub(in super::super) fn clear(&mut self) {
        self.0.truncate(HEADER_BYTES);
        self.0.shrink_to(KEPT_BYTES);
    }

    pub(in super::super) fn push(&mut self, row: Row<'_>) {
        row.encode(&mut self.0);
    }

    /// How much of the file the record takes.
    pub(super) fn space(&self) -> u64 {
        (self.0.len() as u64).next_multiple_of(ALIGNMENT)
    }

    /// The record as it is written.
    pub(super) fn seal(&mut self, run: u64, number: u64) -> &[u8] {
        let length = self.0.len().saturating_sub(HEADER_BYTES) as u64;
        let fields = [MARK, run, number, length].into_iter().flat_map(u64::to_le_bytes);
        self.0.splice(CHECKSUM_BYTES..HEADER_BYTES, fields);
        let checksum = xxh3_64(self.0.get(CHECKSUM_BYTES..).unwrap_or_default());
        self.0.splice(..CHECKSUM_BYTES, checksum.to_le_bytes());
        &self.0
    }
}

/// What a header says, believed only when the checksum holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) run: u64,
    pub(super) number: u64,
    /// Bytes of rows that follow.
    pub(super) length: u64,
}

impl Header {
    /// Reads a header, unless there is none.
    pub(super) fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let ([_, mark, run, number, length], []) = bytes.as_chunks() else { return None };
        let [mark, run, number, length] = [mark, run, number, length].map(|field| u64::from_le_bytes(*field));
        (mark == MARK).then_some(Self { run, number, length })
    }
}

/// Whether a whole record, header and rows, is what was written.
pub(super) fn is_intact(record: &[u8]) -> bool {
    record.split_first_chunk().is_some_and(|(checksum, rest)| u64::from_le_bytes(*checksum) == xxh3_64(rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(rows: &[Row<'_>]) -> Vec<u8> {
        let mut buffer = Rows::default();
        rows.iter().for_each(|row| buffer.push(*row));
        buffer.seal(7, 3).to_vec()
    }

    #[test]
    fn a_record_says_where_it_belongs_and_holds_its_rows() {
        let rows = [Row::Head(1, b"head"), Row::Message(1, 2, b"text"), Row::Key(b"key", b"")];
        let record = record(&rows);
        let (header, payload) = record.split_first_chunk().unwrap();
        let length = payload.len() as u64;
        assert_eq!(Header::parse(header), Some(Header { run: 7, number: 3, length }));
        assert!(is_intact(&record));
        assert_eq!(Row::decode_all(payload).collect::<Option<Vec<_>>>().unwrap(), rows);
    }

    #[test]
    fn the_memory_of_a_batch_serves_the_next_one() {
        let mut rows = Rows::default();
        rows.push(Row::Head(1, b"a long row that is forgotten"));
        rows.seal(1, 1);
        rows.clear();
        rows.push(Row::Head(2, b"x"));
        assert_eq!(rows.seal(7, 3), record(&[Row::Head(2, b"x")]));
    }

    #[test]
    fn zeros_and_pieces_are_no_records() {
        assert_eq!(Header::parse(&[0; HEADER_BYTES]), None);
        assert!(!is_intact(&[0; HEADER_BYTES]));
        assert!(!is_intact(&[]));
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_noticed(place in 0..100_usize, bit in 0..8_u32) {
            let mut record = record(&[Row::Message(1, 2, b"the text of a message"), Row::Key(b"key", b"value")]);
            let place = place % record.len();
            record[place] ^= 1 << bit;
            prop_assert!(!is_intact(&record));
        }

        #[test]
        fn arbitrary_bytes_are_rows_or_none(bytes: Vec<u8>) {
            // It ends, and does not panic.
            prop_assert!(Row::decode_all(&bytes).count() <= bytes.len() + 1);
        }
    }
}
