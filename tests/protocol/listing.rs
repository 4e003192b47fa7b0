//! The list of tools.

use serde_json::{Value, json};

use super::schema::lint_root;
use super::{LEGACY, MODERN, VERSIONS, Version, ask, opened_with, request};
use crate::support::{Start, keys};

fn tools(version: Version, start: Start) -> Vec<Value> {
    let server = opened_with(start, version);
    let answer = ask(&server, &request(version, 1, "tools/list", json!({})));
    answer["result"]["tools"].as_array().unwrap().clone()
}

fn names(tools: &[Value]) -> Vec<&str> {
    tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

#[test]
fn the_list_is_the_same_in_every_version_and_every_time() {
    let mut lists = Vec::new();
    for version in VERSIONS {
        let server = opened_with(Start::bare(), version);
        for id in 0..3 {
            lists.push(ask(&server, &request(version, id, "tools/list", json!({})))["result"]["tools"].to_string());
        }
    }
    assert!(lists.iter().all(|list| *list == lists[0]));
}

#[test]
fn the_tools_come_in_the_order_of_their_contract() {
    for version in VERSIONS {
        let tools = tools(version, Start::bare());
        assert_eq!(names(&tools), ["list_models", "create_mapping", "update_mapping", "delete_mapping"]);
    }
}

#[test]
fn every_tool_has_what_a_client_shows_and_nothing_else() {
    for tool in tools(MODERN, Start::bare()) {
        assert_eq!(
            keys(&tool),
            ["name", "title", "description", "inputSchema", "outputSchema", "annotations"],
            "{tool}"
        );
        assert!(tool["description"].as_str().unwrap().len() > 50);
        assert!(!tool["title"].as_str().unwrap().contains('_'));
    }
}

#[test]
fn required_parameters_come_first_and_the_key_last() {
    for tool in tools(LEGACY, Start::bare()) {
        let schema = &tool["inputSchema"];
        let required: Vec<&str> = schema["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let properties = keys(&schema["properties"]);
        assert_eq!(properties[..required.len()], required, "{tool}");
        assert_eq!(properties.last(), Some(&"api_key"));
        assert!(!required.contains(&"api_key"));
    }
}

#[test]
fn the_parameters_are_those_of_the_contract() {
    let tools = tools(LEGACY, Start::bare());
    let parameters: Vec<Vec<&str>> = tools.iter().map(|tool| keys(&tool["inputSchema"]["properties"])).collect();
    assert_eq!(
        parameters,
        [
            vec!["search", "offset", "limit", "api_key"],
            vec!["alias", "provider_id", "model_name", "description", "api_key"],
            vec!["alias", "new_alias", "provider_id", "model_name", "description", "enabled", "api_key"],
            vec!["alias", "api_key"],
        ]
    );
}

#[test]
fn every_schema_is_one_that_all_clients_take() {
    for tool in tools(MODERN, Start::bare()) {
        lint_root(&tool["inputSchema"]);
        lint_root(&tool["outputSchema"]);
        for (name, property) in tool["inputSchema"]["properties"].as_object().unwrap() {
            assert!(property["description"].is_string(), "{name} of {} is not described", tool["name"]);
        }
    }
}

#[test]
fn the_hints_follow_from_the_granted_routes() {
    let hints = |tool: &Value| {
        let hints = &tool["annotations"];
        ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"]
            .map(|hint| hints[hint].as_bool().unwrap())
    };
    let tools = tools(LEGACY, Start::bare());
    assert_eq!(hints(&tools[0]), [true, false, true, true], "list_models");
    assert_eq!(hints(&tools[1]), [false, false, false, true], "create_mapping");
    assert_eq!(hints(&tools[2]), [false, true, true, true], "update_mapping");
    assert_eq!(hints(&tools[3]), [false, true, true, true], "delete_mapping");
}

#[test]
fn another_grant_file_gives_other_tools_and_other_hints() {
    let grants = r#"
        version  = 1
        base_url = "http://localhost:8088"
        [tools]
        update_mapping = ["GET /api/v1/model-mappings/{alias}"]
        list_models    = ["POST /v1/models"]
    "#;
    let start = Start::bare().file("grants.toml", grants).args(["--grants", "grants.toml"]);

    let tools = tools(LEGACY, start);

    assert_eq!(names(&tools), ["list_models", "update_mapping"]);
    assert_eq!(tools[0]["annotations"]["readOnlyHint"], false);
    assert_eq!(tools[0]["annotations"]["idempotentHint"], false);
    assert_eq!(tools[1]["annotations"]["readOnlyHint"], true);
}

#[test]
fn a_server_without_a_gateway_and_without_a_key_starts_and_lists() {
    let start = Start::bare().env("AIGATEWAY_URL", "http://127.0.0.1:1");
    assert_eq!(tools(MODERN, start).len(), 4);
}
