use std::path::PathBuf;

use super::read::{Reader, Size};

/// Where the server keeps its data.
#[derive(Debug, Clone, PartialEq)]
pub struct Store {
    /// The data folder; made when it does not exist.
    pub data: PathBuf,
    /// Memory for pages of the store, in bytes.
    pub cache_bytes: u64,
    /// Space on the disk that stays free, in bytes.
    pub reserve_bytes: u64,
}

impl Store {
    pub(super) fn read(reader: &mut Reader) -> Self {
        const MIB: u64 = 1 << 20;
        reader.section("store", |section| Self {
            data: section.get("data", PathBuf::from("./data")),
            cache_bytes: section.within("cache_bytes", Size(64 * MIB), Size(MIB)..=Size(256 * 1024 * MIB)).0,
            reserve_bytes: section.within("reserve_bytes", Size(64 * MIB), Size(MIB)..=Size(1024 * 1024 * MIB)).0,
        })
    }
}
