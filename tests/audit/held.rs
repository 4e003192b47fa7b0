//! The log while another process holds its file: what goes on record waits, and nothing else.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reference_gateway::{Fault, Gateway, What, When};
use serde_json::{Value, json};

use super::{audit, of_type, recorded, records, text};
use crate::hostile_suite::probe::{GRANTS, World};
use crate::support::{Client, Era, PATIENCE, Server};

/// How long a slow gateway takes: the time for what a test does meanwhile.
const SLOW: Duration = Duration::from_secs(1);

/// Another process that holds the file.
fn held(log: &Path) -> File {
    let file = File::open(log).unwrap();
    file.lock().unwrap();
    file
}

fn list(client: &mut Client) -> Value {
    client.request("tools/call", json!({ "name": "list_models", "arguments": {} }))
}

/// The server answers other requests, and that to this one is not there yet.
fn assert_answers_others(client: &mut Client) {
    let ping = client.request("ping", json!({}));
    assert_eq!(client.server.ask(&ping)["result"], json!({}));
}

/// Waits until the log has so many records of one type.
fn wait_for(log: &Path, kind: &str, count: usize) {
    let since = Instant::now();
    while of_type(&records(log), kind).len() < count {
        assert!(since.elapsed() < PATIENCE, "{count} of {kind} are not on record: {:#?}", records(log));
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A server with a call under way whose two requests are on record, and that is answered after a while.
fn slow_call(gateway: &Gateway) -> (Client, Value) {
    let mut client = recorded(gateway).connect(Era::Legacy);
    gateway.fault(Fault::new(When::any().times(2), What::Delay(SLOW)));
    let call = list(&mut client);
    client.server.send(&call);
    wait_for(&log(&client.server), "egress.intent", 2);
    (client, call)
}

/// A call that makes one request after the other, and its log, held while the first one is under way.
fn first_of_two_requests(grants: &str) -> (World, Value, File) {
    let mut world = World::with(grants, |start, _| start.args(["--audit-log", "audit.jsonl"]));
    world.granted.fault(Fault::new(When::any(), What::Delay(SLOW)));
    let arguments = json!({ "name": "fetch", "arguments": { "attempt": world.attempt().set("repeat", 2).0 } });
    let call = world.client.request("tools/call", arguments);
    world.client.server.send(&call);
    let log = log(&world.client.server);
    wait_for(&log, "egress.intent", 1);
    (world, call, held(&log))
}

/// A server whose call is cancelled while its log is held.
fn cancelled_call(gateway: &Gateway) -> (Client, File) {
    let (mut client, call) = slow_call(gateway);
    let file = held(&log(&client.server));
    let cancelled = json!({ "requestId": call["id"] });
    client.server.send(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled }));
    assert_answers_others(&mut client);
    (client, file)
}

fn log(server: &Server) -> std::path::PathBuf {
    server.path("audit.jsonl")
}

fn assert_verified(log: &Path) {
    let ran = audit(["verify", text(log)]);
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
}

#[test]
fn a_call_waits_for_its_record_and_nothing_else_does() {
    let gateway = Gateway::start();
    let mut client = recorded(&gateway).connect(Era::Legacy);
    let log = log(&client.server);

    let file = held(&log);
    let call = list(&mut client);
    client.server.send(&call);
    assert_answers_others(&mut client);
    assert!(gateway.requests().is_empty());
    drop(file);

    let answer = client.server.receive();
    assert_eq!((&answer["id"], &answer["result"]["isError"]), (&call["id"], &json!(false)), "{answer}");
    assert_eq!(of_type(&records(&log), "tool.result").len(), 1);
    assert_verified(&log);
}

#[test]
fn a_request_waits_for_its_record_before_it_is_sent() {
    let (mut world, call, file) = first_of_two_requests(GRANTS);
    std::thread::sleep(SLOW * 3 / 2);
    assert_answers_others(&mut world.client);
    assert_eq!(world.granted.requests().len(), 1);
    drop(file);

    let answer = world.client.server.receive();
    assert_eq!((&answer["id"], &answer["result"]["isError"]), (&call["id"], &json!(false)), "{answer}");
    assert_eq!(world.granted.requests().len(), 2);
}

#[test]
fn a_request_whose_time_is_up_before_it_is_on_record_is_denied_and_was_not_sent() {
    let grants = format!("{GRANTS}[limits]\nrequest_seconds = 2\n");
    let (world, _, file) = first_of_two_requests(&grants);
    // A record is given up after 3 s.
    std::thread::sleep(SLOW * 2 + Duration::from_millis(1400));
    drop(file);

    let answer = world.client.server.receive();
    let said =
        "by the check `audit`: another process kept the audit log from being written within `request_seconds` = 2";
    assert!(answer["result"].to_string().contains(said), "{answer}");
    assert_eq!(world.granted.requests().len(), 1);
    let records = records(&log(&world.client.server));
    assert_eq!(of_type(&records, "denied")[0]["check"], "audit");
}

#[test]
fn what_happens_meanwhile_is_on_record_before_the_calls_result() {
    let gateway = Gateway::start();
    let (mut client, call) = slow_call(&gateway);
    let log = log(&client.server);

    let file = held(&log);
    std::thread::sleep(SLOW * 3 / 2);
    assert_answers_others(&mut client);
    drop(file);

    let answer = client.server.receive();
    assert_eq!((&answer["id"], &answer["result"]["isError"]), (&call["id"], &json!(false)), "{answer}");
    let records = records(&log);
    let after = &records[records.len() - 3..];
    let kinds: Vec<_> = after.iter().map(|record| record["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["egress.outcome", "egress.outcome", "tool.result"]);
    for record in after {
        let (happened, time) = (record["happened"].as_str().unwrap(), record["time"].as_str().unwrap());
        assert!(happened < time, "{record}");
    }
    assert_eq!(answer["result"]["_meta"]["aigateway-mcp/audit-head"]["seq"], after[2]["seq"]);
    assert_verified(&log);
}

#[test]
fn what_is_cancelled_meanwhile_is_on_record_once_it_can_be() {
    let gateway = Gateway::start();
    let (client, file) = cancelled_call(&gateway);
    let log = log(&client.server);
    gateway.wait_until("its connections are closed", |gateway| gateway.open_connections() == 0);
    assert!(of_type(&records(&log), "tool.result").is_empty());
    drop(file);

    // Nothing else is put on record, and the session goes on.
    wait_for(&log, "tool.result", 1);
    wait_for(&log, "egress.outcome", 2);
    let records = records(&log);
    assert!(records[records.len() - 3..].iter().all(|record| record["happened"].is_string()), "{records:#?}");
    assert_verified(&log);
}

#[test]
fn results_that_wait_for_one_another_say_when_they_happened() {
    let gateway = Gateway::start();
    let mut client = recorded(&gateway).connect(Era::Legacy);
    let log = log(&client.server);
    gateway.fault(Fault::new(When::any().times(6), What::Delay(SLOW)));
    for _ in 0..3 {
        let call = list(&mut client);
        client.server.send(&call);
    }
    wait_for(&log, "egress.intent", 6);

    let file = held(&log);
    std::thread::sleep(SLOW * 3 / 2);
    drop(file);
    (0..3).for_each(|_| drop(client.server.receive()));

    let records = records(&log);
    let results = of_type(&records, "tool.result");
    let happened: Vec<_> = results.iter().filter_map(|result| result["happened"].as_str()).collect();
    assert_eq!(happened.len(), 3, "{records:#?}");
    assert!(happened.iter().all(|happened| *happened < results[0]["time"].as_str().unwrap()), "{results:#?}");
}

/// What nobody waits for is looked at seldom while another process is stopped with the file.
#[cfg(target_os = "linux")]
#[test]
fn what_is_held_for_long_costs_little() {
    let gateway = Gateway::start();
    let (client, file) = cancelled_call(&gateway);
    std::thread::sleep(Duration::from_millis(3500));

    let before = client.server.context_switches();
    std::thread::sleep(Duration::from_secs(2));
    let switches = client.server.context_switches().saturating_sub(before);
    drop(file);

    assert!(switches < 1000, "{switches} in two seconds");
    wait_for(&log(&client.server), "tool.result", 1);
}

#[test]
fn whoever_does_not_let_go_denies_calls_until_it_does() {
    let gateway = Gateway::start();
    let mut client = recorded(&gateway).connect(Era::Legacy);
    let log = log(&client.server);

    let file = held(&log);
    let since = Instant::now();
    client.call("list_models", json!({})).failure();
    assert!(since.elapsed() >= Duration::from_secs(3), "{:?}", since.elapsed());
    client.server.wait_for_stderr("another process holds it");
    assert!(gateway.requests().is_empty());
    drop(file);

    client.call("list_models", json!({})).answer();
    assert_eq!(of_type(&records(&log), "denied").len(), 1);
}

/// Tells a thread to end, even when a test fails.
struct AtTheEnd<'a>(&'a AtomicBool);

impl Drop for AtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn whoever_lets_go_for_moments_only_keeps_nobody_out() {
    let gateway = Gateway::start();
    let mut client = recorded(&gateway).connect(Era::Legacy);
    let log = log(&client.server);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _at_the_end = AtTheEnd(&over);
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let file = held(&log);
                std::thread::sleep(Duration::from_millis(5));
                drop(file);
                // What a server does between two records.
                std::thread::sleep(Duration::from_micros(50));
            }
        });
        let calls: Vec<_> = (0..8).map(|_| list(&mut client)).collect();
        calls.iter().for_each(|call| client.server.send(call));
        let answers: Vec<_> = calls.iter().map(|_| client.server.receive()).collect();
        assert!(answers.iter().all(|answer| answer["result"]["isError"] == false), "{answers:?}");
    });
    assert_verified(&log);
}

#[test]
fn nobody_is_kept_from_ending_and_what_is_lost_is_told() {
    let gateway = Gateway::start();
    let (client, _) = slow_call(&gateway);

    let _file = held(&log(&client.server));
    let since = Instant::now();
    client.server.close_stdin();
    client.server.wait();

    assert!(since.elapsed() < Duration::from_secs(2), "it took {:?}", since.elapsed());
    client.server.wait_for_stderr("the end of the session is not on record, nor are 3 records before it");
}

#[test]
fn a_result_that_waits_at_the_end_comes_before_the_end_of_the_session() {
    let gateway = Gateway::start();
    let (client, _) = slow_call(&gateway);
    let log = log(&client.server);

    let file = held(&log);
    let since = Instant::now();
    client.server.close_stdin();
    // The call has had its time then, and is dropped while it waits for its record.
    std::thread::sleep(Duration::from_millis(1400));
    drop(file);
    // By then the server may have waited for long enough, on a busy machine.
    let late = since.elapsed() > Duration::from_millis(1500);
    client.server.wait();

    let records = records(&log);
    let lost = of_type(&records, "session.end").is_empty();
    assert!(!lost || late, "the end waits for the file");
    assert_eq!(of_type(&records, "tool.result").len(), usize::from(!lost), "{records:#?}");
    assert_eq!(of_type(&records, "session.end").len(), usize::from(!lost), "{records:#?}");
    if !lost {
        let last: Vec<_> = records[records.len() - 2..].iter().map(|record| &record["type"]).collect();
        assert_eq!(last, ["session.end", "checkpoint"]);
    }
}
