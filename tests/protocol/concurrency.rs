//! Many requests at once.

use std::collections::HashSet;

use reference_gateway::{Fault, NewMapping, What, When};
use serde_json::{Value, json};

use super::{VERSIONS, ask, assert_lives, assert_sound, call, opened, request, sign_of_life, start_call, update};

#[test]
fn a_slow_gateway_delays_neither_a_sign_of_life_nor_other_calls() {
    for version in VERSIONS {
        let (gateway, server) = opened(version);
        start_call(&gateway, &server, &update(version, "slow"), What::Silence);

        // `ask` fails when an answer to another request comes first.
        ask(&server, &sign_of_life(version, 1));
        ask(&server, &request(version, 2, "tools/list", json!({})));
        assert!(ask(&server, &call(version, 3, "list_models", json!({})))["result"]["structuredContent"].is_object());
        let mapping = json!({ "alias": "quick", "provider_id": "glm", "model_name": "glm-4" });
        assert_eq!(
            ask(&server, &call(version, 4, "create_mapping", mapping))["result"]["structuredContent"]["alias"],
            "quick"
        );

        gateway.close_connections();
        assert_eq!(server.receive()["id"], "slow");
    }
}

#[test]
fn no_more_calls_run_at_once_than_the_limit_and_the_others_wait() {
    for version in VERSIONS {
        let (gateway, server) = opened(version);
        gateway.fault(Fault::new(When::any().times(16), What::Silence));
        for id in 0..20 {
            server.send(&update(version, id));
        }
        gateway.wait_until("sixteen are under way", |gateway| gateway.requests().len() >= 16);
        for id in 100..110 {
            ask(&server, &sign_of_life(version, id));
        }
        assert_eq!(gateway.requests().len(), 16);

        gateway.close_connections();
        let answered: HashSet<Value> = (0..20).map(|_| server.receive()["id"].clone()).collect();
        assert_eq!(answered.len(), 20);
    }
}

#[test]
fn a_thousand_pipelined_requests_are_each_answered_once_with_their_own_answer() {
    for version in VERSIONS {
        let (gateway, server) = opened(version);
        for alias in 0..10 {
            gateway.insert(NewMapping::owned_by("alice", &format!("alias-{alias}")));
        }
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for id in 0..1000 {
                    server.send(&match id % 5 {
                        0 => sign_of_life(version, id),
                        1 => request(version, id, "tools/list", json!({})),
                        2 => call(version, id, "no_such_tool", json!({})),
                        3 => call(version, id, "create_mapping", json!({ "alias": id })),
                        _ => call(version, id, "list_models", json!({ "search": format!("alias-{}", id % 10) })),
                    });
                }
            });
            let mut answered = HashSet::new();
            for _ in 0..1000 {
                let answer = server.receive();
                assert_sound(&answer);
                let id = answer["id"].as_u64().unwrap_or_else(|| panic!("{answer}"));
                assert!(answered.insert(id), "{id} is answered twice");
                assert_own_answer(id, &answer);
            }
        });
        assert_lives(&server);
    }
}

/// Whether an answer is the one to the request of this number.
fn assert_own_answer(id: u64, answer: &Value) {
    let own = match id % 5 {
        0 => {
            answer.get("result").is_some_and(|result| result.get("tools").is_none() && result.get("content").is_none())
        }
        1 => answer["result"]["tools"].is_array(),
        2 => answer["error"]["code"] == -32602,
        3 => answer["result"]["isError"] == true,
        _ => answer["result"]["structuredContent"]["custom_mappings"][0]["alias"] == format!("alias-{}", id % 10),
    };
    assert!(own, "{id}: {answer}");
}
