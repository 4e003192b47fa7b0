//! Keys: who is let in, and who is not.

use reference_gateway::Gateway;

use crate::client::{Client, MAPPINGS, Reply, body, call, get, owned, path};

/// A list with these header lines.
fn list_with(gateway: &Gateway, headers: &[String]) -> Reply {
    let mut client = Client::connect(gateway);
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    client.send(format!("GET {MAPPINGS} HTTP/1.1\r\nHost: gateway\r\n{headers}\r\n"));
    client.reply()
}

fn required() -> (u16, String) {
    owned(401, "authentication required")
}

#[test]
fn a_key_in_either_header_is_accepted() {
    let gateway = Gateway::start();
    let key = gateway.key("alice");
    for header in [format!("X-API-Key: {key}"), format!("x-api-key: {key}"), format!("Authorization: Bearer {key}")] {
        assert_eq!(list_with(&gateway, std::slice::from_ref(&header)).status, 200, "{header}");
    }
}

#[test]
fn no_unknown_or_malformed_key_is_a_401() {
    let gateway = Gateway::start();
    let key = gateway.key("alice");
    assert_eq!(list_with(&gateway, &[]).error(), required());
    let unknown = format!("ak_{}", "0".repeat(48));
    for header in [
        format!("X-API-Key: {unknown}"),
        format!("Authorization: Bearer {unknown}"),
        format!("X-API-Key: {}", &key[..50]),
        format!("X-API-Key: {}", key.to_uppercase()),
        format!("X-API-Key: {key}0"),
        format!("Authorization: {key}"),
        format!("Authorization: Basic {key}"),
        "X-API-Key: ".to_owned(),
    ] {
        assert_eq!(list_with(&gateway, std::slice::from_ref(&header)).error(), required(), "{header}");
    }
}

#[test]
fn every_route_of_mappings_wants_a_key() {
    let gateway = Gateway::start();
    for (method, target) in [
        ("GET", MAPPINGS.to_owned()),
        ("POST", MAPPINGS.to_owned()),
        ("GET", path("x")),
        ("PUT", path("x")),
        ("DELETE", path("x")),
    ] {
        let mut client = Client::connect(&gateway);
        client.request(method, &target, "", "");
        assert_eq!(client.reply().error(), required(), "{method} {target}");
    }
}

#[test]
fn a_bad_key_shadows_a_good_bearer_token() {
    let gateway = Gateway::start();
    let bearer = format!("Authorization: Bearer {}", gateway.key("alice"));
    assert_eq!(list_with(&gateway, &["X-API-Key: bad".to_owned(), bearer.clone()]).error(), required());
    assert_eq!(list_with(&gateway, &["X-API-Key: ".to_owned(), bearer]).status, 200, "an empty one does not");
}

#[test]
fn a_provider_may_not_use_mappings() {
    let gateway = Gateway::start();
    let insufficient = owned(403, "insufficient permissions");
    assert_eq!(get(&gateway, "pat", MAPPINGS).error(), insufficient);
    assert_eq!(call(&gateway, "pat", "POST", MAPPINGS, &body("x")).error(), insufficient);
    assert!(gateway.mappings().is_empty());
}

#[test]
fn keys_are_ak_and_48_hexadecimal_digits() {
    let gateway = Gateway::start();
    for user in ["alice", "bob", "root", "pat"] {
        let key = gateway.key(user);
        assert_eq!((key.len(), &key[..3]), (51, "ak_"));
        assert!(key[3..].bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
    assert_ne!(gateway.key("alice"), gateway.key("bob"));
}

#[test]
fn health_and_models_are_public() {
    let gateway = Gateway::start();
    for target in ["/health", "/v1/models"] {
        let mut client = Client::connect(&gateway);
        client.request("GET", target, "bad", "");
        assert_eq!(client.reply().status, 200, "{target}");
    }
}

#[test]
fn a_revoked_key_works_while_it_is_cached() {
    let gateway = Gateway::start();
    assert_eq!(get(&gateway, "alice", MAPPINGS).status, 200);
    gateway.revoke_key("alice");
    assert_eq!(get(&gateway, "alice", MAPPINGS).status, 200);
    gateway.forget_cached_keys();
    assert_eq!(get(&gateway, "alice", MAPPINGS).error(), required());
}

#[test]
fn a_revoked_key_that_was_never_used_is_a_401() {
    let gateway = Gateway::start();
    gateway.revoke_key("alice");
    assert_eq!(get(&gateway, "alice", MAPPINGS).error(), required());
    assert_eq!(get(&gateway, "bob", MAPPINGS).status, 200, "somebody else's still works");
}

#[test]
fn a_key_can_be_revoked_at_once_and_restored() {
    let gateway = Gateway::start();
    assert_eq!(get(&gateway, "alice", MAPPINGS).status, 200);
    gateway.revoke_key_at_once("alice");
    assert_eq!(get(&gateway, "alice", MAPPINGS).error(), required());
    gateway.restore_key("alice");
    assert_eq!(get(&gateway, "alice", MAPPINGS).status, 200);
}
