//! Durations of the same thing, measured often.

use std::time::Duration;

/// Measured durations, in order.
#[derive(Clone, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    /// What half of them stay below.
    pub(crate) fn p50(&self) -> Duration {
        self.percentile(50)
    }

    /// What 95 of 100 stay below.
    pub(crate) fn p95(&self) -> Duration {
        self.percentile(95)
    }

    fn percentile(&self, percent: usize) -> Duration {
        let at = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
        self.0.get(at).copied().unwrap_or_default()
    }

    /// Adds further ones.
    pub(crate) fn add(&mut self, more: impl IntoIterator<Item = Duration>) {
        self.0.extend(more);
        self.0.sort_unstable();
    }
}

impl FromIterator<Duration> for Samples {
    fn from_iter<I: IntoIterator<Item = Duration>>(durations: I) -> Self {
        let mut samples = Self::default();
        samples.add(durations);
        samples
    }
}

/// In milliseconds.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
