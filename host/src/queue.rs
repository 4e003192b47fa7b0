//! Waiting for a place in a limited number of them, and how much of a deadline went into that.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// The wait of one call or request.
pub(crate) struct Wait {
    since: Instant,
    over: OnceLock<Duration>,
}

impl Wait {
    pub(crate) fn new() -> Self {
        Self { since: Instant::now(), over: OnceLock::new() }
    }

    /// Waits for a place.
    pub(crate) async fn place(&self, places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, AcquireError> {
        let place = places.clone().acquire_owned().await;
        _ = self.over.set(self.since.elapsed());
        place
    }

    /// Whether the wait, and not what came after it, used up most of this time.
    pub(crate) fn took_most_of(&self, limit: Duration) -> bool {
        self.over.get().is_none_or(|waited| *waited * 2 > limit)
    }
}
