//! `create_mapping`.

use reference_gateway::{Answer, Database, Fault, Gateway, NewMapping, Provider, What, When};
use serde_json::{Value, json};

use super::{MAPPINGS, warnings, writes};
use crate::support::{ERAS, Era, Start};

fn new(alias: &str) -> Value {
    json!({ "alias": alias, "provider_id": "openai", "model_name": "gpt-4o" })
}

#[test]
fn a_created_mapping_is_answered_as_it_is_stored() {
    for era in ERAS {
        let gateway = Gateway::builder().utc_offset_minutes(120).start().unwrap();
        let mut client = Start::on(&gateway, "alice").connect(era);

        let created = client.call(
            "create_mapping",
            json!({ "alias": "my-gpt", "provider_id": "openai", "model_name": "gpt-4-turbo", "description": "mine" }),
        );

        let answer = created.answer();
        let stored = &gateway.mappings()[0];
        assert_eq!(answer["alias"], "my-gpt");
        assert_eq!(answer["provider_id"], "openai");
        assert_eq!(answer["model_name"], "gpt-4-turbo");
        assert_eq!(answer["description"], "mine");
        assert_eq!(answer["enabled"], true);
        assert_eq!(answer["priority"], 0);
        assert_eq!(answer["id"], stored.id);
        assert_eq!(answer["scope"], "yours");
        assert_eq!(answer["owner_id"], gateway.owner_id("alice"));
        assert!(answer["created_at"].as_str().unwrap().ends_with("+02:00"), "as the gateway wrote it: {answer}");
        assert!(answer.get("warnings").is_none(), "{answer}");
    }
}

#[test]
fn each_provider_is_sent_as_the_gateway_knows_it() {
    let gateway = Gateway::start();
    let mut client = Start::on(&gateway, "alice").connect(Era::Modern);

    for (provider, model) in [("antigravity", "gemini-2.5-pro"), ("openai", "gpt-4o"), ("glm", "glm-4")] {
        let created = client.call(
            "create_mapping",
            json!({ "alias": format!("my-{provider}"), "provider_id": provider, "model_name": model }),
        );
        assert_eq!(created.answer()["provider_id"], provider);
        assert!(created.answer().get("warnings").is_none(), "{}", created.answer());
    }
}

#[test]
fn without_a_description_there_is_none() {
    let gateway = Gateway::start();
    let mut client = Start::on(&gateway, "alice").connect(Era::Modern);

    for (alias, description) in [("absent", None), ("null", Some(Value::Null)), ("empty", Some(json!("")))] {
        let mut arguments = new(alias);
        if let Some(description) = description {
            arguments["description"] = description;
        }
        let answer = client.call("create_mapping", arguments).answer();
        assert!(answer.get("description").is_none(), "{alias}: {answer}");
    }

    assert!(gateway.mappings().iter().all(|mapping| mapping.description.is_empty()));
}

#[test]
fn text_of_any_script_and_punctuation_is_stored_as_it_was_given() {
    let gateway = Gateway::start();
    let mut client = Start::on(&gateway, "alice").connect(Era::Legacy);
    let description = "„Größe“ <b>&amp;</b> \"quoted\" \\ 🦀\n\tsecond line";
    let model = "ft:gpt-4o/größe <&> 🦀";

    let created = client.call(
        "create_mapping",
        json!({ "alias": "odd", "provider_id": "openai", "model_name": model, "description": description }),
    );

    assert_eq!(created.answer()["description"], description);
    assert_eq!(created.answer()["model_name"], model);
    assert_eq!(gateway.mappings()[0].description, description);
    assert_eq!(gateway.mappings()[0].model_name, model);
}

#[test]
fn the_longest_acceptable_values_are_accepted() {
    let gateway = Gateway::start();
    let mut client = Start::on(&gateway, "alice").connect(Era::Modern);

    let created = client.call(
        "create_mapping",
        json!({ "alias": "a".repeat(100), "provider_id": "openai", "model_name": "ü".repeat(100), "description": "🦀".repeat(255) }),
    );

    assert_eq!(created.answer()["alias"], "a".repeat(100));
    assert_eq!(created.answer()["description"], "🦀".repeat(255));
}

#[test]
fn an_alias_that_hides_a_built_in_model_is_warned_about() {
    for era in ERAS {
        let gateway = Gateway::start();
        let mut client = Start::on(&gateway, "alice").connect(era);

        let created = client.call("create_mapping", new("GPT-4-turbo"));

        assert_eq!(
            warnings(&created.answer()),
            "the alias `GPT-4-turbo` hides the built-in model of that name of `openai`: requests for it now go to \
             `openai` / `gpt-4o`, for every user"
        );
    }
}

#[test]
fn a_model_that_its_provider_does_not_list_is_warned_about() {
    let gateway = Gateway::start();
    let mut client = Start::on(&gateway, "alice").connect(Era::Modern);

    let created = client.call("create_mapping", json!({ "alias": "a", "provider_id": "glm", "model_name": "gpt-4o" }));

    assert_eq!(
        warnings(&created.answer()),
        "`glm` lists no model `gpt-4o`: the mapping may not work (list_models shows those it lists)"
    );
}

#[test]
fn a_provider_that_the_gateway_does_not_list_is_warned_about() {
    let gateway = Gateway::start();
    gateway.set_providers(vec![Provider::new("glm", "Zhipu GLM", &["glm-4"])]);
    let mut client = Start::on(&gateway, "alice").connect(Era::Modern);

    let created = client.call("create_mapping", new("a"));

    assert_eq!(
        warnings(&created.answer()),
        "the gateway lists no provider `openai` at present: the mapping may not work"
    );
}

#[test]
fn a_taken_alias_is_recognised_behind_the_gateways_500() {
    for era in ERAS {
        for database in [Database::MariaDb, Database::MySql] {
            let gateway = Gateway::builder().database(database).start().unwrap();
            gateway.insert(NewMapping::owned_by("alice", "mine"));
            gateway.insert(NewMapping::owned_by("bob", "bobs"));
            gateway.insert(NewMapping::global("everybodys"));
            let before = gateway.mappings();
            let mut client = Start::on(&gateway, "alice").connect(era);

            for alias in ["mine", "MINE", "bobs", "Everybodys"] {
                let failure = client.call("create_mapping", new(alias));
                assert_eq!(
                    failure.failure(),
                    format!(
                        "Failed to create mapping `{alias}`: the alias is already taken (aliases are unique across all \
                         users, and upper and lower case are the same). Choose another alias, or change the mapping with \
                         update_mapping if it is yours."
                    )
                );
            }

            assert_eq!(gateway.mappings(), before);
        }
    }
}

#[test]
fn a_field_that_is_too_long_for_the_database_is_recognised_behind_the_gateways_500() {
    let gateway = Gateway::start();
    let refusal = r#"{"error":"Error 1406 (22001): Data too long for column 'model_name' at row 1"}"#;
    gateway.fault(Fault::new(When::post(MAPPINGS), What::Answer(Answer::json(500, refusal))));
    let mut client = Start::on(&gateway, "alice").connect(Era::Modern);

    let failure = client.call("create_mapping", new("a"));

    assert_eq!(
        failure.failure(),
        "Failed to create mapping `a`: `model_name` is too long for the gateway to store. Choose a shorter value for it."
    );
}

#[test]
fn of_two_creates_of_one_alias_at_the_same_time_one_wins() {
    let gateway = Gateway::start();
    let mut client = Start::on(&gateway, "alice").connect(Era::Legacy);
    let create = |model: &str| json!({ "name": "create_mapping", "arguments": { "alias": "race", "provider_id": "openai", "model_name": model } });
    let requests = ["gpt-4o", "gpt-4"].map(|model| client.request("tools/call", create(model)));

    for request in &requests {
        client.server.send(request);
    }
    let answers = [client.server.receive(), client.server.receive()];

    let (lost, won): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer["result"]["isError"] == true);
    assert_eq!((lost.len(), won.len()), (1, 1), "{answers:?}");
    assert!(lost[0].to_string().contains("the alias is already taken"), "{}", lost[0]);
    assert_eq!(gateway.mappings().len(), 1);
    assert_eq!(won[0]["result"]["structuredContent"]["model_name"], gateway.mappings()[0].model_name);
    assert_eq!(writes(&gateway).len(), 2);
}

#[test]
fn what_an_administrator_creates_is_global() {
    let gateway = Gateway::start();
    let mut client = Start::on(&gateway, "root").connect(Era::Modern);

    let answer = client.call("create_mapping", new("everybodys")).answer();

    assert_eq!(answer["scope"], "global");
    assert!(answer.get("owner_id").is_none(), "{answer}");
}

#[test]
fn a_user_who_may_not_manage_mappings_is_told_so() {
    let gateway = Gateway::start();
    let mut client = Start::on(&gateway, "pat").connect(Era::Modern);

    let failure = client.call("create_mapping", new("a"));

    assert_eq!(
        failure.failure(),
        "Failed to create mapping `a`: the API key's user may not do this: the gateway answered 403 (`insufficient \
         permissions`). Use the key of a user who may manage model mappings."
    );
}
