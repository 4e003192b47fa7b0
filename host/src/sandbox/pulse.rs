//! A timer that stands while calls come in.
//!
//! Every call and every request has a deadline. To set a timer that would be the first one to go off wakes the runtime,
//! even from within its only thread: a write to the system for each. Behind this one, they are set without.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Shorter than any limit (those are whole seconds), so that it stands before all of them for most of its time.
const BEAT: Duration = Duration::from_millis(900);

/// The timer, and how many calls there were.
#[derive(Default)]
pub(super) struct Pulse(Arc<Shared>);

#[derive(Default)]
struct Shared {
    calls: AtomicU64,
    beating: AtomicBool,
}

impl Pulse {
    /// Counts a call: its number. The timer stands from now on, until no call has come in between two beats.
    pub(super) fn count(&self) -> u64 {
        let number = self.0.calls.fetch_add(1, Ordering::Relaxed);
        if !self.0.beating.swap(true, Ordering::Relaxed) {
            tokio::spawn(beat(self.0.clone()));
        }
        number
    }
}

async fn beat(shared: Arc<Shared>) {
    loop {
        let calls = shared.calls.load(Ordering::Relaxed);
        tokio::time::sleep(BEAT).await;
        if shared.calls.load(Ordering::Relaxed) == calls {
            break;
        }
    }
    shared.beating.store(false, Ordering::Relaxed);
}
