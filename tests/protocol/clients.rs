//! What particular clients do that no rule says.

use std::time::{Duration, Instant};

use reference_gateway::Gateway;
use rustix::process::Signal;
use serde_json::json;

use super::ending::{SOON, signal};
use super::{MODERN, VERSIONS, ask, call, opened_with, request};
use crate::support::{Start, initialize};

/// All that the SDK for Python lets a server see of its environment.
const PASSED: [(&str, &str); 6] = [
    ("HOME", "."),
    ("LOGNAME", "me"),
    ("PATH", "/usr/bin:/bin"),
    ("SHELL", "/bin/sh"),
    ("TERM", "xterm"),
    ("USER", "me"),
];

fn with_that_environment(start: Start) -> Start {
    PASSED.into_iter().fold(start, |start, (name, value)| start.env(name, value))
}

#[test]
fn an_environment_without_a_word_for_the_server_is_enough_to_start_and_a_call_says_what_is_missing() {
    for version in VERSIONS {
        let server = opened_with(with_that_environment(Start::bare()), version);

        let list = ask(&server, &request(version, 1, "tools/list", json!({})));
        let called = ask(&server, &call(version, 2, "list_models", json!({})));

        assert_eq!(list["result"]["tools"].as_array().unwrap().len(), 4);
        assert_eq!(called["result"]["isError"], true);
        assert!(called["result"]["content"][0]["text"].as_str().unwrap().contains("AIGATEWAY_API_KEY"), "{called}");
    }
}

#[test]
fn what_such_an_environment_lacks_may_come_from_flags() {
    let gateway = Gateway::start();
    for version in VERSIONS {
        let start = with_that_environment(Start::bare()).file("key", gateway.key("alice"));
        make_private(&start);
        let start = start.args(["--url", &gateway.url(), "--api-key-file", "key"]);
        let called = ask(&opened_with(start, version), &call(version, 1, "list_models", json!({})));
        assert!(called["result"]["structuredContent"].is_object(), "{called}");
    }
}

fn make_private(start: &Start) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(start.path("key"), std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_client_that_looks_for_the_newest_version_first_gets_along_from_either_answer_and_ends_it_with_two_signals() {
    for newest in [true, false] {
        let gateway = Gateway::start();
        let server = Start::on(&gateway, "alice").serve();
        let mut discover = request(MODERN, "probe", "server/discover", json!({}));
        if !newest {
            discover["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2027-01-01".into();
        }
        let known = ask(&server, &discover).get("result").is_some();
        assert_eq!(known, newest);
        if !known {
            assert_eq!(ask(&server, &initialize("2025-11-25"))["result"]["protocolVersion"], "2025-11-25");
            server.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        }
        let version = if known { MODERN } else { super::LEGACY };
        assert!(ask(&server, &call(version, 1, "list_models", json!({})))["result"]["structuredContent"].is_object());

        let since = Instant::now();
        signal(server.id(), Signal::INT);
        std::thread::sleep(Duration::from_millis(100));
        signal(server.id(), Signal::TERM);

        assert_eq!(server.wait().code(), Some(0));
        assert!(since.elapsed() < SOON);
    }
}
