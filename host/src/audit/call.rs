//! What is recorded of a tool call: that it begins, and how it ended.

use std::time::Instant;

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::{Audit, Head, capped};
use crate::log;

/// A call on record. Whatever becomes of it, a result follows.
pub(crate) struct CallRecord<'a> {
    audit: &'a Audit,
    id: u64,
    tool: &'a str,
    started: Instant,
    ended: bool,
}

impl<'a> CallRecord<'a> {
    /// Records that a call begins: its arguments' names, not their values.
    ///
    /// # Errors
    ///
    /// When that cannot be written.
    pub(crate) fn begin(audit: &'a Audit, id: u64, tool: &'a str, arguments: &Map<String, Value>) -> Result<Self> {
        if audit.is_on() {
            let arguments: Vec<String> = arguments.keys().map(|name| capped(name)).collect();
            let fields = json!({
                "call": id, "mcp.method.name": "tools/call", "gen_ai.tool.name": tool, "arguments": arguments,
            });
            audit.record("tool.call", fields)?;
        }
        Ok(Self { audit, id, tool, started: Instant::now(), ended: false })
    }

    /// Records how it ended, and returns the head of the chain: whoever keeps it can prove later that the log was cut.
    pub(crate) fn end(mut self, error_type: Option<&str>) -> Option<Head> {
        self.finish(error_type)
    }

    fn finish(&mut self, error_type: Option<&str>) -> Option<Head> {
        self.ended = true;
        if !self.audit.is_on() {
            return None;
        }
        let fields = json!({
            "call": self.id, "gen_ai.tool.name": self.tool, "error.type": error_type,
            "duration_ms": self.started.elapsed().as_micros() as f64 / 1000.0,
        });
        self.audit.record("tool.result", fields).unwrap_or_else(|error| {
            log::warn(&format!("a result is not on record: {error:#}"));
            None
        })
    }
}

impl Drop for CallRecord<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.finish(Some("cancelled"));
        }
    }
}
