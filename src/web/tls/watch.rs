//! The certificate in use: read again when its files change, without a connection being dropped.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::identity::{Digest, Identity, IdentityFault, Pair};
use super::metrics::TlsMetrics;
use crate::config::TlsFiles;

/// How often the files are looked at. Certificates are renewed weeks before they end, so this is soon enough; and what
/// is read is two small files.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What new connections are encrypted with; shared by all threads.
#[derive(Clone)]
pub struct Certificates(Arc<Shared>);

struct Shared {
    config: RwLock<Arc<ServerConfig>>,
    files: TlsFiles,
    metrics: TlsMetrics,
}

/// What the files held when they were looked at: a change is told once.
pub struct Watch {
    certificates: Certificates,
    seen: Seen,
    /// Heard from the beginning: a node may wait for its services for long, and one that does not hear SIGHUP ends by it.
    hangup: Option<Signal>,
}

#[derive(PartialEq)]
enum Seen {
    /// A pair with this digest.
    Pair(Digest),
    /// They could not be read, for this reason.
    Not(String),
}

impl Certificates {
    /// Reads the files; [`Watch::run`] then keeps to them. Needs a runtime, which hears of signals.
    ///
    /// # Errors
    /// [`IdentityFault`].
    pub fn load(files: TlsFiles, metrics: TlsMetrics) -> Result<(Self, Watch), IdentityFault> {
        let pair = Pair::read(&files)?;
        let identity = Identity::new(&files, &pair)?;
        metrics.not_after.set(identity.not_after.as_second());
        let shared = Shared { config: RwLock::new(identity.config), files, metrics };
        let certificates = Self(Arc::new(shared));
        let hangup = signal(SignalKind::hangup()).ok();
        if hangup.is_none() {
            tracing::warn!("SIGHUP cannot be listened to; certificates are read again by themselves all the same");
        }
        Ok((certificates.clone(), Watch { certificates, seen: Seen::Pair(pair.digest()), hangup }))
    }

    /// For a connection that begins now.
    pub(super) fn current(&self) -> Arc<ServerConfig> {
        self.0.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, identity: Identity) {
        *self.0.config.write().unwrap_or_else(PoisonError::into_inner) = identity.config;
        self.0.metrics.not_after.set(identity.not_after.as_second());
        self.0.metrics.refused.set(0);
        self.0.metrics.reloads.inc();
        tracing::info!(not_after = %identity.not_after, "the certificate was replaced");
    }

    fn refuse(&self, fault: &IdentityFault) {
        self.0.metrics.refused.set(1);
        tracing::warn!(error = %fault, "the new certificate cannot be used; the one before is used on");
    }
}

impl Watch {
    /// Looks at the files again and again, and at once on SIGHUP. Ends only by being dropped.
    pub async fn run(mut self) {
        loop {
            let told = async {
                match &mut self.hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            // Whichever it is: the files are looked at.
            let _ = tokio::time::timeout(LOOK_EVERY, told).await;
            self = match tokio::task::spawn_blocking(move || self.look()).await {
                Ok(watch) => watch,
                Err(error) => return tracing::error!(error = %error, "certificates are no longer looked at"),
            };
        }
    }

    /// Looks at the files. A pair that cannot be used changes nothing: while one file is new and the other is not yet,
    /// the next look finds both.
    fn look(mut self) -> Self {
        let files = &self.certificates.0.files;
        let (seen, pair) = match Pair::read(files) {
            Ok(pair) => (Seen::Pair(pair.digest()), Ok(pair)),
            Err(fault) => (Seen::Not(fault.to_string()), Err(fault)),
        };
        if seen != self.seen {
            match pair.and_then(|pair| Identity::new(files, &pair)) {
                Ok(identity) => self.certificates.replace(identity),
                Err(fault) => self.certificates.refuse(&fault),
            }
            self.seen = seen;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;
    use rcgen::generate_simple_self_signed;
    use tokio::time::Instant;

    use super::*;

    fn write(files: &TlsFiles) {
        let made = generate_simple_self_signed(["chat.example.org".to_owned()]).unwrap();
        std::fs::write(&files.certificate, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn files_that_change_are_taken_without_a_signal_and_bad_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let files = TlsFiles { certificate: folder.path().join("crt"), key: folder.path().join("key") };
        write(&files);
        let metrics = TlsMetrics::register(&mut Registry::default());
        let (certificates, watch) = Certificates::load(files.clone(), metrics.clone()).unwrap();
        let first = certificates.current();
        let watching = tokio::spawn(watch.run());
        let until = async |what: &dyn Fn() -> bool| {
            let since = Instant::now();
            while !what() {
                tokio::time::sleep(Duration::from_secs(1)).await;
                assert!(since.elapsed() <= LOOK_EVERY * 2, "it was not looked at");
            }
        };
        tokio::time::sleep(LOOK_EVERY * 3).await;
        assert!(Arc::ptr_eq(&first, &certificates.current()), "what did not change is not made anew");
        write(&files);
        until(&|| metrics.reloads.get() == 1).await;
        let second = certificates.current();
        assert!(!Arc::ptr_eq(&first, &second));
        std::fs::write(&files.key, "nothing").unwrap();
        until(&|| metrics.refused.get() == 1).await;
        tokio::time::sleep(LOOK_EVERY * 3).await;
        assert!(Arc::ptr_eq(&second, &certificates.current()));
        write(&files);
        until(&|| metrics.reloads.get() == 2).await;
        assert_eq!(metrics.refused.get(), 0);
        watching.abort();
    }
}
