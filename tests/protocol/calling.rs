//! Calls: results, failures, and what is an error of the protocol.

use reference_gateway::{Answer, Fault, Gateway, What, When};
use serde_json::{Value, json};

use super::schema::mismatch;
use super::{LEGACY, VERSIONS, Version, ask, assert_lives, call, opened, opened_with, request};
use crate::support::{Era, Server, Start, keys};

/// The text of a result, which must be all that it contains besides the structure.
fn text(result: &Value) -> &str {
    let content = result["content"].as_array().unwrap_or_else(|| panic!("no content: {result}"));
    assert_eq!(content.len(), 1, "{result}");
    assert_eq!(keys(&content[0]), ["type", "text"]);
    content[0]["text"].as_str().unwrap()
}

fn succeeded(version: Version, server: &Server, tool: &str, arguments: Value) -> Value {
    let result = ask(server, &call(version, 9, tool, arguments))["result"].clone();
    assert_ne!(result["isError"], true, "{result}");
    result["structuredContent"].clone()
}

fn failed(version: Version, server: &Server, tool: &str, arguments: Value) -> String {
    let answer = ask(server, &call(version, 9, tool, arguments));
    let result = &answer["result"];
    assert_eq!(result["isError"], true, "{answer}");
    assert!(result.get("structuredContent").is_none(), "{answer}");
    let text = text(result).to_owned();
    assert!(text.starts_with("Error: Failed to ") && text.ends_with('.'), "{text}");
    text
}

#[test]
fn every_result_matches_its_schema_and_is_repeated_as_compact_text() {
    for version in VERSIONS {
        let (_gateway, server) = opened(version);
        let list = ask(&server, &request(version, 1, "tools/list", json!({})));
        let tools = list["result"]["tools"].as_array().unwrap();
        let mapping = json!({ "alias": "new", "provider_id": "glm", "model_name": "glm-4" });
        let described =
            json!({ "alias": "d", "provider_id": "openai", "model_name": "odd", "description": "ü\n\"<&>" });
        let calls = [
            ("list_models", json!({})),
            ("list_models", json!({ "search": "nothing has this" })),
            ("list_models", json!({ "limit": 1 })),
            ("create_mapping", mapping),
            ("create_mapping", described),
            ("update_mapping", json!({ "alias": "new", "model_name": "glm-4-flash", "enabled": true })),
            ("delete_mapping", json!({ "alias": "new" })),
            ("delete_mapping", json!({ "alias": "d" })),
        ];
        for (tool, arguments) in calls {
            let answer = ask(&server, &call(version, 1, tool, arguments.clone()));
            let result = &answer["result"];
            let structured = &result["structuredContent"];

            assert!(structured.is_object(), "{tool} {arguments}: {answer}");
            assert_ne!(result["isError"], true);
            assert_eq!(text(result), structured.to_string(), "the same JSON, compact, in the same order");
            let schema = &tools.iter().find(|listed| listed["name"] == tool).unwrap()["outputSchema"];
            assert_eq!(mismatch(schema, structured), None, "{tool} {arguments}: {structured}");
        }
    }
}

#[test]
fn the_schema_check_of_these_tests_finds_what_is_wrong() {
    let (_gateway, server) = opened(LEGACY);
    let list = ask(&server, &request(LEGACY, 1, "tools/list", json!({})));
    let schema = &list["result"]["tools"][0]["outputSchema"];
    let good = succeeded(LEGACY, &server, "list_models", json!({}));
    let spoiled = |spoil: fn(&mut Value)| {
        let mut bad = good.clone();
        spoil(&mut bad);
        mismatch(schema, &bad)
    };
    assert_eq!(mismatch(schema, &good), None);
    assert!(spoiled(|bad| bad["total"] = "5".into()).is_some());
    assert!(spoiled(|bad| bad["total"] = (-1).into()).is_some());
    assert!(spoiled(|bad| bad["extra"] = 1.into()).is_some());
    assert!(spoiled(|bad| bad["note"] = Value::Null).is_some());
    assert!(spoiled(|bad| bad["custom_mappings"][0]["scope"] = "theirs".into()).is_some());
    assert!(spoiled(|bad| _ = bad.as_object_mut().unwrap().remove("built_in_models")).is_some());
}

#[test]
fn an_unknown_tool_is_an_error_of_the_protocol_that_names_the_known_ones() {
    for version in VERSIONS {
        let (_gateway, server) = opened(version);
        for name in ["no_such_tool", "", "list-models", "LIST_MODELS", "list_models ", "🦀", "__proto__"] {
            let error = ask(&server, &call(version, 1, name, json!({})))["error"].clone();
            assert_eq!(error["code"], -32602, "{name}: {error}");
            assert!(error["message"].as_str().unwrap().contains("create_mapping"), "{error}");
        }
    }
}

#[test]
fn a_malformed_call_is_an_error_of_the_protocol() {
    let malformed = [
        json!({}),
        json!({ "arguments": {} }),
        json!({ "name": 5 }),
        json!({ "name": Value::Null }),
        json!({ "name": ["list_models"] }),
        json!({ "name": "list_models", "arguments": [] }),
        json!({ "name": "list_models", "arguments": "{}" }),
        json!({ "name": "list_models", "arguments": 7 }),
        json!({ "name": "list_models", "arguments": Value::Null }),
    ];
    for version in VERSIONS {
        let (gateway, server) = opened(version);
        for params in &malformed {
            let answer = ask(&server, &request(version, 1, "tools/call", params.clone()));
            assert_eq!(answer["error"]["code"], -32602, "{params}: {answer}");
        }
        for params in [json!([]), json!("list_models"), json!(1), Value::Null] {
            let answer = ask(&server, &json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }));
            assert_eq!(answer["error"]["code"], -32602, "{params}: {answer}");
        }
        let answer = ask(&server, &json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call" }));
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        assert!(gateway.requests().is_empty());
    }
}

#[test]
fn a_call_without_arguments_is_one_with_none() {
    for version in VERSIONS {
        let (_gateway, server) = opened(version);
        let answer = ask(&server, &request(version, 1, "tools/call", json!({ "name": "list_models" })));
        assert!(answer["result"]["structuredContent"]["total"].is_u64(), "{answer}");
    }
}

#[test]
fn wrong_arguments_are_a_failure_that_a_model_can_mend() {
    let wrong = [
        ("create_mapping", json!({}), "alias"),
        ("create_mapping", json!({ "alias": "a", "provider_id": "nobody", "model_name": "m" }), "provider_id"),
        ("create_mapping", json!({ "alias": 5, "provider_id": "glm", "model_name": "m" }), "alias"),
        ("delete_mapping", json!({ "alias": Value::Null }), "alias"),
        ("delete_mapping", json!({ "alias": "a", "force": true }), "force"),
        ("list_models", json!({ "limit": -1 }), "limit"),
        ("list_models", json!({ "limit": 1.5 }), "limit"),
        ("list_models", json!({ "limit": "many" }), "limit"),
        ("list_models", json!({ "limit": 1e300 }), "limit"),
        ("update_mapping", json!({ "alias": "mine", "enabled": "yes" }), "enabled"),
    ];
    for version in VERSIONS {
        let (gateway, server) = opened(version);
        for (tool, arguments, named) in &wrong {
            let text = failed(version, &server, tool, arguments.clone());
            assert!(text.contains(&format!("`{named}`")), "{arguments}: {text}");
        }
        assert!(gateway.requests().is_empty(), "nothing was sent");
    }
}

#[test]
fn what_goes_wrong_at_the_gateway_is_a_failure_and_not_an_error_of_the_protocol() {
    for version in VERSIONS {
        let (gateway, server) = opened(version);
        for what in [What::Answer(Answer::html(502)), What::Reset, What::Bytes(b"SSH-2.0-x\r\n".to_vec())] {
            gateway.fault(Fault::new(When::any().always(), what));
            failed(version, &server, "list_models", json!({}));
            gateway.clear_faults();
        }
        gateway.stop();
        failed(version, &server, "list_models", json!({}));
        assert_lives(&server);
    }
}

#[test]
fn a_call_without_a_key_says_which_variable_to_set() {
    let gateway = Gateway::start();
    for version in VERSIONS {
        let server = opened_with(Start::on(&gateway, "alice").without("AIGATEWAY_API_KEY"), version);
        assert!(failed(version, &server, "list_models", json!({})).contains("AIGATEWAY_API_KEY"));
    }
}

#[test]
fn arguments_that_arrive_as_strings_are_read_as_what_the_schema_wants() {
    for version in VERSIONS {
        let (_gateway, server) = opened(version);
        let page = |limit: Value, offset: Value| {
            succeeded(version, &server, "list_models", json!({ "limit": limit, "offset": offset }))
        };
        assert_eq!(page("2".into(), "1".into()), page(2.into(), 1.into()));
        assert_eq!(page("2.0".into(), 1.0.into()), page(2.into(), 1.into()));
        let updated = succeeded(version, &server, "update_mapping", json!({ "alias": "mine", "model_name": "5" }));
        assert_eq!(updated["model_name"], "5", "a string stays one where one is wanted");
        let updated = json!({ "alias": "mine", "model_name": "6", "enabled": "true" });
        assert_eq!(succeeded(version, &server, "update_mapping", updated)["enabled"], true);
    }
}

#[test]
fn a_null_for_an_optional_parameter_is_as_if_it_were_absent() {
    for version in VERSIONS {
        let (_gateway, server) = opened(version);
        let nulls = json!({ "search": null, "offset": null, "limit": null, "api_key": null });
        let list = succeeded(version, &server, "list_models", nulls);
        assert_eq!(list, succeeded(version, &server, "list_models", json!({})));
        let mapping = json!({ "alias": "n", "provider_id": "glm", "model_name": "glm-4", "description": null });
        assert!(succeeded(version, &server, "create_mapping", mapping).get("description").is_none());
    }
}

#[test]
fn arguments_never_reach_the_log() {
    let gateway = Gateway::start();
    let start = Start::on(&gateway, "alice").args(["--log-level", "debug"]).env("RUST_LOG", "trace");
    let mut client = start.connect(Era::Legacy);
    client.call("list_models", json!({ "search": "private-matter" })).answer();
    client.call("list_models", json!({ "limit": "private-matter" })).failure();
    client.server.close_stdin();
    client.server.wait();
    let said = client.server.wait_for_stderr("starting");
    assert!(!said.contains("private-matter"), "{said}");
}
