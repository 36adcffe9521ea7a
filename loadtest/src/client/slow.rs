//! Reading slowly on purpose: what a phone in a tunnel does to a server.

use std::time::Duration;

use bobchat_proto::error::CloseCode;

use super::seat::Reading;
use super::shared::Shared;

/// How often a slow reader reads a little.
const SIP_EVERY: Duration = Duration::from_millis(100);

/// Waits as long as a reader of this kind does before it reads, and says how much it reads then. In the end, when
/// all are to have everything, nobody is slow any more.
pub(super) async fn pause(reading: Reading, shared: &Shared) -> usize {
    match reading {
        Reading::Slow(bytes_per_second) if !shared.hurry.get() => {
            tokio::time::sleep(SIP_EVERY).await;
            (bytes_per_second as f64 * SIP_EVERY.as_secs_f64()).ceil().max(1.0) as usize
        }
        _ => usize::MAX,
    }
}

/// Whether this code says that the reader was too slow.
pub(super) fn is_told_so(code: u16) -> bool {
    code == CloseCode::SlowConsumer.code()
}

/// Whether a server may close a slow reader with this code: too much waits for it, or its pongs did not come
/// because it had not read the pings.
pub(super) fn is_expected(code: u16) -> bool {
    [CloseCode::SlowConsumer, CloseCode::Silent].iter().any(|close| close.code() == code)
}
