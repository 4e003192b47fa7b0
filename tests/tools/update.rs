//! `update_mapping`: changes that the gateway stores.

use reference_gateway::{Gateway, NewMapping};
use serde_json::{Value, json};

use super::{MAPPING, MODELS, gateway_with_a_mapping, requests, warnings, writes};
use crate::support::{ERAS, Era, Start};

#[test]
fn each_field_alone_changes_and_all_others_stay() {
    for era in ERAS {
        for (field, stored_as, value) in [
            ("new_alias", "alias", json!("other")),
            ("provider_id", "provider_id", json!("glm")),
            ("model_name", "model_name", json!("gpt-4-turbo")),
            ("description", "description", json!("new words")),
            ("enabled", "enabled", json!(true)),
        ] {
            let gateway = Gateway::start();
            let before = gateway.insert(NewMapping {
                description: "old words".into(),
                enabled: false,
                priority: 3,
                ..NewMapping::owned_by("alice", "my-gpt")
            });
            let mut client = Start::on(&gateway, "alice").connect(era);
            let mut arguments = json!({ "alias": "my-gpt" });
            arguments[field] = value.clone();

            let answer = client.call("update_mapping", arguments).answer();

            let mut expected = json!({
                "id": before.id, "alias": "my-gpt", "provider_id": "openai", "model_name": "gpt-4o",
                "description": "old words", "enabled": false, "priority": 3, "scope": "yours",
                "owner_id": gateway.owner_id("alice"),
            });
            expected[stored_as] = value;
            for (key, value) in expected.as_object().unwrap() {
                assert_eq!(answer[key], *value, "{field} → {key}");
            }
            let stored = &gateway.mappings()[0];
            assert_eq!(expected["alias"], stored.alias);
            assert_eq!(expected["description"], stored.description);
            assert_eq!(expected["enabled"], stored.enabled);
            assert_eq!(expected["priority"], stored.priority);
        }
    }
}

#[test]
fn several_fields_change_at_once() {
    let gateway = gateway_with_a_mapping();
    let mut client = Start::on(&gateway, "alice").connect(Era::Modern);

    let answer = client
        .call(
            "update_mapping",
            json!({ "alias": "my-gpt", "new_alias": "my-glm", "provider_id": "glm", "model_name": "glm-4", "description": "d" }),
        )
        .answer();

    assert_eq!(
        ["alias", "provider_id", "model_name", "description"].map(|field| answer[field].as_str().unwrap().to_owned()),
        ["my-glm", "glm", "glm-4", "d"]
    );
    assert_eq!(writes(&gateway).len(), 1);
}

#[test]
fn a_rename_keeps_the_mapping_and_frees_its_old_name() {
    for era in ERAS {
        let gateway = gateway_with_a_mapping();
        let before = &gateway.mappings()[0];
        let mut client = Start::on(&gateway, "alice").connect(era);

        let answer = client.call("update_mapping", json!({ "alias": "my-gpt", "new_alias": "renamed" })).answer();

        assert_eq!((&answer["id"], &answer["alias"]), (&json!(before.id), &json!("renamed")));
        let after = gateway.mappings();
        assert_eq!(after.len(), 1);
        assert_eq!((after[0].id, after[0].created_at_ms), (before.id, before.created_at_ms));
        let gone = client.call("delete_mapping", json!({ "alias": "my-gpt" }));
        assert!(gone.failure().contains("there is no such mapping"), "{gone:?}");
    }
}

#[test]
fn a_rename_may_change_nothing_but_the_case() {
    let gateway = gateway_with_a_mapping();
    let mut client = Start::on(&gateway, "alice").connect(Era::Modern);

    let answer = client.call("update_mapping", json!({ "alias": "my-gpt", "new_alias": "My-GPT" })).answer();

    assert_eq!(answer["alias"], "My-GPT");
    assert_eq!(gateway.mappings()[0].alias, "My-GPT");
}

#[test]
fn a_rename_onto_a_taken_alias_is_refused_and_changes_nothing() {
    for era in ERAS {
        let gateway = gateway_with_a_mapping();
        gateway.insert(NewMapping::owned_by("alice", "mine"));
        gateway.insert(NewMapping::owned_by("bob", "bobs"));
        let before = gateway.mappings();
        let mut client = Start::on(&gateway, "alice").connect(era);

        for taken in ["mine", "bobs", "BOBS"] {
            let failure = client.call("update_mapping", json!({ "alias": "my-gpt", "new_alias": taken }));
            assert_eq!(
                failure.failure(),
                "Failed to update mapping `my-gpt`: the alias is already taken (aliases are unique across all users, and \
                 upper and lower case are the same). Choose another alias, or change the mapping with update_mapping if \
                 it is yours."
            );
        }

        assert_eq!(gateway.mappings(), before);
    }
}

#[test]
fn a_mapping_is_found_by_any_spelling_and_written_by_the_gateways_own() {
    let gateway = gateway_with_a_mapping();
    let mut client = Start::on(&gateway, "alice").connect(Era::Legacy);

    let answer = client.call("update_mapping", json!({ "alias": "MY-GPT", "description": "d" })).answer();

    assert_eq!(answer["alias"], "my-gpt");
    assert_eq!(
        requests(&gateway),
        [format!("GET {MAPPING}MY-GPT"), format!("PUT {MAPPING}my-gpt"), format!("GET {MAPPING}my-gpt")]
    );
}

#[test]
fn any_alias_that_a_path_can_hold_is_reached_and_kept() {
    let gateway = Gateway::start();
    let odd = ["a b", "50%", "what?", "a#b", "c++", "a&b=c", "\"q'", "größe", "🦀", "..;", "%2e%2e"];
    for alias in odd {
        gateway.insert(NewMapping::owned_by("alice", alias));
    }
    let mut client = Start::on(&gateway, "alice").connect(Era::Modern);

    for alias in odd {
        let answer = client.call("update_mapping", json!({ "alias": alias, "description": alias })).answer();
        assert_eq!((&answer["alias"], &answer["description"]), (&json!(alias), &json!(alias)));
    }

    assert!(gateway.mappings().iter().all(|mapping| mapping.description == mapping.alias));
}

#[test]
fn without_anything_to_change_nothing_is_sent() {
    for era in ERAS {
        let gateway = gateway_with_a_mapping();
        let mut client = Start::on(&gateway, "alice").connect(era);

        let failure = client.call("update_mapping", json!({ "alias": "my-gpt", "description": null }));

        assert_eq!(
            failure.failure(),
            "Failed to update mapping `my-gpt`: nothing to change was given. Give at least one of new_alias, provider_id, \
             model_name, description and enabled."
        );
        assert!(requests(&gateway).is_empty());
    }
}

#[test]
fn a_mapping_that_already_is_as_asked_is_not_written() {
    for era in ERAS {
        let gateway = gateway_with_a_mapping();
        let before = gateway.mappings();
        let mut client = Start::on(&gateway, "alice").connect(era);

        let answer = client
            .call(
                "update_mapping",
                json!({ "alias": "my-gpt", "new_alias": "my-gpt", "provider_id": "openai", "model_name": "gpt-4o",
                        "description": "", "enabled": true }),
            )
            .answer();

        assert_eq!(warnings(&answer), "nothing was changed: the mapping already is as asked");
        assert_eq!(requests(&gateway), [format!("GET {MAPPING}my-gpt")]);
        assert_eq!(gateway.mappings(), before);
    }
}

#[test]
fn a_global_mapping_is_refused_whoever_asks() {
    for user in ["alice", "root"] {
        let gateway = Gateway::start();
        gateway.insert(NewMapping::global("everybodys"));
        let mut client = Start::on(&gateway, user).connect(Era::Modern);

        let failure = client.call("update_mapping", json!({ "alias": "everybodys", "description": "d" }));

        assert!(failure.failure().contains("the mapping is global: nobody owns it"), "{failure:?}");
        assert!(writes(&gateway).is_empty());
    }
}

#[test]
fn somebody_elses_mapping_is_refused_to_a_user_and_changed_for_an_administrator() {
    let gateway = Gateway::start();
    gateway.insert(NewMapping::owned_by("bob", "bobs"));
    let change = json!({ "alias": "bobs", "description": "d" });

    let refused = Start::on(&gateway, "alice").connect(Era::Modern).call("update_mapping", change.clone());
    assert!(refused.failure().contains("the mapping belongs to another user"), "{refused:?}");
    assert!(writes(&gateway).is_empty());

    let changed = Start::on(&gateway, "root").connect(Era::Modern).call("update_mapping", change);
    assert_eq!(changed.answer()["owner_id"], gateway.owner_id("bob"));
    assert_eq!(gateway.mappings()[0].description, "d");
}

#[test]
fn a_missing_mapping_is_not_written() {
    let gateway = Gateway::start();
    let mut client = Start::on(&gateway, "alice").connect(Era::Modern);

    let failure = client.call("update_mapping", json!({ "alias": "none", "description": "d" }));

    assert!(
        failure.failure().starts_with("Failed to update mapping `none`: there is no such mapping. "),
        "{failure:?}"
    );
    assert!(writes(&gateway).is_empty());
}

#[test]
fn a_change_is_warned_about_like_a_new_mapping() {
    for (change, warning) in [
        (json!({ "new_alias": "gpt-4" }), "the alias `gpt-4` hides the built-in model"),
        (json!({ "model_name": "gpt-9" }), "`openai` lists no model `gpt-9`"),
        (json!({ "provider_id": "glm" }), "`glm` lists no model `gpt-4o`"),
    ] {
        let gateway = gateway_with_a_mapping();
        let mut arguments = change;
        arguments["alias"] = Value::from("my-gpt");

        let answer = Start::on(&gateway, "alice").connect(Era::Modern).call("update_mapping", arguments).answer();

        assert!(warnings(&answer).contains(warning), "{answer}");
    }
}

#[test]
fn a_change_that_deserves_no_warning_does_not_ask_for_the_models() {
    let gateway = gateway_with_a_mapping();
    let mut client = Start::on(&gateway, "alice").connect(Era::Modern);

    client.call("update_mapping", json!({ "alias": "my-gpt", "description": "d" })).answer();

    assert!(!requests(&gateway).contains(&format!("GET {MODELS}")));
}
