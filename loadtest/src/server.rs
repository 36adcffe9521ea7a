//! What a server is compared with: the floor under it and the baseline that tutorials teach.

pub(crate) mod baseline;
pub(crate) mod floor;
pub(crate) mod store;
