use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::ports::SettingsReport;

/// What other nodes hear of this one's settings, and what this one hears of theirs. What settings are about, who reads
/// them and what they change is known outside: [`Core::set_options`](crate::Core::set_options) is one of their ends.
#[derive(Debug, Default)]
pub struct SettingsNews {
    report: Mutex<SettingsReport>,
    changed: Notify,
}

impl SettingsNews {
    /// What this node tells who asks.
    pub fn report(&self) -> SettingsReport {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has it tell something else.
    pub fn set_report(&self, report: SettingsReport) {
        *self.report.lock().unwrap_or_else(PoisonError::into_inner) = report;
    }

    /// Ends when another node has said that settings changed, also since the last call. Any number of times counts
    /// as one.
    pub async fn wait_for_change(&self) {
        self.changed.notified().await;
    }

    pub(crate) fn changed(&self) {
        self.changed.notify_one();
    }
}
