//! A server that is killed at any moment.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use reference_gateway::Gateway;
use serde_json::{Value, json};

use super::{audit, of_type, text};
use crate::support::{Era, Start};

/// How often the server is killed.
const ROUNDS: u64 = 100;

/// Verifies a log whose writer was killed: it is whole, or incomplete by exactly a torn line. Whether it is torn.
fn is_torn(log: &Path) -> bool {
    let bytes = fs::read(log).unwrap();
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let torn = whole < bytes.len();
    let ran = audit(["verify", text(log)]);
    assert_eq!(ran.status.code(), Some(if torn { 2 } else { 0 }), "{ran:?}");
    if torn {
        let without = log.with_extension("whole");
        fs::write(&without, &bytes[..whole]).unwrap();
        assert_eq!(audit(["verify", text(&without)]).status.code(), Some(0), "without the torn line");
    }
    torn
}

/// The records of a log in which lines may be torn.
fn whole_records(log: &Path) -> Vec<Value> {
    let bytes = fs::read(log).unwrap();
    bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

/// How often each method and path comes.
fn counted<'a>(requests: impl Iterator<Item = (&'a str, &'a str)>) -> HashMap<(&'a str, &'a str), usize> {
    requests.fold(HashMap::new(), |mut counts, request| {
        *counts.entry(request).or_default() += 1;
        counts
    })
}

/// Every request that the gateway saw has an intent of its own on record.
fn assert_accounts_for(log: &Path, gateway: &Gateway) -> usize {
    let (records, requests) = (whole_records(log), gateway.requests());
    let intents = of_type(&records, "egress.intent");
    let text = |record: &'_ Value, key: &str| record[key].as_str().unwrap().to_owned();
    let intents: Vec<_> = intents.iter().map(|r| (text(r, "http.request.method"), text(r, "url.path"))).collect();
    let on_record = counted(intents.iter().map(|(method, path)| (method.as_str(), path.as_str())));
    let seen = counted(requests.iter().map(|request| {
        let path = request.target.split('?').next().unwrap_or_default();
        (request.method.as_str(), path)
    }));
    for (request, count) in seen {
        let intents = on_record.get(&request).copied().unwrap_or_default();
        assert!(intents >= count, "{request:?} came {count} times, and is on record {intents} times");
    }
    requests.len()
}

/// The calls with which the server is kept busy: they read, create, change and delete.
fn call(at: u64) -> (&'static str, Value) {
    let alias = format!("alias-{}", at / 4);
    match at % 4 {
        0 => ("create_mapping", json!({ "alias": alias, "provider_id": "openai", "model_name": "gpt-4o" })),
        1 => ("update_mapping", json!({ "alias": alias, "model_name": "gpt-4-turbo" })),
        2 => ("delete_mapping", json!({ "alias": alias })),
        _ => ("list_models", json!({})),
    }
}

#[test]
fn killed_at_any_moment_it_leaves_a_log_that_accounts_for_every_request() {
    let folder = tempfile::tempdir().unwrap();
    let (mut interrupted, mut requests) = (0, 0);
    for round in 0..ROUNDS {
        let gateway = Gateway::start();
        let log = folder.path().join(format!("{}.jsonl", round / 10));
        let before = fs::read(&log).unwrap_or_default().len();
        let start = Start::on(&gateway, "alice").args(["--audit-log", text(&log)]);
        let mut client = start.connect(Era::Legacy);
        for at in 0..24 {
            let (tool, arguments) = call(at);
            let request = client.request("tools/call", json!({ "name": tool, "arguments": arguments }));
            client.server.send(&request);
        }
        // A different moment each time: after so many answers, and some microseconds.
        (0..round % 7).for_each(|_| _ = client.server.receive());
        std::thread::sleep(Duration::from_micros(round * 379 % 15_000));
        drop(client);

        // What was sent before the end still arrives.
        gateway.wait_until("its connections are closed", |gateway| gateway.open_connections() == 0);
        is_torn(&log);
        let session = folder.path().join("session.jsonl");
        fs::write(&session, &fs::read(&log).unwrap()[before..]).unwrap();
        requests += assert_accounts_for(&session, &gateway);
        let records = whole_records(&session);
        interrupted += usize::from(of_type(&records, "tool.result").len() < of_type(&records, "tool.call").len());
    }
    assert!(interrupted > ROUNDS as usize / 4, "it was busy in {interrupted} of {ROUNDS} rounds");
    assert!(requests > ROUNDS as usize, "{requests} requests");

    for log in (0..ROUNDS / 10).map(|at| folder.path().join(format!("{at}.jsonl"))) {
        let gateway = Gateway::start();
        Start::on(&gateway, "alice").args(["--audit-log", text(&log), "call", "list_models"]).run();
        assert!(!is_torn(&log), "the next session closes what is torn");
    }
}
