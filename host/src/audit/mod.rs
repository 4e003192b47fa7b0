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
//! Every record has `v` (1), `seq`, `prev`, `time`, `session` and `type`. `prev` is the SHA-256 of the previous line,
//! line break included: `sed -n 5p FILE | sha256sum` is the `prev` of line 6. Names are OpenTelemetry's where it has
//! one. Never a key, a body or a query value. Every text is one line of at most 256 characters, and every list has at
//! most 256 of them: somebody else may control them.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use serde_json::{Map, Value, json};

mod call;
mod chain;
mod show;
mod summary;
mod verify;

pub(crate) use call::{CallRecord, Denials};
pub(crate) use chain::Head;
pub(crate) use show::{Filter, show};
pub(crate) use summary::summary;
pub(crate) use verify::{Verdict, Verified, verify};

use crate::log;
use chain::Log;

/// After how many records a checkpoint follows.
const CHECKPOINT_EVERY: u64 = 256;

/// The most characters of a text, and the most texts of a list: somebody else may control them.
const MOST_CHARACTERS: usize = 256;
const MOST_ITEMS: usize = 256;

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
        let session = Session { log, id: chain::random_id()?, counts: Counts::default(), since_checkpoint: 0 };
        Ok(Self { log: Some(Mutex::new(session)) })
    }

    /// Whether there is a file.
    pub(crate) fn is_on(&self) -> bool {
        self.log.is_some()
    }

    /// Writes a record. `fields` is an object.
    ///
    /// # Errors
    ///
    /// When it cannot be written: then nothing of it is in the file, and what it announces must not be done.
    pub(crate) fn record(&self, kind: &str, fields: Value) -> Result<Option<Head>> {
        let Some(log) = &self.log else { return Ok(None) };
        let mut session = log.lock().unwrap_or_else(PoisonError::into_inner);
        session.record(kind, fields).map(Some)
    }
}

impl Session {
    fn record(&mut self, kind: &str, fields: Value) -> Result<Head> {
        let not_recorded = fields["denials_not_recorded"].as_u64().unwrap_or_default();
        let head = self.append(kind, fields)?;
        match kind {
            "tool.call" => self.counts.tool_calls += 1,
            "egress.intent" => self.counts.intents += 1,
            "denied" => self.counts.denials += 1,
            "tool.result" => self.counts.denials += not_recorded,
            _ => {}
        }
        self.since_checkpoint += 1;
        if self.since_checkpoint >= CHECKPOINT_EVERY || kind == "session.end" {
            self.since_checkpoint = 0;
            let Counts { tool_calls, intents, denials } = self.counts;
            return self.append(
                "checkpoint",
                json!({ "tool_calls": tool_calls, "egress_intents": intents, "denials": denials }),
            );
        }
        Ok(head)
    }

    fn append(&mut self, kind: &str, fields: Value) -> Result<Head> {
        let mut record = Map::new();
        record.insert("session".to_owned(), self.id.as_str().into());
        record.insert("type".to_owned(), kind.into());
        if let Value::Object(fields) = fields {
            let present = fields.into_iter().filter(|(_, value)| !value.is_null());
            record.extend(present.map(|(name, value)| (name, bounded(value))));
        }
        self.log.append(&record)
    }
}

/// A value as it goes on record: its texts are one line each, and capped. Grants, the one object, are the operator's.
fn bounded(value: Value) -> Value {
    match value {
        Value::String(text) => capped(&text).into(),
        Value::Array(items) => {
            let more = items.len().saturating_sub(MOST_ITEMS);
            let mut items: Vec<Value> = items.into_iter().take(MOST_ITEMS).map(bounded).collect();
            items.extend((more > 0).then(|| format!("… and {more} more").into()));
            Value::Array(items)
        }
        other => other,
    }
}

/// Text as one line, and capped.
fn capped(text: &str) -> String {
    log::excerpt(&log::one_line(text), MOST_CHARACTERS)
}
