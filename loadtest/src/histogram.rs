//! Histograms of latency on their way between processes and into files: as pairs of a value and how often it
//! was counted. A value falls into the same bucket again, so nothing is lost.

use hdrhistogram::Histogram;
use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

use crate::check::LATENCY_US_MAX;

/// Digits that are kept of a latency.
const DIGITS: u8 = 3;

/// An empty one.
///
/// # Errors
/// None in practice: the bounds are constants.
pub(crate) fn new() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, LATENCY_US_MAX, DIGITS)?)
}

/// The pairs, in ascending order.
pub(crate) fn pairs(histogram: &Histogram<u64>) -> Vec<(u64, u64)> {
    histogram.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
}

/// The histogram of such pairs.
///
/// # Errors
/// None in practice: as [`new`].
pub(crate) fn of_pairs(pairs: &[(u64, u64)]) -> anyhow::Result<Histogram<u64>> {
    let mut histogram = new()?;
    for (value, count) in pairs {
        histogram.saturating_record_n(*value, *count);
    }
    Ok(histogram)
}

pub(crate) fn serialize<S: Serializer>(histogram: &Histogram<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    pairs(histogram).serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Histogram<u64>, D::Error> {
    of_pairs(&Vec::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}
