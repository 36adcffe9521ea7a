use jiff::{SignedDuration, Timestamp};

use super::finding::Finding;
use crate::config::Config;
use crate::pem;

/// Whoever renews by themselves does it earlier: certbot 30 days before the end, cert-manager when a third is left.
const ENDS_SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// A certificate of the configuration, and what to do when it ends.
struct Certificate {
    /// Where it stands in the configuration.
    key: &'static str,
    /// What is not possible without it.
    stops: &'static str,
    /// How a new one is taken.
    renewal: &'static str,
}

const OF_LISTENER: Certificate = Certificate {
    key: "server.tls_certificate",
    stops: "no client comes in",
    renewal: "a running server takes the new one by itself",
};

const fn of_client(key: &'static str) -> Certificate {
    Certificate { key, stops: "the service lets nobody in", renewal: "a new one is taken when the node is restarted" }
}

/// Says of the listener's certificate whether it is good now.
pub(super) fn judge_listener(not_after: Timestamp, now: Timestamp) -> Finding {
    judge(&OF_LISTENER, not_after, now)
}

/// The same of those that services are shown. Of files that cannot be used the services say it.
pub(super) fn judge_clients(config: &Config, now: Timestamp) -> Vec<Finding> {
    let cluster = config.cluster.as_ref();
    let shown = [
        ("redis.client_certificate", cluster.and_then(|cluster| cluster.redis.identity.as_ref())),
        ("cassandra.client_certificate", cluster.and_then(|cluster| cluster.cassandra.identity.as_ref())),
        ("telemetry.otlp_client_certificate", config.telemetry.otlp_identity.as_ref()),
    ];
    let not_after = |files| pem::identity(files).ok().and_then(|(chain, _)| pem::not_after(chain.first()?));
    let judged = shown.into_iter().filter_map(|(key, files)| Some(judge(&of_client(key), not_after(files?)?, now)));
    judged.collect()
}

fn judge(certificate: &Certificate, not_after: Timestamp, now: Timestamp) -> Finding {
    let Certificate { key, stops, renewal } = certificate;
    let what = |ends: &str| format!("{key}: {ends} {}", not_after.strftime("%Y-%m-%d %H:%M UTC"));
    match not_after.duration_since(now) {
        left if left <= SignedDuration::ZERO => Finding::bad(what("ended"), format!("{stops}; renew it, {renewal}")),
        left if left < ENDS_SOON => Finding::warning(what("ends"), format!("renew it; {renewal}")),
        _ => Finding::good(what("ends")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_good_then_warned_of_then_bad() {
        let end: Timestamp = "2027-03-31T00:00:00Z".parse().unwrap();
        let before = |days: i64| judge_listener(end, end - SignedDuration::from_hours(days * 24)).to_string();
        assert_eq!(before(15), "good     server.tls_certificate: ends 2027-03-31 00:00 UTC");
        assert!(before(13).starts_with("warning  server.tls_certificate: ends"), "{}", before(13));
        assert!(before(0).starts_with("BAD      server.tls_certificate: ended"), "{}", before(0));
    }
}
