//! What the sandbox itself costs: a call that makes no request, as the audit log has its duration.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::client::{Call, Client};
use crate::row::{Goal, Row, Unit};
use crate::samples::Samples;
use crate::setup::Setup;

/// Calls before any that counts.
const WARM_UP: usize = 200;

/// An instance, arguments in, a result out, and everything torn down again: from the record that the call begins to
/// the record that it ended.
pub(crate) fn rows(setup: &Setup) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("audit.jsonl");
    let mut client = Client::start(&setup.server.with(&["--audit-log", &log.to_string_lossy()]))?;
    // The component refuses this alias by itself.
    let arguments = json!({ "alias": "not an alias", "provider_id": "openai", "model_name": "gpt-4o" });
    let call = Call { tool: "create_mapping".to_owned(), arguments };
    let count = setup.size.calls * setup.size.rounds;
    client.refused(&call, WARM_UP + count)?;
    client.end()?;
    let samples: Samples = durations(&log)?.into_iter().skip(WARM_UP).collect();
    let microseconds = |duration: Duration| duration.as_secs_f64() * 1e6;
    let row = Row::new("the sandbox's own cost per call", Unit::Microseconds, microseconds(samples.p50()))
        .p95(microseconds(samples.p95()))
        .goal(Goal::AtMost(60.0));
    Ok(vec![row])
}

/// How long each call took, as it is on record.
fn durations(log: &Path) -> Result<Vec<Duration>> {
    let text = std::fs::read_to_string(log).context("cannot read the audit log")?;
    ensure!(!text.contains(r#""type":"egress.intent""#), "a call that was to be refused made a request");
    let records = text.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>()?;
    let results = records.iter().filter(|record| record["type"] == "tool.result");
    results
        .map(|record| {
            let milliseconds = record["duration_ms"].as_f64().context("a result has no duration")?;
            Ok(Duration::from_secs_f64(milliseconds / 1000.0))
        })
        .collect()
}
