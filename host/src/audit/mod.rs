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

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use serde_json::{Map, Value, json};

mod call;
mod chain;
mod show;
mod summary;
#[cfg(test)]
mod tests;
mod verify;

pub(crate) use call::{CallRecord, Denials};
pub(crate) use chain::Head;
pub(crate) use show::{Filter, show};
pub(crate) use summary::summary;
pub(crate) use verify::{Verdict, Verified, verify};

use crate::log;
use chain::{Busy, Log};

/// After how many records a checkpoint follows.
const CHECKPOINT_EVERY: u64 = 256;

/// The most characters of a text, and the most texts of a list: somebody else may control them.
const MOST_CHARACTERS: usize = 256;
const MOST_ITEMS: usize = 256;

/// The most records that wait for a full disk to have room: those of some hundred calls. What comes after them is told
/// on stderr alone.
const MOST_HELD: usize = 1024;

/// How long to wait for another process that writes a record: it takes far less than a millisecond, or as long as a slow
/// disk needs with `--audit-sync`. Whoever holds the file longer was stopped, and would stop everybody else.
const LOCK_WITHIN: Duration = Duration::from_secs(3);

/// How long to wait for it at the end of a session, which clients give 2 seconds, and calls in flight have had theirs.
const LOCK_AT_THE_END: Duration = Duration::from_millis(300);

/// How long to wait for it on the thread that serves everybody. After that the call waits, and looks again this often.
const LOCK_AT_ONCE: Duration = Duration::from_micros(500);
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Where records go: a file, or nowhere.
pub struct Audit {
    log: Option<Mutex<Session>>,
}

/// One process's part in a log.
struct Session {
    log: Log,
    id: String,
    counts: Counts,
    since_checkpoint: u64,
    /// Records of what has happened that could not be written: they come before the next one that can.
    held: VecDeque<(String, Value)>,
}

#[derive(Default)]
struct Counts {
    tool_calls: u64,
    intents: u64,
    denials: u64,
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
        let log = Log::open(path, sync, most_bytes)?;
        let (id, counts) = (chain::random_id()?, Counts::default());
        let session = Session { log, id, counts, since_checkpoint: 0, held: VecDeque::new() };
        Ok(Self { log: Some(Mutex::new(session)) })
    }

    /// Whether there is a file.
    pub(crate) fn is_on(&self) -> bool {
        self.log.is_some()
    }

    /// Writes a record. `fields` is an object. While another process has the file, only the caller waits.
    ///
    /// # Errors
    ///
    /// When it cannot be written: then nothing of it is in the file, and what it announces must not be done. If it
    /// tells what has happened already, it is held, and written as soon as something can be; so it is when the caller
    /// waits no longer.
    pub(crate) async fn record(&self, kind: &str, fields: Value) -> Result<Option<Head>> {
        let (mut pending, since) = (Pending::new(self, kind, fields), Instant::now());
        let mut recorded = pending.write(LOCK_AT_ONCE);
        while recorded.as_ref().is_err_and(|error| error.is::<Busy>()) && since.elapsed() < LOCK_WITHIN {
            tokio::time::sleep(LOOK_AGAIN).await;
            recorded = pending.write(Duration::ZERO);
        }
        recorded
    }

    /// [`Self::record`] before and after there are calls: it blocks while another process has the file.
    pub(crate) fn record_of_session(&self, kind: &str, fields: Value) -> Result<Option<Head>> {
        let wait = if kind == "session.end" { LOCK_AT_THE_END } else { LOCK_WITHIN };
        Pending::new(self, kind, fields).write(wait)
    }

    /// Records what has happened, and waits for nobody: while another process has the file, the record is held. The next
    /// one that is waited for comes after it; at the latest that is the call's result.
    pub(crate) fn record_at_once(&self, kind: &str, fields: Value) {
        match Pending::new(self, kind, fields).write(LOCK_AT_ONCE) {
            Err(error) if !error.is::<Busy>() => log::warn(&format!("{kind} is not on record yet: {error:#}")),
            _ => {}
        }
    }

    /// Keeps the record of what was refused because nothing could be written.
    fn hold(&self, kind: &str, fields: Value) {
        drop(Pending::new(self, kind, fields));
    }

    fn session(&self) -> Option<MutexGuard<'_, Session>> {
        Some(self.log.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A record that is to be written. One of what has happened is not lost if it cannot be.
struct Pending<'a> {
    audit: &'a Audit,
    kind: &'a str,
    fields: Value,
    written: bool,
}

impl<'a> Pending<'a> {
    fn new(audit: &'a Audit, kind: &'a str, fields: Value) -> Self {
        Self { audit, kind, fields, written: false }
    }

    fn write(&mut self, wait: Duration) -> Result<Option<Head>> {
        let Some(mut session) = self.audit.session() else { return Ok(None) };
        let recorded = session.record(self.kind, &self.fields, wait);
        self.written = recorded.is_ok();
        if !self.written {
            self.note_the_time();
        }
        recorded.map(Some)
    }

    /// A record of what has happened that is written later says when that was.
    fn note_the_time(&mut self) {
        if tells_what_happened(self.kind) && self.fields["happened"].is_null() {
            self.fields["happened"] = humantime::format_rfc3339_micros(SystemTime::now()).to_string().into();
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if !self.written
            && tells_what_happened(self.kind)
            && let Some(mut session) = self.audit.session()
        {
            self.note_the_time();
            session.hold(self.kind, self.fields.take());
        }
    }
}

impl Session {
    fn record(&mut self, kind: &str, fields: &Value, wait: Duration) -> Result<Head> {
        self.write_held(wait)?;
        self.record_now(kind, fields, wait)
    }

    /// Keeps the record of what has happened, until something can be written again.
    fn hold(&mut self, kind: &str, fields: Value) {
        match self.held.len() < MOST_HELD {
            true => self.held.push_back((kind.to_owned(), fields)),
            false => log::warn(&format!("{kind} is not on record, and will not be: too much waits for the audit log")),
        }
    }

    fn write_held(&mut self, wait: Duration) -> Result<()> {
        while let Some((kind, fields)) = self.held.pop_front() {
            if let Err(error) = self.record_now(&kind, &fields, wait) {
                self.held.push_front((kind, fields));
                return Err(error);
            }
        }
        Ok(())
    }

    fn record_now(&mut self, kind: &str, fields: &Value, wait: Duration) -> Result<Head> {
        let head = self.append(kind, fields, wait)?;
        match kind {
            "tool.call" => self.counts.tool_calls += 1,
            "egress.intent" => self.counts.intents += 1,
            "denied" => self.counts.denials += 1,
            "tool.result" => self.counts.denials += fields["denials_not_recorded"].as_u64().unwrap_or_default(),
            _ => {}
        }
        self.since_checkpoint += 1;
        if self.since_checkpoint < CHECKPOINT_EVERY && kind != "session.end" {
            return Ok(head);
        }
        let Counts { tool_calls, intents, denials } = self.counts;
        let counts = json!({ "tool_calls": tool_calls, "egress_intents": intents, "denials": denials });
        // The record itself is written; the checkpoint follows as soon as it can.
        let checkpoint = self.append("checkpoint", &counts, wait);
        self.since_checkpoint = if checkpoint.is_ok() { 0 } else { self.since_checkpoint };
        Ok(checkpoint.unwrap_or(head))
    }

    fn append(&mut self, kind: &str, fields: &Value, wait: Duration) -> Result<Head> {
        let mut record = Map::new();
        record.insert("session".to_owned(), self.id.as_str().into());
        record.insert("type".to_owned(), kind.into());
        let fields = fields.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        record.extend(fields.map(|(name, value)| (name.clone(), bounded(value))));
        self.log.append(&record, wait)
    }
}

/// Whether a record tells what has happened; the others announce what is to happen, and if they cannot be written, it
/// does not.
fn tells_what_happened(kind: &str) -> bool {
    matches!(kind, "egress.outcome" | "tool.result" | "denied")
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
