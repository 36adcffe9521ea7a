//! The clock of a run, and waits that are exact to some ten microseconds: tokio's timers count in
//! milliseconds, which would stand in every latency.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant, SystemTime};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;

/// Nanoseconds since the run began.
pub(crate) type Nanos = u64;

/// The clock of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// Starts at 0.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// The time of the run.
    pub(crate) fn now(self) -> Nanos {
        nanos(self.0.elapsed())
    }
}

/// The time of day in microseconds since 1970.
pub(crate) fn wall_micros() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// A duration in nanoseconds.
pub(crate) fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds as whole microseconds.
pub(crate) const fn micros(nanos: Nanos) -> u64 {
    nanos / 1_000
}

/// Waits for moments of a run, by a timer of the kernel.
pub(crate) struct Waiter {
    clock: Clock,
    timer: AsyncFd<OwnedFd>,
}

impl Waiter {
    /// A waiter on `clock`. Inside a runtime only.
    ///
    /// # Errors
    /// When the kernel gives no timer.
    pub(crate) fn new(clock: Clock) -> anyhow::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        #[expect(deprecated, reason = "it is deprecated for descriptors that close early; an OwnedFd does not")]
        let timer = AsyncFd::new(timer)?;
        Ok(Self { clock, timer })
    }

    /// Returns at `moment`, or lets others run once and returns when it is past.
    ///
    /// # Errors
    /// When the kernel refuses the timer.
    pub(crate) async fn until(&self, moment: Nanos) -> anyhow::Result<()> {
        let wait = moment.saturating_sub(self.clock.now());
        if wait == 0 {
            tokio::task::yield_now().await;
            return Ok(());
        }
        let nanosecond = 1_000_000_000;
        let it_value = Timespec {
            tv_sec: i64::try_from(wait / nanosecond).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(wait % nanosecond).unwrap_or_default(),
        };
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval, it_value })?;
        let mut ready = self.timer.readable().await?;
        let mut expirations = [0; 8];
        rustix::io::read(&self.timer, &mut expirations)?;
        ready.clear_ready();
        Ok(())
    }
}
