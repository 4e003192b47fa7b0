//! Waiting for a place in a limited number of them, and how much of a deadline went into that.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};

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
    pub(crate) async fn place<'s>(&self, places: &'s Semaphore) -> Result<SemaphorePermit<'s>, AcquireError> {
        let place = places.acquire().await;
        _ = self.over.set(self.since.elapsed());
        place
    }

    /// Whether the wait, and not what came after it, used up most of this time.
    pub(crate) fn took_most_of(&self, limit: Duration) -> bool {
        self.over.get().is_none_or(|waited| *waited * 2 > limit)
    }
}
