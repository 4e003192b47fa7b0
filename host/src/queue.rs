//! What a deadline goes into: waiting for a place in a limited number of them, or for the audit log.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// The wait of one call or request.
pub(crate) struct Wait {
    since: Instant,
    over: OnceLock<Duration>,
    for_log: AtomicBool,
}

impl Wait {
    pub(crate) fn new() -> Self {
        Self { since: Instant::now(), over: OnceLock::new(), for_log: AtomicBool::new(false) }
    }

    /// Waits for a place.
    pub(crate) async fn place(&self, places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, AcquireError> {
        let place = places.clone().acquire_owned().await;
        _ = self.over.set(self.since.elapsed());
        place
    }

    /// Waits until something is on record.
    pub(crate) async fn for_log<T>(&self, recorded: impl Future<Output = T>) -> T {
        self.for_log.store(true, Ordering::Relaxed);
        let recorded = recorded.await;
        self.for_log.store(false, Ordering::Relaxed);
        recorded
    }

    /// Whether it still waits for that.
    pub(crate) fn is_for_log(&self) -> bool {
        self.for_log.load(Ordering::Relaxed)
    }

    /// Whether the wait, and not what came after it, used up most of this time.
    pub(crate) fn took_most_of(&self, limit: Duration) -> bool {
        self.over.get().is_none_or(|waited| *waited * 2 > limit)
    }
}
