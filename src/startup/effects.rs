//! What settings change in a running node: everything that [`LIVE_KEYS`](crate::config::LIVE_KEYS) name.

use std::sync::Arc;

use bobchat_actors::Core;

use super::options;
use crate::auth;
use crate::settings::Effects;
use crate::telemetry::Controls;
use crate::web::public::Public;

/// Has a configuration hold in these parts of a node.
pub(super) fn effects(core: Arc<Core>, auth: Arc<auth::Service>, public: Public, telemetry: Controls) -> Effects {
    Box::new(move |config| {
        core.set_options(&options::core(&config.limits));
        auth.set_guests(config.auth.guests);
        public.set_limits(&config.limits);
        telemetry.set(&config.telemetry);
    })
}
