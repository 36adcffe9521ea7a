//! Each server alone, with a store of its own in its data folder.

/// What a server is configured with beside what its test asks for.
pub(crate) fn settings() -> Vec<(String, String)> {
    Vec::new()
}
