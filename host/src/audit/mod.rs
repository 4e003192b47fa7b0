//! The record of what was decided: JSON Lines, one record a decision, each chained to the one before.
//!
//! | record | when | fields of its own |
//! | --- | --- | --- |
//! | `chain.start` | first in a file that continues none | `chain` |
//! | `chain.continued` | first after a rotation | `chain`, `previous` |
//! | `chain.torn` | after a line that a crash cut off | `torn` |
//! | `session.start`, `session.end` | the program starts, ends | `service.version`, `observe` |
//! | `component.loaded` | before the first tool is offered | `digest`, `imports`, `exports` |
//! | `grants.loaded` | likewise | `digest`, `grants` |
//! | `tool.call`, `tool.result` | a call begins, ends | `gen_ai.tool.name`, `error.type`, `duration_ms`, `denials`, `denials_not_recorded` |
//! | `egress.intent` | **before** the connection is made, or a kept one is used | method, address, path, `rule` (or `observed` and `missing_rule`), body's size and SHA-256, `key` |
//! | `egress.outcome` | the answer was read, or there is none | status, peer, size and SHA-256, redactions |
//! | `denied` | an import, a request or a limit | `check`, `reason` |
//! | `checkpoint` | every 256 records, and at the end | counts |
//!
//! An outcome, a result or a denial that could not be written at its time has it as `happened`.
//!
//! Every record has `v` (1), `seq`, `prev`, `time`, `session` and `type`. `prev` is the SHA-256 of the previous line,
//! line break included: `sed -n 5p FILE | sha256sum` is the `prev` of line 6. Names are OpenTelemetry's where it has
//! one. Never a key, a body or a query value. Every text is one line of at most 256 characters, and every list has at
//! most 256 of them: somebody else may control them.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use serde_json::Value;

mod call;
mod chain;
mod session;
mod show;
mod summary;
#[cfg(test)]
mod tests;
mod turns;
mod verify;

pub(crate) use call::{CallRecord, Denials};
pub(crate) use chain::Head;
pub(crate) use show::{Filter, show};
pub(crate) use summary::summary;
pub(crate) use verify::{Verdict, Verified, verify};

use crate::log;
use session::Session;
use turns::Turns;

/// The most characters of a text, and the most texts of a list: somebody else may control them.
const MOST_CHARACTERS: usize = 256;
const MOST_ITEMS: usize = 256;

/// Where records go: a file, or nowhere.
pub struct Audit {
    log: Option<Arc<Turns>>,
}

impl Audit {
    /// Records nothing.
    pub fn off() -> Self {
        Self { log: None }
    }

    /// Records into a file: a new one, or one whose chain is continued. `sync` waits for the disk at each record;
    /// beyond `most_bytes` the file is rotated.
    ///
    /// # Errors
    ///
    /// When the file cannot be written, or its tail is no intact chain.
    pub fn open(path: &Path, sync: bool, most_bytes: u64) -> Result<Self> {
        Ok(Self { log: Some(Turns::new(Session::open(path, sync, most_bytes)?)) })
    }

    /// Whether there is a file.
    pub(crate) fn is_on(&self) -> bool {
        self.log.is_some()
    }

    /// Writes a record. `fields` is an object. While another process has the file, the caller waits, and nobody else.
    ///
    /// # Errors
    ///
    /// When it cannot be written: then nothing of it is in the file, and what it announces must not be done. If it
    /// tells what has happened already, it is held, and written as soon as something can be; so it is when the caller
    /// waits no longer.
    pub(crate) async fn record(&self, kind: &'static str, fields: Value) -> Result<Option<Head>> {
        match &self.log {
            Some(log) => log.record(kind, fields).await.map(Some),
            None => Ok(None),
        }
    }

    /// Records what has happened, and waits for nobody: if it cannot be written now, it is held, and comes before
    /// whatever is written next.
    pub(crate) fn record_at_once(&self, kind: &'static str, fields: Value) {
        if let Some(log) = &self.log {
            log.record_at_once(kind, fields);
        }
    }

    /// Holds the record of what was refused because nothing could be written.
    fn hold(&self, kind: &'static str, fields: Value) {
        if let Some(log) = &self.log {
            log.hold(kind, fields);
        }
    }

    /// [`Self::record`] before there are calls: it blocks while another process has the file.
    pub(crate) fn record_at_the_start(&self, kind: &'static str, fields: Value) -> Result<Option<Head>> {
        self.log.as_ref().map(|log| log.record_at_the_start(kind, &fields)).transpose()
    }

    /// Writes what is held, and the end of the session, when nobody is there to record anything any more.
    pub(crate) fn end(&self) {
        if let Some(log) = &self.log {
            log.end();
        }
    }
}

/// A value as it goes on record: its texts are one line each, and capped. Grants, the one object, are the operator's.
fn bounded(value: &Value) -> Value {
    match value {
        Value::String(text) => capped(text).into(),
        Value::Array(items) => {
            let more = items.len().saturating_sub(MOST_ITEMS);
            let rest = (more > 0).then(|| format!("… and {more} more").into());
            items.iter().take(MOST_ITEMS).map(bounded).chain(rest).collect()
        }
        other => other.clone(),
    }
}

/// Text as one line, and capped.
fn capped(text: &str) -> String {
    log::excerpt(&log::one_line(text), MOST_CHARACTERS)
}
