//! Each server alone, with a store of its own in its data folder.

/// How many nodes a test has.
pub(crate) const NODES: usize = 1;

/// What a server is configured with beside what its test asks for.
pub(crate) fn settings() -> Vec<(String, String)> {
    Vec::new()
}
