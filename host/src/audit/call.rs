//! What is recorded of a tool call: that it begins, which limit ended it, and how it ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::{Audit, Head};
use crate::log;

/// Denied requests of one call that are on record one by one; the others are a number in its result. As many as the
/// requests that a call may make by default: a component that keeps to its limit has each of them on record. One that
/// does not gets thousands of denials a second, and this many of them are 40 kB of the disk's.
const MOST_DENIALS: u64 = 64;

/// A call on record. Whatever becomes of it, a result follows.
pub(crate) struct CallRecord<'a> {
    audit: &'a Audit,
    id: u64,
    tool: &'a str,
    started: Instant,
    denials: Denials,
    ended: bool,
}

/// The denials of one call, counted wherever they happen.
#[derive(Clone, Default)]
pub(crate) struct Denials(Arc<Counts>);

#[derive(Default)]
struct Counts {
    all: AtomicU64,
    not_recorded: AtomicU64,
}

impl Denials {
    /// Counts one, and says how many there were before it.
    pub(crate) fn count(&self) -> u64 {
        self.0.all.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether the denial that came after so many is put on record; if not, that is counted.
    pub(crate) fn is_recorded(&self, before: u64) -> bool {
        let recorded = before < MOST_DENIALS;
        self.0.not_recorded.fetch_add(u64::from(!recorded), Ordering::Relaxed);
        recorded
    }

    /// How many there were, and how many of them are not on record one by one; nothing where there were none.
    fn totals(&self) -> [Option<u64>; 2] {
        [&self.0.all, &self.0.not_recorded].map(|count| Some(count.load(Ordering::Relaxed)).filter(|count| *count > 0))
    }
}

impl<'a> CallRecord<'a> {
    /// Records that a call begins: the names of its arguments that the tool has, and no values. Other names are the
    /// caller's own text, and only counted: somebody's key could be in them.
    ///
    /// # Errors
    ///
    /// When that cannot be written.
    pub(crate) async fn begin(
        audit: &'a Audit,
        id: u64,
        tool: &'a str,
        arguments: &Map<String, Value>,
        is_parameter: impl Fn(&str) -> bool,
    ) -> Result<Self> {
        if audit.is_on() {
            let known: Vec<&String> = arguments.keys().filter(|name| is_parameter(name)).collect();
            let unknown = Some(arguments.len() - known.len()).filter(|count| *count > 0);
            let fields = json!({
                "call": id, "mcp.method.name": "tools/call", "gen_ai.tool.name": tool, "arguments": known,
                "unknown_arguments": unknown,
            });
            if let Err(error) = audit.record("tool.call", fields).await {
                let reason = format!("{error:#}");
                audit.hold(
                    "denied",
                    json!({ "call": id, "gen_ai.tool.name": tool, "check": "audit", "reason": reason }),
                );
                return Err(error);
            }
        }
        Ok(Self { audit, id, tool, started: Instant::now(), denials: Denials::default(), ended: false })
    }

    /// The denials of this call.
    pub(crate) fn denials(&self) -> Denials {
        self.denials.clone()
    }

    /// Records that a limit ended the call.
    pub(crate) fn denied(&self, limit: &str, reason: &str) {
        self.denials.count();
        let fields = json!({ "call": self.id, "gen_ai.tool.name": self.tool, "check": limit, "reason": reason });
        self.audit.record_at_once("denied", fields);
    }

    /// Records how it ended, and returns the head of the chain: whoever keeps it can prove later that the log was cut.
    pub(crate) async fn end(mut self, error_type: Option<&str>) -> Option<Head> {
        self.ended = true;
        if !self.audit.is_on() {
            return None;
        }
        self.audit.record("tool.result", self.result(error_type)).await.unwrap_or_else(|error| {
            log::warn(&format!("tool.result is not on record yet: {error:#}"));
            None
        })
    }

    fn result(&self, error_type: Option<&str>) -> Value {
        let [denials, not_recorded] = self.denials.totals();
        json!({
            "call": self.id, "gen_ai.tool.name": self.tool, "error.type": error_type,
            "denials": denials, "denials_not_recorded": not_recorded,
            "duration_ms": self.started.elapsed().as_micros() as f64 / 1000.0,
        })
    }
}

impl Drop for CallRecord<'_> {
    fn drop(&mut self) {
        if !self.ended && self.audit.is_on() {
            self.audit.record_at_once("tool.result", self.result(Some("cancelled")));
        }
    }
}
