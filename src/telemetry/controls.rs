use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::filter::Targets;
use tracing_subscriber::reload;

use super::export::SampleRatio;
use super::log_filter;
use crate::config;

/// Puts another filter before the log; says when nobody writes a log any more.
type SetFilter = dyn Fn(Targets) -> Result<(), reload::Error> + Send + Sync;

/// What can be changed of telemetry while it runs. Without any running (tests start many nodes in one process) it
/// changes nothing.
#[derive(Clone, Default)]
pub struct Controls {
    /// The filter that holds, so that setting the same again costs nothing: a change makes every place that logs ask
    /// anew.
    filter: Arc<Mutex<String>>,
    set_filter: Option<Arc<SetFilter>>,
    ratio: Option<Arc<SampleRatio>>,
}

impl fmt::Debug for Controls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Controls").field("filter", &self.filter).field("ratio", &self.ratio).finish_non_exhaustive()
    }
}

impl Controls {
    pub(super) fn over(config: &config::Telemetry, ratio: Arc<SampleRatio>) -> Self {
        ratio.set(config.trace_sample_ratio);
        Self { filter: Arc::new(Mutex::new(config.log_filter.clone())), set_filter: None, ratio: Some(ratio) }
    }

    /// A filter for the log's layer that can be changed.
    pub(super) fn filter<S: 'static>(&mut self, filter: Targets) -> reload::Layer<Targets, S> {
        let (filter, handle) = reload::Layer::new(filter);
        self.set_filter = Some(Arc::new(move |filter| handle.reload(filter)));
        filter
    }

    /// Has the filter of the log and the share of traced requests hold that are configured.
    pub fn set(&self, config: &config::Telemetry) {
        if let Some(ratio) = &self.ratio {
            ratio.set(config.trace_sample_ratio);
        }
        let Some(set_filter) = &self.set_filter else { return };
        let mut holds = self.filter.lock().unwrap_or_else(PoisonError::into_inner);
        if *holds == config.log_filter {
            return;
        }
        match set_filter(log_filter(&config.log_filter)) {
            Ok(()) => config.log_filter.clone_into(&mut holds),
            Err(error) => tracing::error!(error = %error, "could not change the filter of the log"),
        }
    }
}
