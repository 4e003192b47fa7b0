//! One process's part in a log: what it has written, and what it could not write yet.

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Instant, SystemTime};

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::bounded;
use super::chain::{self, Head, Log};
use crate::log;

/// After how many records a checkpoint follows.
const CHECKPOINT_EVERY: u64 = 256;

/// The most records that wait for a file that cannot be written: those of some hundred calls. What comes after them is
/// told on stderr alone.
const MOST_HELD: usize = 1024;

/// One process's part in a log.
pub(super) struct Session {
    pub(super) log: Log,
    id: String,
    counts: Counts,
    since_checkpoint: u64,
    /// Records of what has happened that could not be written: they come before the next one that can.
    held: VecDeque<(&'static str, Value)>,
    /// Whether somebody sees to these.
    pub(super) held_is_seen_to: bool,
    /// When something was last written.
    written: Option<Instant>,
}

#[derive(Default)]
struct Counts {
    tool_calls: u64,
    intents: u64,
    denials: u64,
}

impl Session {
    pub(super) fn open(path: &Path, sync: bool, most_bytes: u64) -> Result<Self> {
        let log = Log::open(path, sync, most_bytes)?;
        let (id, counts) = (chain::random_id()?, Counts::default());
        let held = VecDeque::new();
        Ok(Self { log, id, counts, since_checkpoint: 0, held, held_is_seen_to: false, written: None })
    }

    /// Writes a record, and before it what is held. Blocks while another process has the file, until `until`.
    pub(super) fn record(&mut self, kind: &str, fields: &Value, until: Instant) -> Result<Head> {
        self.write_held(until, usize::MAX)?;
        self.record_now(kind, fields, until)
    }

    /// Keeps the record of what has happened, until something can be written again.
    pub(super) fn hold(&mut self, kind: &'static str, mut fields: Value) {
        if self.held.len() >= MOST_HELD {
            log::warn(&format!("{kind} is not on record, and will not be: too much waits for the audit log"));
            return;
        }
        note_the_time(&mut fields);
        self.held.push_back((kind, fields));
    }

    /// When something was last written, if that was after this.
    pub(super) fn written_since(&self, since: Instant) -> Instant {
        self.written.map_or(since, |written| written.max(since))
    }

    /// How many records are held.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// Writes what is held, as far as that is possible, and so many records at most.
    pub(super) fn write_held(&mut self, until: Instant, most: usize) -> Result<()> {
        for _ in 0..most {
            let Some((kind, fields)) = self.held.pop_front() else { break };
            if let Err(error) = self.record_now(kind, &fields, until) {
                self.held.push_front((kind, fields));
                return Err(error);
            }
        }
        Ok(())
    }

    fn record_now(&mut self, kind: &str, fields: &Value, until: Instant) -> Result<Head> {
        let head = self.append(kind, fields, until)?;
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
        let checkpoint = self.append("checkpoint", &counts, until);
        self.since_checkpoint = if checkpoint.is_ok() { 0 } else { self.since_checkpoint };
        Ok(checkpoint.unwrap_or(head))
    }

    fn append(&mut self, kind: &str, fields: &Value, until: Instant) -> Result<Head> {
        let mut record = Map::new();
        record.insert("session".to_owned(), self.id.as_str().into());
        record.insert("type".to_owned(), kind.into());
        let fields = fields.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        record.extend(fields.map(|(name, value)| (name.clone(), bounded(value))));
        let head = self.log.append(&record, until)?;
        self.written = Some(Instant::now());
        Ok(head)
    }
}

/// Whether a record tells what has happened; the others announce what is to happen, and if they cannot be written, it
/// does not.
pub(super) fn tells_what_happened(kind: &str) -> bool {
    matches!(kind, "egress.outcome" | "tool.result" | "denied")
}

/// A record that is written later than what it tells says when that was.
pub(super) fn note_the_time(fields: &mut Value) {
    if fields["happened"].is_null() {
        fields["happened"] = humantime::format_rfc3339_micros(SystemTime::now()).to_string().into();
    }
}
