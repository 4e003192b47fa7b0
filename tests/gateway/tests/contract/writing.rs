//! Creating and deleting.

use reference_gateway::{Database, Gateway, NewMapping};
use serde_json::{Value, json};

use crate::client::{Client, MAPPINGS, body, call, create, get, list, owned, path};

const ALIAS_MISSING: &str =
    "Key: 'CreateMappingRequest.Alias' Error:Field validation for 'Alias' failed on the 'required' tag";

fn post(gateway: &Gateway, body: &str) -> (u16, String) {
    call(gateway, "alice", "POST", MAPPINGS, body).error()
}

#[test]
fn a_created_mapping_is_answered_and_stored() {
    let gateway = Gateway::start();
    let body = r#"{"alias":"my-gpt","provider_id":"openai","model_name":"gpt-4o","description":"d","priority":3}"#;
    let reply = call(&gateway, "alice", "POST", MAPPINGS, body);
    assert_eq!(reply.status, 201);
    assert_eq!(reply.text(), get(&gateway, "alice", &path("my-gpt")).text());
    let json = reply.json();
    assert_eq!((&json["description"], &json["priority"], &json["id"]), (&json!("d"), &json!(3), &json!(1)));
    assert_eq!(json["created_at"], json["updated_at"]);
}

#[test]
fn a_user_creates_own_mappings_and_an_admin_global_ones() {
    let gateway = Gateway::start();
    assert_eq!(create(&gateway, "alice", "a").json()["owner_id"], gateway.owner_id("alice"));
    assert_eq!(create(&gateway, "root", "g").json().get("owner_id"), None);
}

#[test]
fn a_taken_alias_is_a_500_with_1062_whoever_owns_it() {
    let gateway = Gateway::start();
    gateway.insert(NewMapping::owned_by("bob", "taken"));
    let text = "Error 1062 (23000): Duplicate entry 'TAKEN' for key 'idx_model_mappings_alias'";
    for user in ["alice", "bob", "root"] {
        assert_eq!(create(&gateway, user, "TAKEN").error(), owned(500, text), "{user}");
    }
    assert_eq!(gateway.mappings().len(), 1);
}

#[test]
fn the_key_of_a_duplicate_is_named_as_the_database_does() {
    let gateway = Gateway::builder().database(Database::MySql).start().unwrap();
    create(&gateway, "alice", "x");
    let text = "Error 1062 (23000): Duplicate entry 'x' for key 'model_mappings.idx_model_mappings_alias'";
    assert_eq!(create(&gateway, "alice", "x").error(), owned(500, text));
}

#[test]
fn lengths_are_limited_in_characters() {
    let gateway = Gateway::start();
    for (column, most) in [("alias", 100), ("provider_id", 50), ("model_name", 100), ("description", 255)] {
        let with_length = |length: usize| {
            let mut body: Value = serde_json::from_str(&body(column)).unwrap();
            body[column] = json!("é".repeat(length));
            body.to_string()
        };
        let text = format!("Error 1406 (22001): Data too long for column '{column}' at row 1");
        assert_eq!(post(&gateway, &with_length(most + 1)), (500, text));
        assert_eq!(call(&gateway, "alice", "POST", MAPPINGS, &with_length(most)).status, 201, "{column}");
    }
    assert_eq!(gateway.mappings().len(), 4);
}

#[test]
fn a_missing_or_empty_field_is_a_400_with_a_line_for_each() {
    let gateway = Gateway::start();
    let only_alias = [
        r#"{"provider_id":"p","model_name":"m"}"#,
        r#"{"alias":"","provider_id":"p","model_name":"m"}"#,
        r#"{"alias":null,"provider_id":"p","model_name":"m"}"#,
    ];
    for body in only_alias {
        assert_eq!(post(&gateway, body), owned(400, ALIAS_MISSING), "{body}");
    }
    let all = ["Alias", "ProviderID", "ModelName"].map(|field| ALIAS_MISSING.replace("Alias", field)).join("\n");
    for body in ["{}", "null"] {
        assert_eq!(post(&gateway, body), (400, all.clone()), "{body}");
    }
}

#[test]
fn what_is_no_json_is_a_400_that_says_where() {
    let gateway = Gateway::start();
    let cases = [
        ("", "EOF"),
        (" \n", "EOF"),
        (r#"{"alias":"a"#, "unexpected EOF"),
        (r#"{"alias":"#, "unexpected EOF"),
        ("[", "unexpected EOF"),
        ("alias", "invalid character 'a' looking for beginning of value"),
        ("<html>", "invalid character '<' looking for beginning of value"),
        ("{alias:1}", "invalid character 'a' looking for beginning of object key string"),
        (r#"{"alias" "a"}"#, "invalid character '\"' after object key"),
        (r#"{"alias":"a" "b"}"#, "invalid character '\"' after object key:value pair"),
        (r#"["a" 1]"#, "invalid character '1' after array element"),
        (r#"{"alias":'a'}"#, r"invalid character '\'' looking for beginning of value"),
    ];
    for (body, text) in cases {
        assert_eq!(post(&gateway, body), owned(400, text), "{body}");
    }
}

#[test]
fn json_of_the_wrong_type_is_a_400_that_says_which() {
    let gateway = Gateway::start();
    let field = "Go struct field CreateMappingRequest";
    let cases = [
        ("[]", "json: cannot unmarshal array into Go value of type handlers.CreateMappingRequest".to_owned()),
        (r#""x""#, "json: cannot unmarshal string into Go value of type handlers.CreateMappingRequest".to_owned()),
        (r#"{"alias":1}"#, format!("json: cannot unmarshal number into {field}.alias of type string")),
        (r#"{"alias":["a"]}"#, format!("json: cannot unmarshal array into {field}.alias of type string")),
        (r#"{"model_name":{}}"#, format!("json: cannot unmarshal object into {field}.model_name of type string")),
        (r#"{"enabled":"no"}"#, format!("json: cannot unmarshal string into {field}.enabled of type bool")),
        (r#"{"priority":1.5}"#, format!("json: cannot unmarshal number 1.5 into {field}.priority of type int")),
        (r#"{"priority":true}"#, format!("json: cannot unmarshal bool into {field}.priority of type int")),
    ];
    for (body, text) in cases {
        assert_eq!(post(&gateway, body), (400, text), "{body}");
    }
}

#[test]
fn what_follows_the_first_value_is_not_read() {
    let gateway = Gateway::start();
    let reply = call(&gateway, "alice", "POST", MAPPINGS, &format!("{} garbage", body("first")));
    assert_eq!(reply.status, 201);
}

#[test]
fn nothing_else_is_checked() {
    let gateway = Gateway::start();
    for alias in ["gpt-4o", " ", "\t", "a\nb", "a/b", "..", "\u{0}"] {
        assert_eq!(create(&gateway, "alice", alias).status, 201, "{alias:?}");
    }
    let unknown = r#"{"alias":"unknown","provider_id":"nobody","model_name":"nothing"}"#;
    assert_eq!(call(&gateway, "alice", "POST", MAPPINGS, unknown).status, 201);
}

#[test]
fn a_mapping_cannot_be_created_disabled() {
    let gateway = Gateway::start();
    let body = r#"{"alias":"x","provider_id":"p","model_name":"m","enabled":false}"#;
    let reply = call(&gateway, "alice", "POST", MAPPINGS, body);
    assert_eq!((reply.status, &reply.json()["enabled"]), (201, &json!(true)));
    assert!(gateway.mappings()[0].enabled);
}

#[test]
fn of_two_creates_at_once_one_wins() {
    let gateway = Gateway::start();
    let mut clients = [Client::connect(&gateway), Client::connect(&gateway)];
    for client in &mut clients {
        client.request("POST", MAPPINGS, gateway.key("alice"), &body("raced"));
    }
    let mut replies: Vec<u16> = clients.iter_mut().map(|client| client.reply().status).collect();
    replies.sort_unstable();
    assert_eq!(replies, [201, 500]);
    assert_eq!(gateway.mappings().len(), 1);
}

#[test]
fn a_deleted_mapping_is_gone() {
    let gateway = Gateway::start();
    create(&gateway, "alice", "x");
    let reply = call(&gateway, "alice", "DELETE", &path("x"), "");
    assert_eq!((reply.status, reply.text()), (200, r#"{"message":"deleted"}"#));
    assert_eq!(get(&gateway, "alice", &path("x")).status, 404);
    assert_eq!(list(&gateway, "alice", "")["total"], 0);
    assert_eq!(call(&gateway, "alice", "DELETE", &path("x"), "").error(), owned(404, "mapping not found"));
}

#[test]
fn only_own_mappings_can_be_deleted_except_by_an_admin() {
    let gateway = Gateway::start();
    gateway.insert(NewMapping::owned_by("bob", "b"));
    gateway.insert(NewMapping::global("g"));
    for alias in ["b", "g"] {
        let reply = call(&gateway, "alice", "DELETE", &path(alias), "");
        assert_eq!(reply.error(), owned(403, "access denied"), "{alias}");
        assert_eq!(call(&gateway, "root", "DELETE", &path(alias), "").status, 200, "{alias}");
    }
    assert!(gateway.mappings().is_empty());
}

#[test]
fn ids_are_not_used_again() {
    let gateway = Gateway::start();
    create(&gateway, "alice", "x");
    call(&gateway, "alice", "DELETE", &path("x"), "");
    assert_eq!(create(&gateway, "alice", "x").json()["id"], 2);
}
