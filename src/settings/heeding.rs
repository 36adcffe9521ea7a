use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bobchat_actors::Core;
use bobchat_actors::ports::{SettingsReport, Unavailable};
use bobchat_proto::record::SettingsVersion;

use super::change::{Author, ChangeError, Good, Wish};
use super::view::{StatusView, VersionView};
use super::{Settings, SettingsMetrics};
use crate::config::{Config, Faults};

/// How often a node reads which version is the newest, whatever it hears: a notice that is lost costs this, and every
/// node has a change within 5 s. One row of one partition each time.
pub const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How soon a notice is followed: what several say is read once.
const LOOK_AFTER: Duration = Duration::from_millis(50);

/// How long the answers of other nodes are waited for.
const STATUS_DEADLINE: Duration = Duration::from_secs(2);

/// What a node says of why it refused a version: as much as a person reads.
const FAULTS_TOLD_MAX: usize = 10;
const FAULT_LETTERS_MAX: usize = 200;

/// Has a configuration hold in a running node, which cannot fail: it was judged before.
pub type Effects = Box<dyn Fn(&Config) + Send + Sync>;

/// A running node that goes by the settings: it applies the newest version that is good for it, and says which.
///
/// While the store does not answer, what was applied last goes on to hold.
pub struct Heeding {
    settings: Settings,
    core: Arc<Core>,
    effects: Effects,
    metrics: SettingsMetrics,
    /// What was judged last. Held while a version is applied, so that two looks do not apply two versions at once.
    judged: tokio::sync::Mutex<Option<Judged>>,
    /// Whether the operator was told that the store does not answer.
    is_away: Mutex<bool>,
}

/// What came of a look.
#[derive(Debug, Clone, Copy)]
struct Judged {
    /// The newest version.
    newest: Identity,
    /// The one that holds.
    holds: Identity,
}

/// Which version it is: by number and token, for a store that was restored may have others of the same numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity(Option<(u64, u64)>);

impl Identity {
    fn of(version: Option<&SettingsVersion>) -> Self {
        Self(version.map(|version| (version.number, version.token)))
    }

    fn number(self) -> u64 {
        self.0.map_or(0, |(number, _)| number)
    }
}

impl Heeding {
    /// Goes by these settings; nothing is read yet.
    #[must_use]
    pub fn new(settings: Settings, core: Arc<Core>, effects: Effects, metrics: SettingsMetrics) -> Arc<Self> {
        let (judged, is_away) = (tokio::sync::Mutex::default(), Mutex::default());
        let heeding = Self { settings, core, effects, metrics, judged, is_away };
        heeding.tell(|report| report.unheeded = !heeding.heeds());
        Arc::new(heeding)
    }

    /// The settings, for operators.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    fn heeds(&self) -> bool {
        self.settings.layers().own().server.live_settings
    }

    /// Reads the newest version, and unless it was judged before applies the newest one that is good for this node.
    ///
    /// # Errors
    /// [`Unavailable`]: what holds goes on to hold.
    pub async fn look(&self) -> Result<(), Unavailable> {
        if !self.heeds() {
            return Ok(());
        }
        let mut judged = self.judged.lock().await;
        let newest = self.settings.newest().await?;
        let now = self.settings.now_micros();
        #[expect(clippy::cast_precision_loss, reason = "a time in seconds need not be exact to the microsecond")]
        self.metrics.looked_at.set(now as f64 / 1e6);
        self.tell(|report| report.looked_at = now);
        let this = Identity::of(newest.as_ref());
        if judged.is_none_or(|judged| judged.newest != this) {
            let good = self.settings.good(newest).await?;
            let holds = Identity::of(good.version.as_ref());
            self.go_by(this.number(), good, judged.is_none_or(|judged| judged.holds != holds));
            *judged = Some(Judged { newest: this, holds });
        }
        Ok(())
    }

    /// Keeps looking, for as long as it is polled: when another node says that something changed, and without.
    pub async fn tend(&self) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = self.core.settings.wait_for_change() => tokio::time::sleep(LOOK_AFTER).await,
            }
            let looked = self.look().await;
            self.note_outage(looked.err());
        }
    }

    /// Changes settings, applies them here and tells the other nodes.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn change(
        &self,
        wish: Wish,
        if_version: Option<u64>,
        author: Author,
    ) -> Result<VersionView, ChangeError> {
        let made = self.settings.change(wish, if_version, author).await?;
        self.spread().await;
        Ok(made)
    }

    /// Brings back earlier settings; see [`Settings::roll_back`].
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn roll_back(
        &self,
        to: Option<u64>,
        if_version: Option<u64>,
        author: Author,
    ) -> Result<VersionView, ChangeError> {
        let made = self.settings.roll_back(to, if_version, author).await?;
        self.spread().await;
        Ok(made)
    }

    /// Which settings hold at each node.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn status(&self) -> Result<StatusView, Unavailable> {
        let newest = self.settings.newest().await?.map_or(0, |version| version.number);
        let nodes = self.core.settings_of_all_nodes(STATUS_DEADLINE).await;
        Ok(StatusView { version: newest, nodes: nodes.into_iter().map(Into::into).collect() })
    }

    async fn spread(&self) {
        // At once: with Redis away it takes its time to say so.
        let ((), looked) = tokio::join!(self.core.tell_settings_changed(), self.look());
        self.note_outage(looked.err());
    }

    /// Has a version hold unless it does already, and says what is wrong with the newest where that is another one.
    fn go_by(&self, newest: u64, good: Good, is_other: bool) {
        let Good { version, read, faults } = good;
        let number = version.map_or(0, |version| version.number);
        if is_other {
            self.apply(number, &read.config, &read.ignored);
        }
        let (refused, faults) = match faults {
            None => (None, Vec::new()),
            Some(faults) => (Some(newest), self.refuse(newest, number, &faults)),
        };
        self.tell(|report| {
            (report.version, report.ignored) = (number, read.ignored);
            (report.refused, report.faults) = (refused, faults);
        });
    }

    fn apply(&self, number: u64, config: &Config, ignored: &[String]) {
        (self.effects)(config);
        if !ignored.is_empty() {
            let keys = ignored.join(", ");
            tracing::warn!(settings.version = number, keys, "settings that this program does not know are left out");
        }
        tracing::info!(settings.version = number, "settings hold");
        self.metrics.version.set(i64::try_from(number).unwrap_or(i64::MAX));
        self.metrics.ignored.set(i64::try_from(ignored.len()).unwrap_or(i64::MAX));
    }

    /// Tells the operator that the newest version does not hold here, and gives what is told of it to who asks.
    fn refuse(&self, newest: u64, holds: u64, faults: &Faults) -> Vec<String> {
        let told = faults.0.iter().map(|fault| fault.to_string().chars().take(FAULT_LETTERS_MAX).collect());
        let told: Vec<String> = told.take(FAULTS_TOLD_MAX).collect();
        let error = told.join("; ");
        tracing::error!(
            settings.version = newest,
            settings.holds = holds,
            error,
            "settings are wrong for this node: the newest that are good for it hold"
        );
        self.metrics.refusals.inc();
        told
    }

    fn tell(&self, change: impl FnOnce(&mut SettingsReport)) {
        let news = &self.core.settings;
        let mut report = news.report();
        change(&mut report);
        news.set_report(report);
    }

    /// Says once that the store does not answer, and once that it does again.
    fn note_outage(&self, error: Option<Unavailable>) {
        let mut is_away = self.away();
        match (&error, *is_away) {
            (Some(error), false) => tracing::warn!(error = %error, "could not read settings: the last good ones hold"),
            (None, true) => tracing::info!("settings can be read again"),
            _ => {}
        }
        *is_away = error.is_some();
    }

    fn away(&self) -> MutexGuard<'_, bool> {
        self.is_away.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
