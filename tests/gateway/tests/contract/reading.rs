//! Health, built-in models, lists and single mappings.

use reference_gateway::{Gateway, NewMapping, Provider};
use serde_json::{Value, json};

use crate::client::{MAPPINGS, aliases, call, create, get, list, owned, path};

/// A gateway with this many mappings of alice, `m01` and on.
fn with_mappings(count: usize) -> Gateway {
    let gateway = Gateway::start();
    for number in 1..=count {
        gateway.insert(NewMapping::owned_by("alice", &format!("m{number:02}")));
    }
    gateway
}

#[test]
fn health_tells_that_the_gateway_lives() {
    let gateway = Gateway::start();
    let health = get(&gateway, "alice", "/health");
    let json = health.json();
    assert_eq!(health.status, 200);
    let names: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["status", "service", "version", "started_at", "uptime_seconds", "auth_manager_enabled"]);
    assert_eq!((&json["status"], &json["service"]), (&json!("ok"), &json!("aigateway")));
    assert!(json["uptime_seconds"].is_u64());
    assert!(json["auth_manager_enabled"].is_boolean());
}

#[test]
fn models_are_listed_by_provider_and_ordered_by_its_id() {
    let gateway = Gateway::start();
    let json = get(&gateway, "alice", "/v1/models").json();
    let providers = json["providers"].as_array().unwrap();
    let ids: Vec<&Value> = providers.iter().map(|provider| &provider["id"]).collect();
    assert_eq!(ids, ["antigravity", "glm", "openai"]);
    assert_eq!(providers[0]["name"], "Google Cloud Code");
    let models = providers[0]["models"].as_array().unwrap();
    assert_eq!(models.len(), 11);
    for model in ["gemini-2.5-flash", "claude-sonnet-4-5", "claude-opus-4-5", "claude-opus-4-5-thinking"] {
        assert!(models.contains(&json!(model)), "{model}");
    }
    assert!(providers[2]["models"].as_array().unwrap().contains(&json!("gpt-4o")));
}

#[test]
fn models_may_be_null_and_odd_elements_come_as_empty_strings() {
    let gateway = Gateway::start();
    let odd = |id: &str, models| Provider { models, ..Provider::new(id, "Odd", &[]) };
    gateway.set_providers(vec![
        odd("z", Some(vec![json!("m"), json!(7), Value::Null, json!({"id": "x"})])),
        odd("a", None),
        Provider { active: false, ..odd("b", None) },
    ]);
    let reply = get(&gateway, "alice", "/v1/models");
    let z = r#"{"id":"z","name":"Odd","models":["m","","",""]}"#;
    assert_eq!(reply.text(), format!(r#"{{"providers":[{{"id":"a","name":"Odd","models":null}},{z}]}}"#));
}

#[test]
fn mappings_are_not_among_the_models() {
    let gateway = with_mappings(1);
    assert!(!get(&gateway, "alice", "/v1/models").text().contains("m01"));
}

#[test]
fn a_mapping_has_its_fields_in_order() {
    let gateway = Gateway::start();
    gateway.insert(NewMapping { description: "for <tests>".to_owned(), ..NewMapping::owned_by("alice", "x") });
    let text = get(&gateway, "alice", &path("x")).text().to_owned();
    let owner = gateway.owner_id("alice");
    let start = format!(
        r#"{{"id":1,"alias":"x","provider_id":"openai","model_name":"gpt-4o","description":"for \u003ctests\u003e","enabled":true,"priority":0,"owner_id":"{owner}","created_at":""#
    );
    assert!(text.starts_with(&start), "{text}");
    assert!(text.contains(r#"","updated_at":""#), "{text}");
}

#[test]
fn description_and_owner_are_absent_when_there_are_none() {
    let gateway = Gateway::start();
    gateway.insert(NewMapping::global("x"));
    let json = get(&gateway, "alice", &path("x")).json();
    assert_eq!((json.get("description"), json.get("owner_id")), (None, None));
}

#[test]
fn owners_are_uuids() {
    let gateway = Gateway::start();
    let owner = create(&gateway, "alice", "x").json()["owner_id"].as_str().unwrap().to_owned();
    assert_eq!(owner, gateway.owner_id("alice"));
    assert_eq!(owner.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
}

#[test]
fn times_are_rfc_3339_in_the_zone_of_the_gateway() {
    let gateway = Gateway::builder().utc_offset_minutes(330).start().unwrap();
    let time = create(&gateway, "root", "x").json()["created_at"].as_str().unwrap().to_owned();
    let (clock, zone) = time.split_at(time.len() - 6);
    assert_eq!(zone, "+05:30");
    let (seconds, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    assert_eq!(seconds.len(), "2026-11-22T10:39:39".len(), "{time}");
    assert!(fraction.len() <= 3 && !fraction.ends_with('0'), "{time}");
}

#[test]
fn an_empty_list_is_an_empty_array_on_page_1_of_20() {
    let gateway = Gateway::start();
    assert_eq!(get(&gateway, "alice", MAPPINGS).text(), r#"{"data":[],"limit":20,"page":1,"total":0}"#);
}

#[test]
fn a_user_sees_own_and_global_mappings_and_an_admin_all() {
    let gateway = Gateway::start();
    gateway.insert(NewMapping::owned_by("alice", "a"));
    gateway.insert(NewMapping::owned_by("bob", "b"));
    gateway.insert(NewMapping::global("g"));
    assert_eq!(aliases(&list(&gateway, "alice", "")), ["a", "g"]);
    assert_eq!(aliases(&list(&gateway, "bob", "")), ["b", "g"]);
    assert_eq!(aliases(&list(&gateway, "root", "")), ["a", "b", "g"]);
    assert_eq!(list(&gateway, "alice", "")["total"], 2, "only what is visible counts");
}

#[test]
fn a_list_is_ordered_by_priority_then_alias() {
    let gateway = Gateway::start();
    for (alias, priority) in [("b", 0), ("C", 0), ("a", 0), ("z", 9), ("y", -1)] {
        gateway.insert(NewMapping { priority, ..NewMapping::global(alias) });
    }
    assert_eq!(aliases(&list(&gateway, "alice", "")), ["z", "a", "b", "C", "y"]);
}

#[test]
fn without_a_query_there_are_20_to_a_page() {
    let gateway = with_mappings(25);
    let first = list(&gateway, "alice", "");
    assert_eq!((aliases(&first).len(), &first["total"]), (20, &json!(25)));
    let second = list(&gateway, "alice", "?page=2");
    assert_eq!(aliases(&second), ["m21", "m22", "m23", "m24", "m25"]);
    assert_eq!((&second["page"], &second["limit"]), (&json!(2), &json!(20)));
}

#[test]
fn a_large_limit_is_honoured() {
    let gateway = with_mappings(25);
    let all = list(&gateway, "alice", "?limit=1000");
    assert_eq!((aliases(&all).len(), &all["limit"]), (25, &json!(1000)));
}

#[test]
fn a_limit_of_zero_or_none_shows_nothing_but_the_total() {
    let gateway = with_mappings(3);
    for query in ["?limit=0", "?limit=", "?limit", "?limit=ten", "?limit=1.5", "?page=1&limit=0"] {
        let page = list(&gateway, "alice", query);
        assert_eq!((&page["data"], &page["total"]), (&json!([]), &json!(3)), "{query}");
    }
}

#[test]
fn a_negative_limit_shows_every_row_on_every_page() {
    let gateway = with_mappings(25);
    for query in ["?limit=-1", "?limit=-1&page=2", "?limit=-5&page=1000"] {
        assert_eq!(aliases(&list(&gateway, "alice", query)).len(), 25, "{query}");
    }
}

#[test]
fn a_page_that_is_none_is_the_first() {
    let gateway = with_mappings(3);
    for query in ["?page=0", "?page=-3", "?page=two", "?page="] {
        let page = list(&gateway, "alice", &format!("{query}&limit=2"));
        assert_eq!((&page["page"], aliases(&page)), (&json!(1), vec!["m01", "m02"]), "{query}");
    }
}

#[test]
fn a_page_past_the_end_is_empty_and_keeps_the_total() {
    let gateway = with_mappings(3);
    for query in ["?page=2", "?page=9223372036854775807&limit=9223372036854775807"] {
        let page = list(&gateway, "alice", query);
        assert_eq!((&page["data"], &page["total"]), (&json!([]), &json!(3)), "{query}");
    }
}

#[test]
fn own_and_global_mappings_can_be_read() {
    let gateway = Gateway::start();
    gateway.insert(NewMapping::owned_by("alice", "own"));
    gateway.insert(NewMapping::global("global"));
    assert_eq!(get(&gateway, "alice", &path("own")).json()["alias"], "own");
    assert_eq!(get(&gateway, "alice", &path("global")).json()["alias"], "global");
}

#[test]
fn the_mapping_of_somebody_else_is_denied_except_to_an_admin() {
    let gateway = Gateway::start();
    gateway.insert(NewMapping::owned_by("bob", "b"));
    assert_eq!(get(&gateway, "alice", &path("b")).error(), owned(403, "access denied"));
    assert_eq!(get(&gateway, "root", &path("b")).status, 200);
}

#[test]
fn a_missing_mapping_is_a_404_in_json() {
    let gateway = Gateway::start();
    for method in ["GET", "PUT", "DELETE"] {
        let reply = call(&gateway, "alice", method, &path("none"), "");
        assert_eq!(reply.error(), owned(404, "mapping not found"), "{method}");
    }
}

#[test]
fn a_disabled_mapping_is_returned() {
    let gateway = Gateway::start();
    gateway.insert(NewMapping { enabled: false, ..NewMapping::global("off") });
    assert_eq!(get(&gateway, "alice", &path("off")).json()["enabled"], false);
    assert_eq!(list(&gateway, "alice", "")["data"][0]["enabled"], false);
}
