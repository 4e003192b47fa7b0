//! `update_mapping`: changes that the gateway accepts and does not store.

use reference_gateway::{Answer, Fault, Gateway, NewMapping, What, When};
use serde_json::json;

use super::{MAPPING, writes};
use crate::support::{ERAS, Era, Start};

fn described() -> NewMapping {
    NewMapping { description: "old words".into(), ..NewMapping::owned_by("alice", "my-gpt") }
}

#[test]
fn disabling_is_reported_as_what_the_gateway_cannot_do() {
    for era in ERAS {
        let gateway = Gateway::start();
        gateway.insert(described());
        let mut client = Start::on(&gateway, "alice").connect(era);

        let failure = client.call("update_mapping", json!({ "alias": "my-gpt", "enabled": false }));

        assert_eq!(
            failure.failure(),
            "Failed to update mapping `my-gpt`: the gateway kept `enabled` = true: its API cannot disable a mapping; delete \
             it instead. Nothing was changed."
        );
        assert!(gateway.mappings()[0].enabled);
    }
}

#[test]
fn clearing_a_description_is_reported_as_what_the_gateway_cannot_do() {
    for era in ERAS {
        let gateway = Gateway::start();
        gateway.insert(described());
        let mut client = Start::on(&gateway, "alice").connect(era);

        let failure = client.call("update_mapping", json!({ "alias": "my-gpt", "description": "" }));

        assert_eq!(
            failure.failure(),
            "Failed to update mapping `my-gpt`: the gateway kept `description` = `old words`: its API cannot clear a \
             description; delete the mapping and create it again without one. Nothing was changed."
        );
        assert_eq!(gateway.mappings()[0].description, "old words");
    }
}

#[test]
fn what_was_stored_beside_what_was_not_is_named() {
    let gateway = Gateway::start();
    gateway.insert(described());
    let mut client = Start::on(&gateway, "alice").connect(Era::Modern);

    let one = client.call("update_mapping", json!({ "alias": "my-gpt", "description": "new", "enabled": false }));
    assert_eq!(
        one.failure(),
        "Failed to update mapping `my-gpt`: the gateway kept `enabled` = true: its API cannot disable a mapping; delete it \
         instead. The change of `description` is stored."
    );
    assert_eq!(gateway.mappings()[0].description, "new");

    let two = client.call(
        "update_mapping",
        json!({ "alias": "my-gpt", "new_alias": "renamed", "model_name": "gpt-4", "description": "", "enabled": false }),
    );
    assert_eq!(
        two.failure(),
        "Failed to update mapping `my-gpt`: the gateway kept `description` = `new`: its API cannot clear a description; \
         delete the mapping and create it again without one, and the gateway kept `enabled` = true: its API cannot disable \
         a mapping; delete it instead. The changes of `alias`, `model_name` are stored."
    );
    assert_eq!(gateway.mappings()[0].alias, "renamed");
}

#[test]
fn a_disabled_mapping_stays_disabled_through_other_changes() {
    for era in ERAS {
        let gateway = Gateway::start();
        gateway.insert(NewMapping { enabled: false, priority: 9, ..described() });
        let mut client = Start::on(&gateway, "alice").connect(era);

        let changed = client.call("update_mapping", json!({ "alias": "my-gpt", "model_name": "gpt-4" })).answer();
        let asked = client.call("update_mapping", json!({ "alias": "my-gpt", "enabled": false })).answer();

        assert_eq!((&changed["enabled"], &changed["priority"]), (&json!(false), &json!(9)));
        assert_eq!(asked["enabled"], false);
        let stored = &gateway.mappings()[0];
        assert_eq!((stored.enabled, stored.priority, stored.description.as_str()), (false, 9, "old words"));
        assert_eq!(writes(&gateway).len(), 1, "the second call found it as asked");
    }
}

#[test]
fn a_write_that_is_confirmed_but_not_done_names_every_field() {
    let gateway = Gateway::start();
    gateway.insert(described());
    gateway.fault(Fault::new(When::put(MAPPING), What::Answer(Answer::json(200, "{}"))));
    let mut client = Start::on(&gateway, "alice").connect(Era::Modern);

    let failure =
        client.call("update_mapping", json!({ "alias": "my-gpt", "provider_id": "glm", "model_name": "glm-4" }));

    assert_eq!(
        failure.failure(),
        "Failed to update mapping `my-gpt`: the gateway kept `provider_id` = `openai`, and the gateway kept `model_name` = \
         `gpt-4o`. Nothing was changed: look into the gateway's log, or ask who runs it."
    );
}

#[test]
fn a_change_that_somebody_else_overwrites_at_once_is_told_as_it_is() {
    let gateway = Gateway::start();
    let row = gateway.insert(described());
    let theirs = format!(
        r#"{{"id":{},"alias":"my-gpt","provider_id":"openai","model_name":"theirs","description":"old words","enabled":true,"owner_id":"o"}}"#,
        row.id
    );
    gateway.fault(Fault::new(When::get(MAPPING).nth(2), What::Answer(Answer::json(200, theirs))));
    let mut client = Start::on(&gateway, "alice").connect(Era::Modern);

    let failure = client.call("update_mapping", json!({ "alias": "my-gpt", "model_name": "gpt-4" }));

    assert!(failure.failure().contains("the gateway kept `model_name` = `theirs`"), "{failure:?}");
}
