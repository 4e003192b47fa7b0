//! Calls that a client cancels, and ids that are in use.

use std::time::{Duration, Instant};

use reference_gateway::{Answer, Fault, Gateway, What, When};
use serde_json::{Value, json};

use super::{VERSIONS, Version, ask, assert_lives, call, opened, sign_of_life, start_call, update};
use crate::support::Server;

/// Starts a call that the gateway does not answer, and waits until it is under way.
fn start_silent_call(gateway: &Gateway, server: &Server, version: Version, id: impl Into<Value>) {
    start_call(gateway, server, &update(version, id), What::Silence);
}

fn cancel(server: &Server, id: impl Into<Value>) {
    let params = json!({ "requestId": id.into(), "reason": "the user changed their mind" });
    server.send(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params }));
}

#[test]
fn a_cancelled_call_ends_at_the_gateway_and_is_not_answered() {
    for version in VERSIONS {
        for id in [json!(1), json!("one"), json!(""), json!(-7)] {
            let (gateway, server) = opened(version);
            start_silent_call(&gateway, &server, version, id.clone());

            let since = Instant::now();
            cancel(&server, id);

            gateway.wait_until("its connection is closed", |gateway| gateway.open_connections() == 0);
            assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
            assert_lives(&server);
            let next = ask(&server, &call(version, "next", "list_models", json!({})));
            assert!(next["result"]["structuredContent"].is_object(), "{next}");
        }
    }
}

/// How many requests have arrived, once no more do: what is asked at the same time need not arrive at the same time.
fn settled(gateway: &Gateway) -> usize {
    let mut requests = gateway.requests().len();
    loop {
        std::thread::sleep(Duration::from_millis(150));
        match gateway.requests().len() {
            count if count == requests => return count,
            count => requests = count,
        }
    }
}

/// How soon the gateway has to see it: far sooner than the request would be given up by itself.
const SOON: Duration = Duration::from_secs(3);

#[test]
fn a_call_that_is_cancelled_while_it_writes_or_looks_is_broken_off_and_sends_nothing_more() {
    let mapping = json!({ "alias": "new", "provider_id": "openai", "model_name": "gpt-4o" });
    let failing = || What::Answer(Answer::empty(503));
    for version in VERSIONS {
        for (tool, arguments, method, looks) in [
            ("create_mapping", mapping.clone(), "POST", false),
            ("create_mapping", mapping.clone(), "POST", true),
            ("update_mapping", json!({ "alias": "mine", "model_name": "glm-4" }), "PUT", false),
            ("update_mapping", json!({ "alias": "mine", "model_name": "glm-4" }), "PUT", true),
            ("delete_mapping", json!({ "alias": "mine" }), "DELETE", false),
            ("delete_mapping", json!({ "alias": "mine" }), "DELETE", true),
        ] {
            let (gateway, server) = opened(version);
            let write = When::method(method, "/api/v1/model-mappings");
            gateway.fault(Fault::new(write, if looks { failing() } else { What::Silence }));
            let (look, reads_before) = (When::get("/api/v1/model-mappings/"), usize::from(tool != "create_mapping"));
            if looks {
                gateway.fault(Fault::new(look.nth(1 + reads_before).always(), What::Silence));
            }
            server.send(&call(version, 1, tool, arguments));
            let written = |gateway: &Gateway| gateway.requests().iter().position(|request| request.method == method);
            gateway.wait_until("it is under way", |gateway| {
                written(gateway).is_some_and(|at| gateway.requests().len() > at + usize::from(looks))
            });
            let requests = settled(&gateway);
            let open = gateway.open_connections();

            let since = Instant::now();
            cancel(&server, 1);

            gateway.wait_until("its connection is closed", |gateway| gateway.open_connections() < open);
            assert!(since.elapsed() < SOON, "{tool}: {:?}", since.elapsed());
            assert_lives(&server);
            assert_eq!(gateway.requests().len(), requests, "{tool}: nothing more is sent");
        }
    }
}

#[test]
fn only_the_call_that_was_cancelled_ends() {
    for version in VERSIONS {
        let (gateway, server) = opened(version);
        start_silent_call(&gateway, &server, version, 1);
        start_silent_call(&gateway, &server, version, "1");
        start_silent_call(&gateway, &server, version, 2);

        cancel(&server, "1");

        gateway.wait_until("one connection is closed", |gateway| gateway.open_connections() == 2);
        assert_lives(&server);
        assert_eq!(gateway.open_connections(), 2);
        gateway.close_connections();
        let mut answered = [server.receive()["id"].clone(), server.receive()["id"].clone()];
        answered.sort_by_key(Value::as_i64);
        assert_eq!(answered, [1, 2]);
    }
}

#[test]
fn the_id_of_a_cancelled_call_is_free_for_another_one_at_once() {
    for version in VERSIONS {
        let (gateway, server) = opened(version);
        for _ in 0..20 {
            start_silent_call(&gateway, &server, version, "again");
            // In one write: the first call has no time to end before the second begins.
            let cancelled =
                json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": "again" } });
            let second = call(version, "again", "list_models", json!({ "limit": 1 }));
            server.send_bytes(format!("{cancelled}\n{second}\n").as_bytes());

            let answer = server.receive();

            assert_eq!(answer["id"], "again");
            assert!(answer["result"]["structuredContent"].is_object(), "the answer to the second: {answer}");
        }
        assert_lives(&server);
    }
}

#[test]
fn cancelling_what_is_not_under_way_does_no_harm() {
    for version in VERSIONS {
        let (_gateway, server) = opened(version);
        ask(&server, &call(version, 1, "list_models", json!({})));
        cancel(&server, 1);
        cancel(&server, "never seen");
        assert!(ask(&server, &call(version, 1, "list_models", json!({}))).get("result").is_some());
        cancel(&server, 1);
        cancel(&server, 1);
        assert_lives(&server);
    }
}

#[test]
fn a_call_that_is_cancelled_right_after_it_was_sent_is_answered_once_or_not_at_all() {
    for version in VERSIONS {
        let (_gateway, server) = opened(version);
        for id in 0..50 {
            server.send(&call(version, id, "list_models", json!({})));
            cancel(&server, id);
        }
        server.send(&sign_of_life(version, "end"));
        let mut answered = Vec::new();
        loop {
            let id = server.receive()["id"].clone();
            if id == "end" {
                break;
            }
            assert!(!answered.contains(&id), "{id} twice");
            answered.push(id);
        }
        assert_lives(&server);
    }
}

#[test]
fn a_cancelled_call_that_waits_for_its_turn_never_reaches_the_gateway() {
    for version in VERSIONS {
        let (gateway, server) = opened(version);
        for id in 0..16 {
            start_silent_call(&gateway, &server, version, id);
        }
        server.send(&update(version, "waiting"));

        cancel(&server, "waiting");
        cancel(&server, 0);

        gateway.wait_until("one is closed", |gateway| gateway.open_connections() == 15);
        let answer = ask(&server, &call(version, "next", "list_models", json!({ "limit": 1 })));
        assert!(answer["result"]["structuredContent"].is_object(), "{answer}");
        let of_next = gateway.requests().len() - 16;
        gateway.clear_requests();
        ask(&server, &call(version, "again", "list_models", json!({ "limit": 1 })));
        assert_eq!(of_next, gateway.requests().len(), "as many as a call makes, and none for the one that waited");
    }
}

#[test]
fn a_second_request_with_an_id_in_use_is_refused_and_the_first_is_answered() {
    for version in VERSIONS {
        let (gateway, server) = opened(version);
        for id in [json!(5), json!("five")] {
            start_silent_call(&gateway, &server, version, id.clone());

            let second = ask(&server, &call(version, id.clone(), "list_models", json!({})));
            assert_eq!(second["error"]["code"], -32600, "{second}");
            let third = ask(&server, &sign_of_life(version, id.clone()));
            assert_eq!(third["error"]["code"], -32600, "{third}");

            gateway.close_connections();
            let first = server.receive();
            assert_eq!(first["id"], id);
            assert!(first.get("result").is_some(), "{first}");
            assert!(ask(&server, &sign_of_life(version, id)).get("result").is_some(), "the id is free again");
        }
    }
}
