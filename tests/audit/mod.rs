//! The audit log: what is in it, in which order, and what verification finds.

mod chain;
mod content;
mod following;
#[cfg(target_os = "linux")]
mod full_disk;
mod held;
#[cfg(unix)]
mod killed;
mod limits;
mod long;
mod together;
mod trouble;

use std::path::Path;

use reference_gateway::Gateway;
use serde_json::{Value, json};

use crate::support::{Era, Ran, Start};

/// A server with an audit log, for a gateway.
fn recorded(gateway: &Gateway) -> Start {
    Start::on(gateway, "alice").args(["--audit-log", "audit.jsonl"])
}

/// The records of a log.
pub(crate) fn records(log: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(log).expect("there is a log");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// The records of one type.
pub(crate) fn of_type<'r>(records: &'r [Value], kind: &str) -> Vec<&'r Value> {
    records.iter().filter(|record| record["type"] == kind).collect()
}

/// Runs `audit …` in an empty directory.
fn audit<const N: usize>(arguments: [&str; N]) -> Ran {
    Start::bare().arg("audit").args(arguments).run()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is UTF-8")
}

/// A log of a session with three calls: one that only reads, one that writes, one that is refused by the gateway.
fn session(gateway: &Gateway) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit.jsonl");
    let start = Start::on(gateway, "alice").args(["--audit-log", text(&log)]);
    let mut client = start.connect(Era::Legacy);
    client.call("list_models", json!({})).answer();
    let mapping = json!({ "alias": "my-gpt", "provider_id": "openai", "model_name": "gpt-4o" });
    client.call("create_mapping", mapping.clone()).answer();
    client.call("create_mapping", mapping).failure();
    client.server.close_stdin();
    client.server.wait();
    (folder, log)
}
