//! Progress of calls, for clients that ask for it.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use reference_gateway::{Fault, Gateway, NewMapping, What, When};
use serde_json::{Value, json};

use super::ending::assert_child_ends;
use super::{VERSIONS, Version, ask, assert_lives, assert_sound, call, opened, start_call, update};
use crate::support::{Server, Start, keys};

/// More than a few pages: a page has 1000.
const MANY: usize = 4500;

/// Longer than the time between two words on a call, even on a busy machine.
const SLOW: Duration = Duration::from_millis(150);

/// A gateway with so many mappings that a list needs several pages, each of which takes a while.
fn with_many_pages(version: Version) -> (Gateway, Server) {
    let (gateway, server) = opened(version);
    for number in 0..MANY {
        gateway.insert(NewMapping::owned_by("alice", &format!("alias-{number}")));
    }
    // Several are asked for at once; so their answers come one after the other all the same.
    for page in 1..=5 {
        let request = When::get(&format!("/api/v1/model-mappings?page={page}&"));
        gateway.fault(Fault::new(request, What::Delay(SLOW * page)));
    }
    (gateway, server)
}

fn with_token(mut call: Value, token: impl Into<Value>) -> Value {
    call["params"]["_meta"]["progressToken"] = token.into();
    call
}

/// What is told of a call before its answer, and that.
fn told(server: &Server, id: &Value) -> (Vec<Value>, Value) {
    let mut steps = Vec::new();
    loop {
        let line = server.receive();
        if line["method"].is_null() {
            assert_sound(&line);
            assert_eq!(line["id"], *id);
            return (steps, line);
        }
        assert_eq!(line["method"], "notifications/progress");
        assert_eq!(keys(&line), ["jsonrpc", "method", "params"]);
        steps.push(line["params"].clone());
    }
}

#[test]
fn a_long_list_tells_its_progress_in_words_and_then_answers() {
    for version in VERSIONS {
        let (gateway, server) = with_many_pages(version);

        server.send(&with_token(call(version, "long", "list_models", json!({ "limit": 1 })), "a token"));
        let (steps, answer) = told(&server, &json!("long"));

        assert!(answer["result"]["structuredContent"]["total"].as_u64() > Some(MANY as u64), "{answer}");
        let requests = gateway.requests().len() as f64;
        let counts: Vec<f64> = steps.iter().map(|step| step["progress"].as_f64().unwrap()).collect();
        assert!(counts.len() >= 3, "{steps:?}");
        assert!(counts.is_sorted_by(|one, next| one < next), "{counts:?}");
        assert!(counts[0] >= 1.0 && counts.last().unwrap() <= &requests, "{counts:?} of {requests}");
        for step in &steps {
            assert_eq!(step["progressToken"], "a token");
            assert!(step["message"].as_str().unwrap().ends_with(" answered"), "{step}");
        }
        assert_lives(&server);
    }
}

#[test]
fn nothing_is_told_without_a_token() {
    for version in VERSIONS {
        let (_gateway, server) = with_many_pages(version);
        server.send(&call(version, 1, "list_models", json!({ "limit": 1 })));
        assert_eq!(told(&server, &json!(1)).0, [] as [Value; 0]);
        assert_lives(&server);
    }
}

#[test]
fn a_token_of_any_kind_does_no_harm_and_comes_back_as_it_was() {
    for version in VERSIONS {
        let (gateway, server) = opened(version);
        for token in [json!("t"), json!(7), json!(""), json!(-1), json!("7")] {
            gateway.fault(Fault::new(When::get("/v1/models"), What::Delay(SLOW)));
            server.send(&with_token(call(version, 1, "list_models", json!({})), token.clone()));
            let (steps, answer) = told(&server, &json!(1));
            assert!(answer["result"]["structuredContent"].is_object(), "{answer}");
            assert!(!steps.is_empty() && steps.iter().all(|step| step["progressToken"] == token), "{token}: {steps:?}");
        }
        for token in [json!({}), json!(null), json!([1]), json!(true)] {
            let answer = ask(&server, &with_token(call(version, 2, "list_models", json!({})), token));
            assert!(answer["result"]["structuredContent"].is_object(), "{answer}");
        }
    }
}

#[test]
fn two_calls_with_tokens_of_their_own_are_told_apart() {
    for version in VERSIONS {
        let (gateway, server) = opened(version);
        start_call(&gateway, &server, &with_token(update(version, "quiet"), "quiet"), What::Silence);

        gateway.fault(Fault::new(When::get("/v1/models"), What::Delay(SLOW)));
        server.send(&with_token(call(version, "told", "list_models", json!({})), "told"));
        let (steps, _) = told(&server, &json!("told"));

        assert!(!steps.is_empty() && steps.iter().all(|step| step["progressToken"] == "told"), "{steps:?}");
        gateway.close_connections();
        let (steps, _) = told(&server, &json!("quiet"));
        assert!(steps.iter().all(|step| step["progressToken"] == "quiet"), "{steps:?}");
    }
}

#[test]
fn nothing_is_told_of_a_call_that_was_cancelled() {
    for version in VERSIONS {
        let (gateway, server) = with_many_pages(version);
        gateway.clear_faults();
        for page in 2..=5 {
            let request = When::get(&format!("/api/v1/model-mappings?page={page}&"));
            gateway.fault(Fault::new(request, What::Silence));
        }
        server.send(&with_token(call(version, "off", "list_models", json!({ "limit": 1 })), "token"));
        assert!(server.receive()["params"]["progress"].as_f64() >= Some(1.0));
        gateway.wait_until("it waits for all pages", |gateway| gateway.requests().len() == 6);

        let cancelled =
            json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": "off" } });
        server.send(&cancelled);
        // What was told before it was read comes before the answer to what was sent after it.
        server.send(&super::sign_of_life(version, "after"));
        while server.receive()["id"] != "after" {}

        // There were four; of the two before them each may have been used again.
        gateway.wait_until("what was not answered is closed", |gateway| gateway.open_connections() <= 2);
        assert_lives(&server);
    }
}

#[test]
fn nothing_is_told_after_the_answer() {
    for version in VERSIONS {
        let (_gateway, server) = opened(version);
        for id in 0..50 {
            server.send(&with_token(call(version, id, "list_models", json!({})), id));
            // `told` fails when a word on an earlier call comes.
            let (steps, _) = told(&server, &json!(id));
            assert!(steps.iter().all(|step| step["progressToken"] == id), "{steps:?}");
        }
        assert_lives(&server);
    }
}

#[test]
fn a_client_that_does_not_read_is_told_no_more_than_it_can_read_and_the_server_ends_in_time() {
    let gateway = Gateway::start();
    gateway.fault(Fault::new(When::get("/v1/models").always(), What::Delay(SLOW)));
    let start = Start::on(&gateway, "alice");
    let mut command = start.command();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for id in 0..200 {
        writeln!(stdin, "{}", with_token(call(Version::Modern, id, "list_models", json!({})), id)).unwrap();
    }
    gateway.wait_until("the calls are under way", |gateway| gateway.requests().len() >= 100);

    let since = Instant::now();
    super::ending::signal(child.id(), rustix::process::Signal::TERM);

    let text = String::from_utf8(assert_child_ends(&mut child, since)).unwrap();
    assert!(text.ends_with('\n'));
    assert!(text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
}
