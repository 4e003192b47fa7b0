//! Who writes next, while another process has the file: one after the other, and everybody else goes on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;
use tokio::runtime::Handle;

use super::chain::{Busy, Head, LOCK_EVERY};
use super::session::{Session, note_the_time, tells_what_happened};
use crate::log;

/// How long to wait for another process that writes a record: it takes far less than a millisecond, or as long as a slow
/// disk needs with `--audit-sync`. Whoever holds the file longer was stopped, and would stop everybody else. With several
/// busy processes a record may wait longer, for as long as this one has its turn now and then.
pub(super) const LOCK_WITHIN: Duration = Duration::from_secs(3);

/// How long to wait for it at the end of a session, which clients give 2 seconds, and calls in flight have had theirs.
const LOCK_AT_THE_END: Duration = Duration::from_millis(300);

/// How long what is held waits for the file before it lets others have their turn.
const HELD_TURN: Duration = Duration::from_millis(20);

/// How much of what is held is written in one turn: with a slow disk each record takes a while.
const HELD_AT_ONCE: usize = 16;

/// When to try again to write what is held, once that has failed for as long as a record waits, or for another reason.
const HELD_AGAIN: Duration = Duration::from_secs(1);

/// A session whose records are written in turns.
pub(super) struct Turns {
    session: Mutex<Session>,
    /// Whoever waits for the file; the others wait for their turn, in their order.
    turn: tokio::sync::Mutex<()>,
}

impl Turns {
    pub(super) fn new(session: Session) -> Arc<Self> {
        Arc::new(Self { session: Mutex::new(session), turn: tokio::sync::Mutex::default() })
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until when to wait for the file, if it has been since then.
    fn until(&self, since: Instant) -> Instant {
        self.session().written_since(since) + LOCK_WITHIN
    }

    pub(super) async fn record(self: &Arc<Self>, kind: &'static str, fields: Value) -> Result<Head> {
        let since = Instant::now();
        let mut pending = Pending { turns: self, kind, fields, written: false };
        let _turn = match self.turn.try_lock() {
            Ok(turn) => turn,
            Err(_) => {
                pending.is_late();
                self.turn.lock().await
            }
        };
        loop {
            match pending.write() {
                Err(error) if error.is::<Busy>() && Instant::now() < self.until(since) => {
                    self.lock_ahead(self.until(since)).await;
                }
                recorded => return recorded,
            }
        }
    }

    pub(super) fn record_at_once(self: &Arc<Self>, kind: &'static str, fields: Value) {
        let mut pending = Pending { turns: self, kind, fields, written: false };
        // Whoever has the turn, if somebody has, waits for the file.
        let Ok(_turn) = self.turn.try_lock() else { return };
        match pending.write() {
            Err(error) if !error.is::<Busy>() => log::warn(&format!("{kind} is not on record yet: {error:#}")),
            _ => {}
        }
    }

    pub(super) fn record_at_the_start(&self, kind: &str, fields: &Value) -> Result<Head> {
        self.session().record(kind, fields, Instant::now() + LOCK_WITHIN)
    }

    pub(super) fn end(&self) {
        let until = Instant::now() + LOCK_AT_THE_END;
        let mut session = self.session();
        let mut ended = Ok(());
        while ended.is_ok() && session.held() > 0 && Instant::now() < until {
            ended = session.write_held(until, 1);
        }
        if session.held() == 0 {
            ended = session.record("session.end", &Value::Null, until).map(drop);
        } else if ended.is_ok() {
            ended = Err(anyhow::anyhow!("writing takes too long"));
        }
        if let Err(error) = ended {
            let held = session.held();
            let lost = if held > 0 { format!(", nor are {held} records before it") } else { String::new() };
            log::warn(&format!("the end of the session is not on record{lost}: {error:#}"));
        }
    }

    /// Holds a record of what has happened, and sees to it that it is written.
    pub(super) fn hold(self: &Arc<Self>, kind: &'static str, fields: Value) {
        let mut session = self.session();
        session.hold(kind, fields);
        let is_seen_to = std::mem::replace(&mut session.held_is_seen_to, true);
        drop(session);
        if !is_seen_to {
            let seer = Seer { turns: self.clone(), is_done: false };
            // Without a runtime it is the end of the session.
            if let Ok(runtime) = Handle::try_current() {
                runtime.spawn(seer.write_held());
            }
        }
    }

    /// Waits until the file is locked for the next record. A thread of its own looks as often as a record takes: others
    /// that write one after the other leave no longer gaps.
    async fn lock_ahead(self: &Arc<Self>, until: Instant) {
        let mut waiting = Waiting { turns: self, over: Arc::default(), finished: false };
        let (turns, over) = (self.clone(), waiting.over.clone());
        let look = move || {
            while Instant::now() < until && !turns.has_locked_ahead(&over) {
                std::thread::sleep(LOCK_EVERY);
            }
        };
        waiting.finished = tokio::task::spawn_blocking(look).await.is_ok();
    }

    /// Whether there is nothing to wait for any more.
    fn has_locked_ahead(&self, over: &AtomicBool) -> bool {
        let mut session = self.session();
        // What is wrong with the file is seen by whoever writes.
        over.load(Ordering::Relaxed) || session.log.lock_ahead().unwrap_or(true)
    }
}

/// Whoever sees to what is held.
struct Seer {
    turns: Arc<Turns>,
    is_done: bool,
}

impl Seer {
    async fn write_held(mut self) {
        let (turns, since) = (self.turns.clone(), Instant::now());
        loop {
            let turn = turns.turn.lock().await;
            let mut tried = self.try_once();
            if tried.as_ref().is_err_and(|error| error.is::<Busy>()) {
                turns.lock_ahead(Instant::now() + HELD_TURN).await;
                tried = self.try_once();
            }
            drop(turn);
            match tried {
                Ok(()) if self.is_done => return,
                Ok(()) => tokio::task::yield_now().await,
                Err(error) if error.is::<Busy>() && Instant::now() < turns.until(since) => {}
                Err(_) => tokio::time::sleep(HELD_AGAIN).await,
            }
        }
    }

    fn try_once(&mut self) -> Result<()> {
        let mut session = self.turns.session();
        session.write_held(Instant::now(), HELD_AT_ONCE)?;
        // What is held from now on has somebody else.
        self.is_done = session.held() == 0;
        session.held_is_seen_to = !self.is_done;
        Ok(())
    }
}

impl Drop for Seer {
    fn drop(&mut self) {
        if !self.is_done {
            self.turns.session().held_is_seen_to = false;
        }
    }
}

/// A wait for the file. If it is given up, the file is not left locked.
struct Waiting<'a> {
    turns: &'a Turns,
    over: Arc<AtomicBool>,
    finished: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.finished {
            let mut session = self.turns.session();
            self.over.store(true, Ordering::Relaxed);
            session.log.unlock_ahead();
        }
    }
}

/// A record that is to be written. One of what has happened is not lost if it cannot be.
struct Pending<'a> {
    turns: &'a Arc<Turns>,
    kind: &'static str,
    fields: Value,
    written: bool,
}

impl Pending<'_> {
    fn write(&mut self) -> Result<Head> {
        let recorded = self.turns.session().record(self.kind, &self.fields, Instant::now());
        self.written = recorded.is_ok();
        if !self.written {
            self.is_late();
        }
        recorded
    }

    /// It is not written now: if it tells what happened, it says when.
    fn is_late(&mut self) {
        if tells_what_happened(self.kind) {
            note_the_time(&mut self.fields);
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if !self.written && tells_what_happened(self.kind) {
            self.turns.hold(self.kind, self.fields.take());
        }
    }
}
