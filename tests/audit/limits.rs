//! Limits on record: each that ends a call is a denial, and no component can fill the disk with denials.

use serde_json::{Value, json};

use super::{audit, of_type, records, text};
use crate::hostile_suite::probe::{GRANTS, World};

/// The probe with an audit log, and these limits.
fn recorded(limits: &str) -> World {
    let grants = format!("{GRANTS}[limits]\n{limits}\n");
    World::with(&grants, |start, _| start.args(["--audit-log", "audit.jsonl"]))
}

fn log(world: &World) -> Vec<Value> {
    records(&world.client.server.path("audit.jsonl"))
}

/// The checks of the denials that are on record, and the error of the one result.
fn on_record(world: &World) -> (Vec<String>, Value) {
    let records = log(world);
    let checks = of_type(&records, "denied").iter().map(|r| r["check"].as_str().unwrap().to_owned()).collect();
    let results = of_type(&records, "tool.result");
    assert_eq!(results.len(), 1, "{records:?}");
    (checks, results[0]["error.type"].clone())
}

#[test]
fn a_limit_that_ends_a_call_is_a_denial_that_names_it() {
    for (limits, misdeed, check, error) in [
        ("call_seconds = 1", "loop-forever", "call_seconds", "deadline"),
        ("memory_mib = 8", "allocate-forever", "memory_mib", "limit"),
        ("result_bytes = 4194304", "return-a-lot", "result_bytes", "limit"),
        ("result_bytes = 1024\nrequest_bytes = 4096", "return-a-lot", "request_bytes", "limit"),
        ("result_bytes = 1048576\nrequest_bytes = 104857600", "fail-with-a-lot", "result_bytes", "limit"),
        ("memory_mib = 32", "hoard-resources", "resources", "limit"),
        ("memory_mib = 32", "ask-for-huge-randomness", "random_bytes", "limit"),
    ] {
        let mut world = recorded(limits);

        let tried = world.try_with("misbehave", json!({ "misdeed": misdeed }));

        let (checks, ended) = on_record(&world);
        assert_eq!((checks, ended), (vec![check.to_owned()], json!(error)), "{misdeed}: {}", tried.text);
        let records = log(&world);
        let denied = of_type(&records, "denied")[0];
        assert_eq!((&denied["call"], &denied["gen_ai.tool.name"]), (&json!(0), &json!("misbehave")));
        let reason = denied["reason"].as_str().unwrap().trim_end_matches('…');
        assert!(tried.text.contains(reason), "{reason}: {}", tried.text);
    }
}

#[test]
fn a_call_that_waited_for_its_turn_until_its_deadline_was_denied_by_another_limit() {
    let mut world = recorded("concurrent_calls = 1\ncall_seconds = 2");
    let arguments = json!({ "name": "misbehave", "arguments": { "misdeed": "loop-forever" } });
    for _ in 0..2 {
        let request = world.client.request("tools/call", arguments.clone());
        world.client.server.send(&request);
    }
    world.client.server.receive();
    world.client.server.receive();

    let records = log(&world);
    let mut checks: Vec<_> = of_type(&records, "denied").iter().map(|record| record["check"].as_str()).collect();
    checks.sort();
    assert_eq!(checks, [Some("call_seconds"), Some("concurrent_calls")]);
}

#[test]
fn a_failure_of_its_own_and_refused_arguments_are_no_denial() {
    for (arguments, error) in [
        (json!({ "misdeed": "panic" }), "ended"),
        (json!({ "misdeed": "nothing" }), "refused"),
        (json!({ "misdeed": "panic", "more": 1 }), "refused"),
    ] {
        let mut world = recorded("");

        world.try_with("misbehave", arguments);

        assert_eq!(on_record(&world), (Vec::new(), json!(error)));
    }
}

#[test]
fn a_flood_of_denials_is_counted_and_does_not_fill_the_disk() {
    let mut world = recorded("");
    let path = world.client.server.path("audit.jsonl");
    let attempt = world.attempt().path("/nowhere");
    let before = std::fs::metadata(&path).unwrap().len();

    let tried = world.try_with("flood", json!({ "attempt": attempt.0, "times": 3000 }));

    assert!(!tried.failed && tried.granted_saw.is_empty(), "{}", tried.text);
    let grown = std::fs::metadata(&path).unwrap().len() - before;
    assert!(grown < 64 << 10, "{grown} bytes");
    let records = log(&world);
    assert_eq!(of_type(&records, "denied").len(), 64);
    let result = of_type(&records, "tool.result")[0];
    assert_eq!((&result["denials"], &result["denials_not_recorded"]), (&json!(3000), &json!(2936)));
    // The rest of the session counts them all, and so does whoever reads the log.
    world.client.server.close_stdin();
    world.client.server.wait();
    let records = log(&world);
    assert_eq!(records.last().unwrap()["denials"], 3000);
    let shown = audit(["show", text(&path)]).stdout;
    assert!(shown.contains("flood: answered in") && shown.contains("2936 denials more than are shown"), "{shown}");
    let summary = audit(["summary", text(&path), "--json"]).json();
    let denied = summary["routes"].as_array().unwrap().iter().map(|row| row["denied"].as_u64().unwrap());
    assert_eq!(denied.sum::<u64>(), 3000);
}

#[test]
fn a_few_denials_are_on_record_one_by_one_and_an_innocent_call_counts_none() {
    let mut world = recorded("");
    let attempt = world.attempt();
    world.try_with("flood", json!({ "attempt": attempt.clone().path("/nowhere").0, "times": 3 }));
    world.try_as("fetch", &attempt);

    let records = log(&world);
    let results = of_type(&records, "tool.result");
    assert_eq!((&results[0]["denials"], &results[0]["denials_not_recorded"]), (&json!(3), &Value::Null));
    assert_eq!(results[1]["denials"], Value::Null);
    assert_eq!(of_type(&records, "denied").len(), 3);
}
