//! Updating: what an update answers, and what it does.

use reference_gateway::{Gateway, Mapping, NewMapping};
use serde_json::json;

use crate::client::{Client, MAPPINGS, Reply, body, call, create, get, owned, path};

fn put(gateway: &Gateway, user: &str, alias: &str, body: &str) -> Reply {
    call(gateway, user, "PUT", &path(alias), body)
}

/// A gateway with one mapping of alice, `x`, whose every field has a value.
fn with_mapping() -> Gateway {
    let gateway = Gateway::start();
    let full = NewMapping { description: "old".to_owned(), priority: 5, ..NewMapping::owned_by("alice", "x") };
    gateway.insert(full);
    gateway
}

fn stored(gateway: &Gateway) -> Mapping {
    gateway.mappings().remove(0)
}

#[test]
fn every_field_can_be_changed() {
    let gateway = with_mapping();
    let body =
        r#"{"alias":"x","provider_id":"glm","model_name":"glm-4","description":"new","priority":7,"enabled":true}"#;
    assert_eq!(put(&gateway, "alice", "x", body).status, 200);
    let row = stored(&gateway);
    assert_eq!((row.provider_id.as_str(), row.model_name.as_str()), ("glm", "glm-4"));
    assert_eq!((row.description.as_str(), row.priority), ("new", 7));
}

#[test]
fn the_answer_echoes_the_request_instead_of_the_row() {
    let gateway = with_mapping();
    let reply = put(&gateway, "alice", "x", &body("x"));
    let json = reply.json();
    assert_eq!((reply.status, &json["id"], &json["created_at"]), (200, &json!(0), &json!("0001-01-01T00:00:00Z")));
    assert_eq!((json.get("description"), &json["priority"]), (None, &json!(0)), "the row has both");
    assert_eq!(stored(&gateway).id, 1);
}

#[test]
fn key_existence_owner_and_body_are_checked_in_this_order() {
    let gateway = Gateway::start();
    gateway.insert(NewMapping::owned_by("bob", "b"));
    let mut client = Client::connect(&gateway);
    client.request("PUT", &path("none"), "bad", "{");
    assert_eq!(client.reply().status, 401);
    assert_eq!(put(&gateway, "alice", "none", "{").status, 404);
    assert_eq!(put(&gateway, "alice", "b", "{").error(), owned(403, "access denied"));
    assert_eq!(put(&gateway, "bob", "b", "{").error(), owned(400, "unexpected EOF"));
}

#[test]
fn a_partial_body_is_a_400() {
    let gateway = with_mapping();
    for body in [
        r#"{"description":"new"}"#,
        r#"{"provider_id":"p","model_name":"m"}"#,
        r#"{"alias":"x","model_name":"m"}"#,
        r#"{"alias":"x","provider_id":"p"}"#,
        r#"{"alias":"x","provider_id":"p","model_name":""}"#,
    ] {
        let (status, text) = put(&gateway, "alice", "x", body).error();
        assert_eq!(status, 400, "{body}");
        assert!(text.ends_with("failed on the 'required' tag"), "{text}");
    }
    assert_eq!(stored(&gateway).description, "old");
}

#[test]
fn a_mapping_cannot_be_disabled_though_the_answer_says_so() {
    let gateway = with_mapping();
    let body = r#"{"alias":"x","provider_id":"openai","model_name":"gpt-4o","enabled":false}"#;
    assert_eq!(put(&gateway, "alice", "x", body).json()["enabled"], false);
    assert!(stored(&gateway).enabled);
}

#[test]
fn a_disabled_mapping_stays_so_when_told_and_is_enabled_when_not() {
    let gateway = Gateway::start();
    gateway.insert(NewMapping { enabled: false, ..NewMapping::owned_by("alice", "x") });
    let disabled = r#"{"alias":"x","provider_id":"openai","model_name":"gpt-4o","enabled":false}"#;
    put(&gateway, "alice", "x", disabled);
    assert!(!stored(&gateway).enabled, "false is a zero value and not written");
    assert_eq!(put(&gateway, "alice", "x", &body("x")).json()["enabled"], true);
    assert!(stored(&gateway).enabled, "left out, it is written as true");
}

#[test]
fn zero_values_keep_description_and_priority() {
    let gateway = with_mapping();
    let zero = r#"{"alias":"x","provider_id":"openai","model_name":"gpt-4o","description":"","priority":0}"#;
    for body in [zero, &body("x")] {
        let json = put(&gateway, "alice", "x", body).json();
        assert_eq!((json.get("description"), &json["priority"]), (None, &json!(0)));
        let row = stored(&gateway);
        assert_eq!((row.description.as_str(), row.priority), ("old", 5), "{body}");
    }
}

#[test]
fn a_changed_alias_renames() {
    let gateway = with_mapping();
    let before = stored(&gateway);
    assert_eq!(put(&gateway, "alice", "x", &body("y")).status, 200);
    let after = stored(&gateway);
    assert_eq!((after.alias.as_str(), after.id, after.created_at_ms), ("y", before.id, before.created_at_ms));
    assert_eq!(get(&gateway, "alice", &path("x")).status, 404);
    assert_eq!(get(&gateway, "alice", &path("y")).status, 200);
}

#[test]
fn another_spelling_of_its_own_alias_is_a_rename_too() {
    let gateway = with_mapping();
    assert_eq!(put(&gateway, "alice", "x", &body("X")).status, 200);
    assert_eq!(stored(&gateway).alias, "X");
}

#[test]
fn a_rename_onto_a_taken_alias_changes_nothing() {
    let gateway = with_mapping();
    gateway.insert(NewMapping::owned_by("bob", "taken"));
    let before = gateway.mappings();
    let text = "Error 1062 (23000): Duplicate entry 'Taken' for key 'idx_model_mappings_alias'";
    assert_eq!(put(&gateway, "alice", "x", &body("Taken")).error(), owned(500, text));
    assert_eq!(gateway.mappings(), before);
}

#[test]
fn a_value_that_is_too_long_changes_nothing() {
    let gateway = with_mapping();
    let text = "Error 1406 (22001): Data too long for column 'alias' at row 1";
    assert_eq!(put(&gateway, "alice", "x", &body(&"y".repeat(101))).error(), owned(500, text));
    assert_eq!(stored(&gateway).alias, "x");
}

#[test]
fn a_user_may_not_edit_global_or_other_mappings_and_an_admin_may() {
    let gateway = Gateway::start();
    gateway.insert(NewMapping::owned_by("bob", "b"));
    gateway.insert(NewMapping::global("g"));
    for alias in ["b", "g"] {
        assert_eq!(put(&gateway, "alice", alias, &body(alias)).error(), owned(403, "access denied"), "{alias}");
        assert_eq!(put(&gateway, "root", alias, &body(alias)).status, 200, "{alias}");
    }
    assert_eq!(stored(&gateway).owner_id.as_deref(), Some(gateway.owner_id("bob")), "the owner stays");
}

#[test]
fn the_last_of_two_writers_wins() {
    let gateway = with_mapping();
    for model in ["one", "two"] {
        let body = format!(r#"{{"alias":"x","provider_id":"p","model_name":"{model}"}}"#);
        assert_eq!(put(&gateway, "alice", "x", &body).status, 200);
    }
    assert_eq!(stored(&gateway).model_name, "two");
}

#[test]
fn a_changed_priority_moves_the_mapping_in_the_list() {
    let gateway = Gateway::start();
    create(&gateway, "alice", "a");
    create(&gateway, "alice", "b");
    let first = r#"{"alias":"b","provider_id":"p","model_name":"m","priority":1}"#;
    put(&gateway, "alice", "b", first);
    assert_eq!(get(&gateway, "alice", MAPPINGS).json()["data"][0]["alias"], "b");
}
