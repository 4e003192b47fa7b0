//! The log when it cannot be written, and when the server is killed.

use std::fs;
use std::time::Duration;

use reference_gateway::Gateway;
use serde_json::json;

use super::{audit, of_type, recorded, records, text};
use crate::support::{Era, Start};

#[test]
fn what_cannot_be_put_on_record_is_not_done() {
    let gateway = Gateway::start();
    let start = recorded(&gateway);
    let log = start.path("audit.jsonl");
    let mut client = start.connect(Era::Legacy);
    client.call("list_models", json!({})).answer();
    let requests = gateway.requests().len();

    fs::remove_file(&log).unwrap();
    let failed = client.call("list_models", json!({}));

    assert!(failed.failure().contains("the audit log"), "{}", failed.failure());
    client.server.wait_for_stderr("it is gone");
    assert_eq!(gateway.requests().len(), requests);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_denies_and_loses_nothing() {
    let gateway = Gateway::start();
    // A file that may not grow is a full disk to whoever writes it.
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit.jsonl");
    let run = |limit: &str| {
        let start = Start::on(&gateway, "alice");
        let program = env!("CARGO_BIN_EXE_aigateway-mcp");
        let script =
            format!("ulimit -f {limit}; trap '' XFSZ; exec {program} --audit-log {} call list_models", text(&log));
        let mut command = std::process::Command::new("bash");
        command.arg("-c").arg(script).env_clear().current_dir(start.path("."));
        command.env("AIGATEWAY_URL", gateway.url()).env("AIGATEWAY_API_KEY", gateway.key("alice"));
        crate::support::Ran::from(command.output().unwrap())
    };
    assert!(run("unlimited").status.success());
    let before = fs::read(&log).unwrap();
    gateway.clear_requests();

    let full = run(&(before.len() / 1024).to_string());

    assert_eq!(full.status.code(), Some(1), "{full:?}");
    assert!(full.stderr.contains("cannot be written"), "{}", full.stderr);
    assert!(gateway.requests().is_empty());
    assert_eq!(audit(["verify", text(&log)]).status.code(), Some(0));
    assert!(run("unlimited").status.success());
    assert_eq!(audit(["verify", text(&log)]).status.code(), Some(0));
}

#[test]
#[cfg(unix)]
fn killed_at_any_moment_it_leaves_a_log_that_accounts_for_every_request() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit.jsonl");
    let gateway = Gateway::start();
    for round in 0..100u64 {
        let start = Start::on(&gateway, "alice").args(["--audit-log", text(&log)]);
        let mut client = start.connect(Era::Legacy);
        for _ in 0..20 {
            let request = client.request("tools/call", json!({ "name": "list_models", "arguments": {} }));
            client.server.send(&request);
        }
        // A different moment each time: after so many answers, and some microseconds.
        for _ in 0..round % 7 {
            client.server.receive();
        }
        std::thread::sleep(Duration::from_micros(round * 37 % 1500));
        drop(client);
        let code = audit(["verify", text(&log)]).status.code();
        assert!(matches!(code, Some(0 | 2)), "round {round}: {code:?}");
    }

    Start::on(&gateway, "alice").args(["--audit-log", text(&log), "call", "list_models"]).run();

    assert_eq!(audit(["verify", text(&log)]).status.code(), Some(0));
    let whole: Vec<_> =
        fs::read_to_string(&log).unwrap().lines().filter(|line| line.ends_with('}')).map(str::to_owned).collect();
    let records: Vec<serde_json::Value> = whole.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let intents = of_type(&records, "egress.intent").len();
    assert!(intents >= gateway.requests().len(), "{intents} intents, {} requests", gateway.requests().len());
}

#[test]
fn the_log_of_a_component_that_imports_too_much_says_so() {
    let start = Start::bare()
        .file("component.wasm", wat::parse_str(SOCKETS).unwrap())
        .file("grants.toml", "version = 1\nbase_url = \"http://localhost:1\"\n[tools]\nrun = [\"GET /\"]\n")
        .args(["--component", "component.wasm", "--grants", "grants.toml", "--audit-log", "audit.jsonl", "tools"]);

    let ran = start.run();

    assert_eq!(ran.status.code(), Some(1));
    assert!(ran.stderr.contains("wasi:sockets/network"), "{}", ran.stderr);
    let records = records(&start.path("audit.jsonl"));
    assert_eq!(of_type(&records, "denied")[0]["check"], "import");
}

const SOCKETS: &str = r#"
(component
  (import "wasi:sockets/network@0.2.0" (instance $network (export "run" (func))))
  (core module $m (func (export "run")))
  (core instance $i (instantiate $m))
  (func (export "run") (canon lift (core func $i "run")))
)
"#;
