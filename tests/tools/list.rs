//! `list_models`: what is listed, and what a search finds.

use reference_gateway::{Answer, Fault, Gateway, NewMapping, Provider, What, When};
use serde_json::{Value, json};

use super::{MAPPINGS, MODELS, aliases, requests};
use crate::support::{ERAS, Era, Start, keys};

fn list(gateway: &Gateway, user: &str, arguments: Value) -> Value {
    Start::on(gateway, user).connect(Era::Modern).call("list_models", arguments).answer()
}

#[test]
fn built_in_models_are_flattened_with_the_provider_that_brings_them() {
    for era in ERAS {
        let gateway = Gateway::start();
        gateway.set_providers(vec![
            Provider::new("openai", "OpenAI", &["gpt-4o", "gpt-4"]),
            Provider::new("antigravity", "Google Cloud Code", &["gemini-2.5-pro"]),
        ]);

        let answer = Start::on(&gateway, "alice").connect(era).call("list_models", json!({})).answer();

        assert_eq!(
            answer,
            json!({
                "built_in_models": [
                    { "alias": "gemini-2.5-pro", "provider_id": "antigravity",
                      "provider_name": "Google Cloud Code", "model_name": "gemini-2.5-pro" },
                    { "alias": "gpt-4o", "provider_id": "openai", "provider_name": "OpenAI", "model_name": "gpt-4o" },
                    { "alias": "gpt-4", "provider_id": "openai", "provider_name": "OpenAI", "model_name": "gpt-4" },
                ],
                "custom_mappings": [],
                "total": 3
            })
        );
    }
}

#[test]
fn a_provider_without_models_and_a_model_that_is_no_text_are_passed_over() {
    let gateway = Gateway::start();
    let silent = Provider { models: None, ..Provider::new("glm", "Zhipu GLM", &[]) };
    let odd = Provider { models: Some(vec![json!(4), json!("gpt-4o")]), ..Provider::new("openai", "OpenAI", &[]) };
    gateway.set_providers(vec![silent, odd]);

    let answer = list(&gateway, "alice", json!({}));

    assert_eq!(aliases(&answer, "built_in_models"), ["gpt-4o"]);
    assert_eq!(answer["total"], 1);
}

#[test]
fn a_mapping_is_listed_with_its_scope_and_what_is_needed_to_choose_it() {
    for era in ERAS {
        let gateway = Gateway::start();
        gateway.set_providers(Vec::new());
        gateway.insert(NewMapping {
            description: "for tests".into(),
            enabled: false,
            ..NewMapping::owned_by("alice", "mine")
        });
        gateway.insert(NewMapping { priority: -1, ..NewMapping::global("everybodys") });

        let answer = Start::on(&gateway, "alice").connect(era).call("list_models", json!({})).answer();

        assert_eq!(
            answer["custom_mappings"],
            json!([
                { "alias": "mine", "provider_id": "openai", "model_name": "gpt-4o", "description": "for tests",
                  "enabled": false, "scope": "yours", "owner_id": gateway.owner_id("alice") },
                { "alias": "everybodys", "provider_id": "openai", "model_name": "gpt-4o", "enabled": true,
                  "scope": "global" },
            ])
        );
    }
}

#[test]
fn a_user_sees_own_and_global_mappings_and_an_administrator_everybodys() {
    let gateway = Gateway::start();
    gateway.insert(NewMapping::owned_by("alice", "a"));
    gateway.insert(NewMapping::owned_by("bob", "b"));
    gateway.insert(NewMapping::global("g"));

    for (user, seen) in [("alice", vec!["a", "g"]), ("bob", vec!["b", "g"]), ("root", vec!["a", "b", "g"])] {
        let answer = list(&gateway, user, json!({}));
        assert_eq!(aliases(&answer, "custom_mappings"), seen, "{user}");
        assert_eq!(answer["total"], 21 + seen.len(), "{user}: the total counts what this user sees");
    }
}

#[test]
fn every_page_of_mappings_is_read_and_none_twice() {
    let gateway = Gateway::start();
    gateway.set_providers(Vec::new());
    for number in 0..2500 {
        gateway.insert(NewMapping::owned_by("alice", &format!("m-{number:04}")));
    }

    let answer = list(&gateway, "alice", json!({ "search": "m-2" }));

    let expected: Vec<String> = (2000..2500).map(|number| format!("m-{number:04}")).collect();
    assert_eq!(answer["total"], 500);
    assert_eq!(aliases(&answer, "custom_mappings"), expected[..aliases(&answer, "custom_mappings").len()]);
    let mut pages = requests(&gateway);
    pages.sort();
    let page = |number| format!("GET {MAPPINGS}?page={number}&limit=1000");
    assert_eq!(pages, [page(1), page(2), page(3), format!("GET {MODELS}")]);
}

#[test]
fn the_key_goes_to_the_mappings_and_not_to_the_public_route() {
    let gateway = Gateway::start();

    list(&gateway, "alice", json!({}));

    for request in gateway.requests() {
        let key = request.header("x-api-key");
        assert_eq!(key, request.target.starts_with(MAPPINGS).then(|| gateway.key("alice")), "{}", request.target);
        assert_eq!(request.header("authorization"), None);
    }
}

#[test]
fn a_search_finds_parts_of_alias_model_and_provider_in_any_case() {
    let gateway = Gateway::start();
    gateway.set_providers(vec![
        Provider::new("openai", "OpenAI", &["gpt-4o", "o3"]),
        Provider::new("antigravity", "Google Cloud Code", &["gemini-2.5-pro"]),
    ]);
    let mapping = |alias: &str, provider: &str, model: &str| NewMapping {
        provider_id: provider.into(),
        model_name: model.into(),
        ..NewMapping::owned_by("alice", alias)
    };
    gateway.insert(mapping("fast", "antigravity", "gemini-2.5-flash"));
    gateway.insert(mapping("Größe", "openai", "o3"));
    let mut client = Start::on(&gateway, "alice").connect(Era::Modern);

    for (search, models, mappings) in [
        ("", vec!["gemini-2.5-pro", "gpt-4o", "o3"], vec!["fast", "Größe"]),
        ("gemini", vec!["gemini-2.5-pro"], vec!["fast"]),
        ("GPT-4O", vec!["gpt-4o"], vec![]),
        ("AST", vec![], vec!["fast"]),
        ("GRÖSSE", vec![], vec![]),
        ("GRÖß", vec![], vec!["Größe"]),
        ("OPENAI", vec!["gpt-4o", "o3"], vec!["Größe"]),
        ("cloud code", vec!["gemini-2.5-pro"], vec!["fast"]),
        ("no such thing", vec![], vec![]),
    ] {
        let answer = client.call("list_models", json!({ "search": search })).answer();
        assert_eq!(aliases(&answer, "built_in_models"), models, "{search}");
        assert_eq!(aliases(&answer, "custom_mappings"), mappings, "{search}");
        assert_eq!(answer["total"], models.len() + mappings.len(), "{search}: the total is what was found");
        assert_eq!(keys(&answer), ["built_in_models", "custom_mappings", "total"]);
    }
}

#[test]
fn what_the_gateway_announces_but_does_not_deliver_is_said() {
    let gateway = Gateway::start();
    gateway.insert(NewMapping::owned_by("alice", "only"));
    let short =
        r#"{"data":[{"id":1,"alias":"only","provider_id":"openai","model_name":"gpt-4o","enabled":true}],"total":7}"#;
    gateway.fault(Fault::new(When::get(MAPPINGS), What::Answer(Answer::json(200, short))));

    let answer = list(&gateway, "alice", json!({}));

    assert_eq!(aliases(&answer, "custom_mappings"), ["only"], "not twice, although page 2 repeats it");
    assert_eq!(answer["note"], "The gateway says that there are 7 mappings; 1 of them could be read");
}

#[test]
fn a_gateway_that_hands_out_tiny_pages_is_read_as_far_as_a_call_may_ask() {
    let gateway = Gateway::start();
    gateway.set_providers(Vec::new());
    for number in 0..100 {
        let row =
            format!(r#"{{"id":{number},"alias":"m-{number}","provider_id":"p","model_name":"m","enabled":true}}"#);
        let page = format!(r#"{{"data":[{row}],"total":100}}"#);
        gateway.fault(Fault::new(When::get(MAPPINGS), What::Answer(Answer::json(200, page))));
    }

    let answer = list(&gateway, "alice", json!({}));

    let read = answer["total"].as_u64().unwrap();
    assert!((50..100).contains(&read), "{answer}");
    assert_eq!(answer["note"], format!("The gateway says that there are 100 mappings; {read} of them could be read"));
}
