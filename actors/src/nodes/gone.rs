use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bobchat_proto::ids::DeviceId;
use tokio::time::Instant;

use crate::ports::SignedOutDevice;

/// How long a device that signed out is remembered: longer than a token takes to be judged, for it may have been
/// found good just before.
const REMEMBERED_FOR: Duration = Duration::from_secs(30);

/// Devices that are remembered; what is beyond is as if it had been judged quickly.
const DEVICES_MAX: usize = 10_000;

/// Devices that signed out just now. A device never signs in again under the same identifier.
#[derive(Debug, Default)]
pub(crate) struct GoneDevices(Mutex<Gone>);

#[derive(Debug, Default)]
struct Gone {
    /// In the order in which they signed out.
    since: VecDeque<(Instant, DeviceId)>,
    devices: HashSet<DeviceId>,
}

impl Gone {
    fn forget_old(&mut self) {
        while let Some((since, device)) = self.since.front().copied()
            && since.elapsed() >= REMEMBERED_FOR
        {
            self.since.pop_front();
            self.devices.remove(&device);
        }
    }
}

impl GoneDevices {
    pub(crate) fn add(&self, who: SignedOutDevice) {
        let Some(device) = who.device else { return };
        let mut gone = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gone.forget_old();
        if gone.devices.len() < DEVICES_MAX && gone.devices.insert(device) {
            gone.since.push_back((Instant::now(), device));
        }
    }

    pub(crate) fn has(&self, device: Option<DeviceId>) -> bool {
        let mut gone = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gone.forget_old();
        device.is_some_and(|device| gone.devices.contains(&device))
    }
}

#[cfg(test)]
mod tests {
    use bobchat_proto::ids::UserId;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_device_is_remembered_for_a_while_and_no_more_than_may() {
        let gone = GoneDevices::default();
        let user = UserId::new(1).unwrap();
        (1..=2 * DEVICES_MAX as u64).for_each(|id| gone.add(SignedOutDevice { user, device: DeviceId::new(id).ok() }));
        assert_eq!(gone.0.lock().unwrap().devices.len(), DEVICES_MAX);
        assert!(gone.has(DeviceId::new(1).ok()) && !gone.has(None));
        tokio::time::advance(REMEMBERED_FOR).await;
        assert!(!gone.has(DeviceId::new(1).ok()));
        gone.add(SignedOutDevice { user, device: DeviceId::new(9).ok() });
        assert_eq!(gone.0.lock().unwrap().devices.len(), 1);
    }
}
