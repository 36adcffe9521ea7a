//! Durations and sizes as people write them: a whole number and a unit.

use std::time::Duration;

/// Units of time, largest first, in milliseconds.
const DURATIONS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Units of size, largest first, in bytes.
const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads "30s", "15m", "500ms".
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    parse(text, &DURATIONS).map(Duration::from_millis)
}

/// Reads "64KiB", "1GiB", "512B".
pub(super) fn parse_size(text: &str) -> Option<u64> {
    parse(text, &SIZES)
}

/// Writes a duration in the largest unit that fits it whole.
pub(super) fn show_duration(duration: Duration) -> String {
    show(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), &DURATIONS, "ms")
}

/// Writes a size in the largest unit that fits it whole.
pub(super) fn show_size(bytes: u64) -> String {
    show(bytes, &SIZES, "B")
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn show(amount: u64, units: &[(&str, u64)], smallest: &str) -> String {
    let whole = units.iter().find(|(_, factor)| amount >= *factor && amount.is_multiple_of(*factor));
    let (unit, factor) = whole.copied().unwrap_or((smallest, 1));
    format!("{}{unit}", amount.checked_div(factor).unwrap_or(amount))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read_as_they_are_written() {
        for text in ["0ms", "1ms", "1500ms", "30s", "15m", "24h", "30d"] {
            let duration = parse_duration(text).expect(text);
            assert_eq!(parse_duration(&show_duration(duration)), Some(duration), "{text}");
        }
        for text in ["0B", "1000B", "64KiB", "1MiB", "3GiB"] {
            assert_eq!(show_size(parse_size(text).expect(text)), text);
        }
        assert_eq!(show_duration(Duration::from_secs(24 * 3600)), "1d");
        assert_eq!(parse_size("64 KiB"), Some(65_536));
    }

    #[test]
    fn what_has_no_unit_or_a_foreign_one_is_not_guessed_at() {
        for text in ["", "30", "s", "-1s", "1.5s", "30 sec", "1w", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(parse_duration(text), None, "{text:?}");
        }
        for text in ["", "64", "64KB", "64k", "KiB", "1TiB", "99999999999GiB"] {
            assert_eq!(parse_size(text), None, "{text:?}");
        }
    }
}
