//! What time it is for the server: the machine's time, or one that a test moves.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::message::Millis;

/// How the server's time passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClockMode {
    /// With the machine's, plus whatever it has been advanced by.
    #[default]
    Real,
    /// Only when advanced.
    Manual,
}

/// As far as the clock can be moved (some 35,000 years): sums with any interval of SQS stay within 64 bits.
const FAR_FUTURE: Millis = 1 << 50;

/// The server's clock.
#[derive(Debug)]
pub(super) struct Clock {
    mode: ClockMode,
    /// Monotonic: a step of the machine's clock must not make messages visible or lose them.
    started: Instant,
    started_at: Millis,
    advanced: Millis,
}

impl Clock {
    pub(super) fn new(mode: ClockMode) -> Clock {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { mode, started: Instant::now(), started_at: since_epoch.as_millis() as Millis, advanced: 0 }
    }

    pub(super) fn mode(&self) -> ClockMode {
        self.mode
    }

    pub(super) fn now(&self) -> Millis {
        let elapsed = match self.mode {
            ClockMode::Real => self.started.elapsed().as_millis() as Millis,
            ClockMode::Manual => 0,
        };
        self.started_at + elapsed + self.advanced
    }

    pub(super) fn advance(&mut self, by: Duration) {
        let by = Millis::try_from(by.as_millis()).unwrap_or(FAR_FUTURE);
        self.advanced = self.advanced.saturating_add(by).min(FAR_FUTURE);
    }
}
