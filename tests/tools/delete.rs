//! `delete_mapping`.

use reference_gateway::{Answer, Fault, Gateway, NewMapping, What, When};
use serde_json::json;

use super::{MAPPING, gateway_with_a_mapping, requests, writes};
use crate::support::{ERAS, Era, Start};

#[test]
fn a_deleted_mapping_is_answered_as_it_was_and_is_gone() {
    for era in ERAS {
        let gateway = Gateway::start();
        let stored = gateway.insert(NewMapping {
            description: "for tests".into(),
            enabled: false,
            priority: 7,
            ..NewMapping::owned_by("alice", "my-gpt")
        });
        let mut client = Start::on(&gateway, "alice").connect(era);

        let answer = client.call("delete_mapping", json!({ "alias": "my-gpt" })).answer();

        assert_eq!(answer["id"], stored.id);
        assert_eq!(answer["alias"], "my-gpt");
        assert_eq!(answer["provider_id"], "openai");
        assert_eq!(answer["model_name"], "gpt-4o");
        assert_eq!(answer["description"], "for tests");
        assert_eq!(answer["enabled"], false);
        assert_eq!(answer["priority"], 7);
        assert!(answer.get("warnings").is_none(), "{answer}");
        assert!(gateway.mappings().is_empty());
    }
}

#[test]
fn the_path_of_a_deletion_has_the_gateways_own_spelling() {
    let gateway = gateway_with_a_mapping();
    let mut client = Start::on(&gateway, "alice").connect(Era::Modern);

    let answer = client.call("delete_mapping", json!({ "alias": "MY-GPT " })).answer();

    assert_eq!(answer["alias"], "my-gpt");
    assert_eq!(
        requests(&gateway),
        [format!("GET {MAPPING}MY-GPT%20"), format!("DELETE {MAPPING}my-gpt"), format!("GET {MAPPING}my-gpt")]
    );
}

#[test]
fn any_alias_that_a_path_can_hold_is_reached_and_no_other() {
    let gateway = Gateway::start();
    let odd = ["a b", "50%", "what?", "a#b", "c++", "a&b=c", "\"q'", "größe", "🦀", "..;", "%2e%2e", "~a:@!$()*,"];
    for alias in odd {
        gateway.insert(NewMapping::owned_by("alice", alias));
    }
    gateway.insert(NewMapping::owned_by("alice", "bystander"));
    let mut client = Start::on(&gateway, "alice").connect(Era::Legacy);

    for alias in odd {
        assert_eq!(client.call("delete_mapping", json!({ "alias": alias })).answer()["alias"], alias);
    }

    let left: Vec<_> = gateway.mappings().into_iter().map(|mapping| mapping.alias).collect();
    assert_eq!(left, ["bystander"]);
}

#[test]
fn a_missing_mapping_is_not_deleted_and_the_failure_says_where_to_look() {
    for era in ERAS {
        let gateway = gateway_with_a_mapping();
        let mut client = Start::on(&gateway, "alice").connect(era);
        client.call("delete_mapping", json!({ "alias": "my-gpt" })).answer();

        let failure = client.call("delete_mapping", json!({ "alias": "my-gpt" }));

        assert_eq!(
            failure.failure(),
            "Failed to delete mapping `my-gpt`: there is no such mapping. Call list_models to see which aliases exist; \
             if that fails too, the gateway's database is down."
        );
        assert_eq!(writes(&gateway).len(), 1);
    }
}

#[test]
fn a_global_mapping_is_refused_whoever_asks() {
    for user in ["alice", "root"] {
        let gateway = Gateway::start();
        gateway.insert(NewMapping::global("everybodys"));
        let mut client = Start::on(&gateway, user).connect(Era::Modern);

        let failure = client.call("delete_mapping", json!({ "alias": "everybodys" }));

        assert_eq!(
            failure.failure(),
            "Failed to delete mapping `everybodys`: the mapping is global: nobody owns it, and these tools never change \
             it. An administrator can change it in the gateway's dashboard; or create a mapping of your own under \
             another alias."
        );
        assert!(writes(&gateway).is_empty());
    }
}

#[test]
fn somebody_elses_mapping_is_refused_to_a_user_and_deleted_for_an_administrator() {
    let gateway = Gateway::start();
    gateway.insert(NewMapping::owned_by("bob", "bobs"));

    let refused = Start::on(&gateway, "alice").connect(Era::Modern).call("delete_mapping", json!({ "alias": "bobs" }));
    assert_eq!(
        refused.failure(),
        "Failed to delete mapping `bobs`: the mapping belongs to another user. Ask its owner or an administrator, or \
         create a mapping of your own under another alias."
    );
    assert_eq!(gateway.mappings().len(), 1);

    let deleted = Start::on(&gateway, "root").connect(Era::Modern).call("delete_mapping", json!({ "alias": "bobs" }));
    assert_eq!(deleted.answer()["owner_id"], gateway.owner_id("bob"));
    assert!(gateway.mappings().is_empty());
}

#[test]
fn a_deletion_that_the_gateway_confirms_but_does_not_do_is_a_failure() {
    let gateway = gateway_with_a_mapping();
    let confirmed = Answer::json(200, r#"{"message":"deleted"}"#);
    gateway.fault(Fault::new(When::delete(MAPPING), What::Answer(confirmed)));
    let mut client = Start::on(&gateway, "alice").connect(Era::Modern);

    let failure = client.call("delete_mapping", json!({ "alias": "my-gpt" }));

    assert_eq!(
        failure.failure(),
        "Failed to delete mapping `my-gpt`: the gateway answered 200, but the mapping is still there. Look into the \
         gateway's log, or ask who runs it."
    );
}
