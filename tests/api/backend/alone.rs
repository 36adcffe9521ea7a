//! Each server alone, with a store of its own in its data folder.

/// How many nodes a test has.
pub(crate) const NODES: usize = 1;

/// Its store is its own: with few clients there is always room for a request.
pub(crate) const MAY_BE_BUSY: bool = false;

/// What a server is configured with beside what its test asks for.
pub(crate) fn settings() -> Vec<(String, String)> {
    Vec::new()
}
