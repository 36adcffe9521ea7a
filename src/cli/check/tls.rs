use jiff::{SignedDuration, Timestamp};

use super::finding::Finding;

/// Whoever renews by themselves does it earlier: certbot 30 days before the end, cert-manager when a third is left.
const ENDS_SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Says of a certificate whether it is good now.
pub(super) fn judge(not_after: Timestamp, now: Timestamp) -> Finding {
    let what = |ends: &str| format!("server.tls_certificate: {ends} {}", not_after.strftime("%Y-%m-%d %H:%M UTC"));
    match not_after.duration_since(now) {
        left if left <= SignedDuration::ZERO => {
            Finding::bad(what("ended"), "no client comes in; renew it, and put the new one in its place")
        }
        left if left < ENDS_SOON => {
            Finding::warning(what("ends"), "renew it; a running server takes the new one by itself")
        }
        _ => Finding::good(what("ends")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_good_then_warned_of_then_bad() {
        let end: Timestamp = "2027-03-31T00:00:00Z".parse().unwrap();
        let before = |days: i64| judge(end, end - SignedDuration::from_hours(days * 24)).to_string();
        assert_eq!(before(15), "good     server.tls_certificate: ends 2027-03-31 00:00 UTC");
        assert!(before(13).starts_with("warning  server.tls_certificate: ends"), "{}", before(13));
        assert!(before(0).starts_with("BAD      server.tls_certificate: ended"), "{}", before(0));
    }
}
