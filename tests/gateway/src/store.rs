//! What the gateway knows: users, rows, providers, and which of its own backends are down.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::providers::{Provider, default_providers};
use crate::table::{Database, Table};
use crate::time::now_ms;
use crate::users::{Keys, Role, Users};

/// Everything that an answer can depend on besides its request.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) users: Users,
    pub(crate) started: Instant,
    pub(crate) started_at_ms: i64,
    pub(crate) offset_minutes: i32,
    state: Mutex<State>,
}

/// The part that changes. It is held for as long as a row takes, never while a socket is used.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) table: Table,
    pub(crate) providers: Vec<Provider>,
    pub(crate) keys: Keys,
    pub(crate) database_down: bool,
    pub(crate) redis_down: bool,
}

impl Store {
    pub(crate) fn new(users: &[(String, Role)], database: Database, offset_minutes: i32) -> Self {
        Store {
            users: Users::new(users),
            started: Instant::now(),
            started_at_ms: now_ms(),
            offset_minutes,
            state: Mutex::new(State {
                table: Table::new(database, offset_minutes),
                providers: default_providers(),
                keys: Keys::default(),
                database_down: false,
                redis_down: false,
            }),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// Locks whatever a panic elsewhere left behind: one failed connection must not fail a whole test run.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
