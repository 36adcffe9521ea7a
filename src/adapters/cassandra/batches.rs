//! How many rows are written at once.

/// Rows of one batch.
const ROWS_MAX: usize = 64;
/// Bytes of the events of one batch. Below Cassandra's limit for one mutation (16 MiB) by far: a batch waits in
/// memory at each replica, and a replica has many.
const BYTES_MAX: usize = 256 << 10;

/// A row that is to be written.
pub(super) struct Sized<V> {
    /// The partition that it stands in.
    pub(super) partition: u64,
    /// How large it is.
    pub(super) bytes: usize,
    /// What is bound.
    pub(super) values: V,
}

/// Cuts rows into batches, in order: each within one partition and within the bounds, but never empty.
pub(super) fn batches<V>(rows: impl IntoIterator<Item = Sized<V>>) -> Vec<Vec<V>> {
    let mut batches: Vec<Vec<V>> = Vec::new();
    let (mut partition, mut bytes) = (None, 0_usize);
    for row in rows {
        let sum = bytes.saturating_add(row.bytes);
        match batches.last_mut() {
            Some(batch) if partition == Some(row.partition) && sum <= BYTES_MAX && batch.len() < ROWS_MAX => {
                bytes = sum;
                batch.push(row.values);
            }
            _ => {
                (partition, bytes) = (Some(row.partition), row.bytes);
                batches.push(vec![row.values]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(rows: impl IntoIterator<Item = (u64, usize)>) -> Vec<usize> {
        let rows = rows.into_iter().map(|(partition, bytes)| Sized { partition, bytes, values: partition });
        batches(rows).iter().map(Vec::len).collect()
    }

    #[test]
    fn a_batch_ends_at_its_rows_its_bytes_and_its_partition() {
        assert!(lengths([]).is_empty());
        assert_eq!(lengths((0..130).map(|_| (7, 1))), [64, 64, 2]);
        assert_eq!(lengths([(1, 1), (1, 1), (2, 1), (1, 1)]), [2, 1, 1]);
        assert_eq!(lengths([(1, BYTES_MAX), (1, 0), (1, 1), (1, BYTES_MAX - 1), (1, 1)]), [2, 2, 1]);
        assert_eq!(lengths([(1, 9 * BYTES_MAX), (1, 1)]), [1, 1], "a large row goes alone");
    }
}
