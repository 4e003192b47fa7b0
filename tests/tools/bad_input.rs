//! Arguments that are not acceptable: one clear sentence each, nothing is sent, and the server lives.

use reference_gateway::Gateway;
use serde_json::{Value, json};

use super::{every_tool, gateway_with_a_mapping, requests};
use crate::support::form::assert_no_key;
use crate::support::{Client, ERAS, Era, Start};

const PLAIN: &str = "Choose an alias of 1 to 100 letters, digits, `-`, `_` or `.`.";
const EXISTING: &str = "Give the alias of an existing mapping; list_models shows them.";
const CORRECT: &str = "Correct the arguments and call it again.";

/// Makes each call, expects its failure and that nothing was sent, then makes a call that works.
fn refuses<const N: usize>(cases: [(&str, Value, String); N]) {
    for era in ERAS {
        let gateway = gateway_with_a_mapping();
        let mut client = Start::on(&gateway, "alice").connect(era);
        for (tool, arguments, expected) in &cases {
            let called = client.call(tool, arguments.clone());
            assert_eq!(called.failure(), expected, "{tool} {arguments}");
            assert!(requests(&gateway).is_empty(), "{tool} {arguments}");
        }
        assert_works(&mut client);
    }
}

fn assert_works(client: &mut Client) {
    assert_eq!(client.call("list_models", json!({ "search": "my-gpt" })).answer()["total"], 1);
}

fn create(alias: &str) -> Value {
    json!({ "alias": alias, "provider_id": "openai", "model_name": "gpt-4o" })
}

#[test]
fn an_unknown_tool_is_a_protocol_error_that_names_the_known_ones() {
    for era in ERAS {
        let gateway = gateway_with_a_mapping();
        let mut client = Start::on(&gateway, "alice").connect(era);

        for name in ["none", "", "List_Models", "list-models", "tools/list", "list_models "] {
            let answer = client.ask("tools/call", json!({ "name": name, "arguments": {} }));
            assert_eq!(answer["error"]["code"], -32602, "{answer}");
            let message = answer["error"]["message"].as_str().unwrap();
            assert!(message.ends_with("list_models, create_mapping, update_mapping, delete_mapping"), "{message}");
        }

        assert_works(&mut client);
    }
}

#[test]
fn missing_extra_and_wrongly_typed_arguments_are_named() {
    let failed = |tool: &str, what: &str| format!("Failed to call {tool}: {what}. {CORRECT}");
    refuses([
        ("create_mapping", json!({}), failed("create_mapping", "`alias` must be given, not absent")),
        (
            "create_mapping",
            json!({ "alias": "a", "provider_id": "openai" }),
            failed("create_mapping", "`model_name` must be given, not absent"),
        ),
        ("delete_mapping", json!({ "alias": null }), failed("delete_mapping", "`alias` must be a string, not null")),
        (
            "delete_mapping",
            json!({ "alias": "my-gpt", "force": true }),
            failed("delete_mapping", "`force` must be left out: there is only `alias`, `api_key`, not true"),
        ),
        (
            "delete_mapping",
            json!({ "alias": 5 }),
            failed("delete_mapping", "`alias` must be a string, not the number 5"),
        ),
        (
            "delete_mapping",
            json!({ "alias": ["my-gpt"] }),
            failed("delete_mapping", "`alias` must be a string, not an array"),
        ),
        (
            "create_mapping",
            json!({ "alias": "a", "provider_id": "anthropic", "model_name": "claude" }),
            failed(
                "create_mapping",
                "`provider_id` must be one of `antigravity`, `openai`, `glm`, not a string of 9 characters",
            ),
        ),
        (
            "update_mapping",
            json!({ "alias": "my-gpt", "enabled": "perhaps" }),
            failed("update_mapping", "`enabled` must be true or false, not a string of 7 characters"),
        ),
        (
            "list_models",
            json!({ "limit": -1 }),
            failed("list_models", "`limit` must be a whole number from 0 to 4294967295, not the number -1"),
        ),
        (
            "list_models",
            json!({ "offset": 1.5 }),
            failed("list_models", "`offset` must be a whole number from 0 to 4294967295, not the number 1.5"),
        ),
        (
            "list_models",
            json!({ "offset": { "from": 1 } }),
            failed("list_models", "`offset` must be a whole number from 0 to 4294967295, not an object"),
        ),
    ]);
}

#[test]
fn an_alias_that_a_mapping_cannot_have_is_refused_before_anything_is_sent() {
    let created = |alias: &str, what: &str| {
        let failure = format!("Failed to create mapping `{alias}`: `alias` {what}. {PLAIN}");
        ("create_mapping", create(alias), failure)
    };
    let slash = "contains a slash: the gateway's API cannot reach such a mapping by path";
    let long = "a".repeat(101);
    refuses([
        ("create_mapping", create(""), format!("Failed to create mapping: `alias` is empty. {PLAIN}")),
        created(".", "is `.`, which means a folder in a path"),
        created("..", "is `..`, which means a folder in a path"),
        created("../../health", slash),
        created("a\\b", slash),
        created("a b", "contains ` `"),
        created("my-gpt🦀", "contains `🦀`"),
        created(&long, "has 101 characters, more than 100"),
        (
            "create_mapping",
            create("a\nb\0"),
            format!("Failed to create mapping `a b `: `alias` contains a control character. {PLAIN}"),
        ),
        (
            "update_mapping",
            json!({ "alias": "my-gpt", "new_alias": "a/b" }),
            format!("Failed to update mapping `my-gpt`: `new_alias` {slash}. {PLAIN}"),
        ),
    ]);
}

#[test]
fn an_alias_that_would_leave_its_place_in_the_path_reaches_nothing() {
    let slash = "contains a slash: the gateway's API cannot reach such a mapping by path";
    for (tool, verb) in [("update_mapping", "update"), ("delete_mapping", "delete")] {
        let on = |alias: &str, what: &str| {
            let mut arguments = json!({ "alias": alias });
            if tool == "update_mapping" {
                arguments["description"] = json!("d");
            }
            let shown = if alias.is_empty() { String::new() } else { format!(" `{}`", alias.replace('\u{7f}', " ")) };
            (tool, arguments, format!("Failed to {verb} mapping{shown}: `alias` {what}. {EXISTING}"))
        };
        refuses([
            on("", "is empty"),
            on("..", "is `..`, which means a folder in a path"),
            on("../../../../health", slash),
            on("my-gpt/", slash),
            on("..\\..\\health", slash),
            on("my-gpt\u{7f}", "contains a control character"),
            on(&"é".repeat(101), "has 101 characters, more than 100"),
        ]);
    }
}

#[test]
fn values_that_the_gateway_could_not_store_are_refused_before_anything_is_sent() {
    let with = |field: &str, value: String, what: &str, next: &str| {
        let mut arguments = create("a");
        arguments[field] = Value::from(value);
        ("create_mapping", arguments, format!("Failed to create mapping `a`: `{field}` {what}. {next}."))
    };
    let see = "Call list_models to see the names that each provider knows";
    let plainer = "Give a shorter or plainer one";
    refuses([
        with("model_name", String::new(), "is empty", see),
        with("model_name", "  ".into(), "is empty", see),
        with("model_name", "ü".repeat(101), "has 101 characters, more than 100", see),
        with("model_name", "gpt\n4".into(), "contains a control character", see),
        with("description", "🦀".repeat(256), "has 256 characters, more than 255", plainer),
        with("description", "a\u{1b}[31mb".into(), "contains a control character", plainer),
        (
            "list_models",
            json!({ "limit": 0 }),
            "Failed to list models: `limit` is 0. Give 1 or more, or leave it out.".to_owned(),
        ),
    ]);
}

#[test]
fn values_in_strings_and_explicit_nulls_are_read_as_what_is_wanted() {
    let gateway = gateway_with_a_mapping();
    let mut client = Start::on(&gateway, "alice").connect(Era::Modern);

    let listed = client.call("list_models", json!({ "offset": "1", "limit": "2", "search": null, "api_key": null }));
    assert_eq!(listed.answer()["next_offset"], 3);
    let found = client.call("list_models", json!({ "search": "4", "limit": 3.0 }));
    assert!(found.answer()["total"].as_u64().unwrap() > 3, "a search for a digit stays text");
    let updated = client.call("update_mapping", json!({ "alias": "my-gpt", "enabled": "true", "description": "5" }));
    assert_eq!(updated.answer()["description"], "5");
}

#[test]
fn a_key_that_no_header_can_hold_is_refused_by_every_tool_without_being_shown() {
    for era in ERAS {
        let gateway = gateway_with_a_mapping();
        let mut client = Start::on(&gateway, "alice").connect(era);

        for key in ["ak_private\nx: y", "ak_privateü", "ak_private 456789abcdef", "ak_private\u{0}"] {
            for (tool, mut arguments) in every_tool() {
                arguments["api_key"] = Value::from(key);
                let called = client.call(tool, arguments);
                let failure = called.failure();
                assert!(failure.starts_with(&format!("Failed to call {tool}: `api_key` is not a usable key: it has ")));
                assert!(!failure.contains("private"), "{failure}");
            }
        }

        assert!(requests(&gateway).is_empty());
        assert!(!client.server.stderr().contains("private"));
        assert_no_key(&client.server.stderr());
        assert_works(&mut client);
    }
}

#[test]
fn a_key_in_the_wrong_place_is_not_repeated() {
    let gateway = Gateway::start();
    let mut client = Start::on(&gateway, "alice").connect(Era::Modern);

    for arguments in [json!({ "alias": "a", "key": gateway.key("bob") }), json!({ "provider_id": gateway.key("bob") })]
    {
        let called = client.call("create_mapping", arguments);
        assert!(!called.result.to_string().contains(&gateway.key("bob")[..9]), "{called:?}");
        called.failure();
    }
}
