//! The clock that lets an endless loop be stopped: while calls run, it makes the engine's epoch go on.

use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::Duration;

use wasmtime::Engine;

/// How long a call may keep the thread to itself. Everybody else waits that long at most; each tick costs a
/// wake-up, and only while calls run.
const TICK: Duration = Duration::from_millis(5);

/// A thread of its own: a loop in a component keeps the runtime's only thread from ticking. It starts with the first
/// call, sleeps while there are none, and ends with the clock.
pub(super) struct EpochClock {
    engine: Engine,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    calls: Mutex<Calls>,
    changed: Condvar,
}

#[derive(Default)]
struct Calls {
    running: usize,
    started: bool,
}

/// Keeps the clock going.
pub(super) struct Ticking(Arc<Shared>);

impl EpochClock {
    pub(super) fn new(engine: &Engine) -> Self {
        Self { engine: engine.clone(), shared: Arc::default() }
    }

    /// Lets the clock go on until the guard is dropped.
    pub(super) fn tick(&self) -> Ticking {
        let mut calls = self.shared.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.running += 1;
        if !calls.started {
            calls.started = true;
            let (engine, shared) = (self.engine.clone(), Arc::downgrade(&self.shared));
            std::thread::spawn(move || run(&engine, &shared));
        }
        if calls.running == 1 {
            self.shared.changed.notify_one();
        }
        Ticking(self.shared.clone())
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.calls.lock().unwrap_or_else(PoisonError::into_inner).running -= 1;
    }
}

fn run(engine: &Engine, shared: &Weak<Shared>) {
    while let Some(shared) = shared.upgrade() {
        let calls = shared.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.running == 0 {
            // Woken by the next call; from time to time, to see whether the clock is still there.
            drop(shared.changed.wait_timeout(calls, Duration::from_secs(60)));
            continue;
        }
        drop(calls);
        drop(shared);
        std::thread::sleep(TICK);
        engine.increment_epoch();
    }
}
