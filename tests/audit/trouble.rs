//! The log when it cannot be written, and when the server is killed.

use std::fs;
use std::time::Duration;

use reference_gateway::{Fault, Gateway, What, When};
use serde_json::json;

use super::{of_type, recorded, records};
use crate::hostile_suite::probe::{GRANTS, World};
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
fn a_request_over_a_kept_connection_is_on_record_before_it_is_sent() {
    let mut world = World::with(GRANTS, |start, _| start.args(["--audit-log", "audit.jsonl"]));
    let attempt = world.attempt();
    assert!(!world.try_as("fetch", &attempt).failed);
    world.granted.clear_requests();
    // The first of two requests is answered late: the log goes while it is under way.
    world.granted.fault(Fault::new(When::any(), What::Delay(Duration::from_secs(1))));
    let arguments = json!({ "name": "fetch", "arguments": { "attempt": attempt.set("repeat", 2).0 } });
    let call = world.client.request("tools/call", arguments);
    world.client.server.send(&call);
    world.granted.wait_until("the first is there", |granted| granted.requests().len() == 1);
    fs::remove_file(world.client.server.path("audit.jsonl")).unwrap();

    let answer = world.client.server.receive();

    assert!(answer["result"].to_string().contains("by the check `audit`"), "{answer}");
    assert_eq!((world.granted.requests().len(), world.granted.connections()), (1, 1));
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
