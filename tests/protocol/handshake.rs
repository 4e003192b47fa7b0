//! How a session is opened, and what each version's answers look like.

use serde_json::{Value, json};

use super::{LEGACY, LEGACY_VERSIONS, MODERN, VERSIONS, Version, ask, opened, request, without_gateway};
use crate::support::{initialize, keys, modern_meta};

const SERVER_INFO_KEY: &str = "io.modelcontextprotocol/serverInfo";

#[test]
fn a_legacy_version_is_agreed_on_as_asked_for() {
    for version in LEGACY_VERSIONS {
        let server = without_gateway();

        let result = ask(&server, &initialize(version))["result"].clone();

        assert_eq!(result["protocolVersion"], version);
        assert_eq!(result["capabilities"], json!({ "tools": {} }));
        assert_eq!(result["serverInfo"]["name"], "aigateway-mcp");
        assert!(result["instructions"].as_str().unwrap().contains("list_models"));
        assert_eq!(keys(&result), ["protocolVersion", "capabilities", "serverInfo", "instructions"]);
        server.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        let tools = ask(&server, &request(LEGACY, 1, "tools/list", json!({})));
        assert_eq!(keys(&tools["result"]), ["tools"]);
    }
}

#[test]
fn a_version_without_a_handshake_or_an_unknown_one_is_offered_the_newest_that_has_one() {
    for version in ["2026-07-28", "2099-01-01", "1.0", "", "2024-10-07", "🦀"] {
        let server = without_gateway();

        assert_eq!(ask(&server, &initialize(version))["result"]["protocolVersion"], "2025-11-25", "{version}");

        // What was agreed on counts from here: an answer of the older kind.
        let tools = ask(&server, &request(LEGACY, 1, "tools/list", json!({})));
        assert_eq!(keys(&tools["result"]), ["tools"], "{version}");
    }
}

#[test]
fn discover_names_every_version_and_tells_how_long_it_holds() {
    let server = without_gateway();

    let result = ask(&server, &request(MODERN, "d", "server/discover", json!({})))["result"].clone();

    let versions: Vec<&str> = LEGACY_VERSIONS.into_iter().chain(["2026-07-28"]).collect();
    assert_eq!(result["supportedVersions"], json!(versions));
    assert_eq!(result["capabilities"], json!({ "tools": {} }));
    assert_eq!(result["_meta"][SERVER_INFO_KEY]["name"], "aigateway-mcp");
    assert!(result["instructions"].as_str().unwrap().contains("list_models"));
    assert_cacheable(&result);
}

fn assert_cacheable(result: &Value) {
    assert_eq!(result["resultType"], "complete");
    assert!(result["ttlMs"].is_u64(), "{result}");
    assert!(matches!(result["cacheScope"].as_str(), Some("public" | "private")), "{result}");
}

#[test]
fn every_modern_result_says_its_type_and_its_server_and_no_legacy_one_does() {
    for version in VERSIONS {
        let (_gateway, server) = opened(version);
        let list = ask(&server, &request(version, 1, "tools/list", json!({})))["result"].clone();
        let good = ask(&server, &super::call(version, 2, "list_models", json!({})))["result"].clone();
        let bad =
            ask(&server, &super::call(version, 3, "delete_mapping", json!({ "alias": "none" })))["result"].clone();

        assert_eq!(bad["isError"], true);
        for result in [&list, &good, &bad] {
            let modern = version == MODERN;
            assert_eq!(result.get("resultType").is_some(), modern, "{result}");
            assert_eq!(result["_meta"][SERVER_INFO_KEY]["name"].is_string(), modern, "{result}");
        }
        match version {
            Version::Modern => assert_cacheable(&list),
            Version::Legacy(_) => assert_eq!(keys(&list), ["tools"]),
        }
    }
}

#[test]
fn a_modern_request_has_to_say_its_version_and_its_clients_capabilities() {
    let server = without_gateway();
    for missing in ["io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities"] {
        for method in ["server/discover", "tools/list", "tools/call"] {
            let mut request = request(MODERN, 1, method, json!({ "name": "list_models" }));
            request["params"]["_meta"].as_object_mut().unwrap().remove(missing);
            let error = ask(&server, &request)["error"].clone();
            assert_eq!(error["code"], -32602, "{method}: {error}");
            assert!(error["message"].as_str().unwrap().contains(missing), "{error}");
        }
    }
}

#[test]
fn a_request_in_an_unknown_version_is_told_the_known_ones() {
    let server = without_gateway();
    for method in ["server/discover", "tools/list"] {
        let mut request = request(MODERN, 1, method, json!({}));
        request["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2099-01-01".into();

        let error = ask(&server, &request)["error"].clone();

        assert_eq!(error["code"], -32022);
        assert_eq!(error["data"]["requested"], "2099-01-01");
        assert_eq!(error["data"]["supported"].as_array().unwrap().len(), 5);
    }
}

#[test]
fn a_client_that_discovers_first_may_still_initialize() {
    let server = without_gateway();

    ask(&server, &request(MODERN, 1, "server/discover", json!({})));
    assert_eq!(ask(&server, &initialize("2025-06-18"))["result"]["protocolVersion"], "2025-06-18");

    let tools = ask(&server, &request(LEGACY, 2, "tools/list", json!({})));
    assert_eq!(keys(&tools["result"]), ["tools"]);
}

#[test]
fn a_discover_that_is_refused_does_not_stand_in_the_way_of_initialize() {
    let server = without_gateway();
    assert_eq!(
        ask(&server, &json!({ "jsonrpc": "2.0", "id": 1, "method": "server/discover" }))["error"]["code"],
        -32602
    );
    assert_eq!(ask(&server, &initialize("2025-11-25"))["result"]["protocolVersion"], "2025-11-25");
}

#[test]
fn both_eras_are_served_side_by_side_in_one_process() {
    for first in [LEGACY, MODERN] {
        let server = without_gateway();
        let legacy = || {
            ask(&server, &initialize("2025-03-26"));
            let result = ask(&server, &request(LEGACY, 1, "tools/list", json!({})))["result"].clone();
            assert_eq!(keys(&result), ["tools"]);
        };
        let modern = || {
            let result = ask(&server, &request(MODERN, 2, "tools/list", json!({})))["result"].clone();
            assert_cacheable(&result);
        };

        match first {
            Version::Legacy(_) => [&legacy as &dyn Fn(), &modern, &legacy, &modern].map(|open| open()),
            Version::Modern => [&modern as &dyn Fn(), &legacy, &modern, &legacy].map(|open| open()),
        };
    }
}

#[test]
fn only_the_older_versions_have_a_ping_and_need_no_handshake_for_it() {
    let server = without_gateway();
    let ping = |params: Value| json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", "params": params });

    assert_eq!(ask(&server, &json!({ "jsonrpc": "2.0", "id": 0, "method": "ping" }))["result"], json!({}));
    assert_eq!(ask(&server, &ping(json!({})))["result"], json!({}));
    assert_eq!(ask(&server, &ping(json!({ "_meta": modern_meta() })))["error"]["code"], -32601);
    for version in LEGACY_VERSIONS {
        ask(&server, &initialize(version));
        assert_eq!(ask(&server, &ping(json!({})))["result"], json!({}));
    }
}

#[test]
fn the_version_without_a_handshake_has_no_initialize() {
    let server = without_gateway();
    let mut request = initialize("2025-11-25");
    request["params"]["_meta"] = modern_meta();

    for params in [request["params"].clone(), json!({ "_meta": modern_meta() })] {
        request["params"] = params;
        assert_eq!(ask(&server, &request)["error"]["code"], -32601, "{request}");
    }

    assert_eq!(ask(&server, &initialize("2025-11-25"))["result"]["protocolVersion"], "2025-11-25");
}

#[test]
fn what_the_server_does_not_declare_is_an_unknown_method() {
    let undeclared = [
        "prompts/list",
        "prompts/get",
        "resources/list",
        "resources/templates/list",
        "resources/read",
        "resources/subscribe",
        "resources/unsubscribe",
        "completion/complete",
        "logging/setLevel",
        "tasks/get",
        "tasks/cancel",
        "subscriptions/listen",
        "skills/list",
        "sampling/createMessage",
        "roots/list",
        "tools",
        "",
    ];
    for version in VERSIONS {
        let (_gateway, server) = opened(version);
        for method in undeclared {
            for params in [json!({}), json!({ "name": "a", "uri": "a:b", "level": "info", "taskId": "1" })] {
                let error = ask(&server, &request(version, 1, method, params))["error"].clone();
                assert_eq!(error["code"], -32601, "{version:?} {method}: {error}");
                assert!(error["message"].as_str().unwrap().contains(method), "{error}");
            }
        }
    }
}

#[test]
fn without_a_handshake_and_without_metadata_only_a_ping_is_answered() {
    let server = without_gateway();
    for method in ["tools/list", "tools/call"] {
        let request = request(LEGACY, 1, method, json!({ "name": "list_models" }));
        let error = ask(&server, &request)["error"].clone();
        assert_eq!(error["code"], -32602);
        assert!(error["message"].as_str().unwrap().contains("initialize"), "{error}");
    }
}

#[test]
fn a_malformed_initialize_is_refused_and_opens_nothing() {
    let server = without_gateway();
    for params in [json!({}), json!([]), json!("2025-11-25"), json!({ "protocolVersion": 5 })] {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
        assert_eq!(ask(&server, &request)["error"]["code"], -32602, "{request}");
    }
    let error = |params: Value| {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
        ask(&server, &request)["error"]["message"].as_str().unwrap().to_owned()
    };
    assert!(error(json!({})).ends_with("missing field `protocolVersion`"), "what is missing is told");
    let key_in_the_wrong_place = json!({ "protocolVersion": "2025-11-25", "capabilities": "ak_secret" });
    assert!(!error(key_in_the_wrong_place).contains("ak_"), "and nothing that was given");
    assert_eq!(ask(&server, &request(LEGACY, 1, "tools/list", json!({})))["error"]["code"], -32602);
    assert_eq!(ask(&server, &initialize("2025-11-25"))["result"]["protocolVersion"], "2025-11-25");
}
