//! Aliases: which are the same, and how they are reached by path.

use reference_gateway::{Gateway, NewMapping};

use crate::client::{MAPPINGS, body, call, create, get, path};

#[test]
fn any_spelling_reaches_the_row_and_shows_the_stored_one() {
    let gateway = Gateway::start();
    gateway.insert(NewMapping::owned_by("alice", "my-gpt"));
    for spelling in ["my-gpt", "MY-GPT", "my-gpt%20", "My-GPT%20%20", "m%C3%BD-gpt"] {
        let reply = get(&gateway, "alice", &path(spelling));
        assert_eq!(reply.json()["alias"], "my-gpt", "{spelling}");
    }
    assert_eq!(call(&gateway, "alice", "DELETE", &path("MY-GPT"), "").status, 200);
    assert!(gateway.mappings().is_empty());
}

#[test]
fn any_spelling_is_a_duplicate() {
    let gateway = Gateway::start();
    gateway.insert(NewMapping::owned_by("bob", "café"));
    for spelling in ["CAFÉ", "cafe", "café  ", "cafe\u{301}"] {
        assert_eq!(create(&gateway, "alice", spelling).status, 500, "{spelling:?}");
    }
    assert_eq!(create(&gateway, "alice", " café").status, 201, "a leading space counts");
}

#[test]
fn every_other_character_is_fine_as_one_encoded_segment() {
    let gateway = Gateway::start();
    for (alias, segment) in [
        ("a b", "a%20b"),
        ("100%", "100%25"),
        ("what?", "what%3F"),
        ("c#", "c%23"),
        ("c++", "c++"),
        ("d+", "d%2B"),
        ("r&d", "r&d"),
        ("\"quoted\"", "%22quoted%22"),
        ("it's", "it's"),
        ("日本", "%E6%97%A5%E6%9C%AC"),
        ("🦀", "%F0%9F%A6%80"),
        ("..", "%2E%2E"),
    ] {
        assert_eq!(create(&gateway, "alice", alias).status, 201, "{alias}");
        assert_eq!(get(&gateway, "alice", &path(segment)).json()["alias"], alias);
        assert_eq!(call(&gateway, "alice", "PUT", &path(segment), &body(alias)).status, 200, "{alias}");
        assert_eq!(call(&gateway, "alice", "DELETE", &path(segment), "").status, 200, "{alias}");
    }
}

#[test]
fn an_alias_with_a_slash_can_be_made_but_not_reached() {
    let gateway = Gateway::start();
    assert_eq!(create(&gateway, "alice", "a/b").status, 201);
    gateway.insert(NewMapping::owned_by("alice", "x"));
    assert_eq!(call(&gateway, "alice", "PUT", &path("x"), &body("c/d")).status, 200);
    for (method, target) in
        [("GET", path("a%2Fb")), ("GET", path("a/b")), ("PUT", path("c%2fd")), ("DELETE", path("c%2Fd"))]
    {
        let reply = call(&gateway, "alice", method, &target, "");
        assert_eq!((reply.status, reply.text()), (404, "404 page not found"), "{method} {target}");
    }
    let listed = get(&gateway, "alice", MAPPINGS).json();
    assert_eq!(listed["total"], 2);
}

#[test]
fn an_alias_that_ends_in_a_slash_is_redirected_to_another() {
    let gateway = Gateway::start();
    gateway.insert(NewMapping::owned_by("alice", "x"));
    gateway.insert(NewMapping::owned_by("alice", "x/"));
    let reply = call(&gateway, "alice", "DELETE", &path("x%2F"), "");
    assert_eq!((reply.status, reply.header("Location")), (307, Some("/api/v1/model-mappings/x")));
    assert_eq!(gateway.mappings().len(), 2);
}

#[test]
fn dots_and_slashes_in_one_segment_do_not_steer_a_write() {
    let gateway = Gateway::start();
    let reply = call(&gateway, "alice", "PUT", &path("..%2F..%2F..%2Fhealth"), &body("x"));
    assert_eq!((reply.status, reply.header("Location")), (404, None));
}

#[test]
fn an_empty_alias_redirects_to_the_list() {
    let gateway = Gateway::start();
    for (method, status) in [("GET", 301), ("PUT", 307), ("DELETE", 307)] {
        let reply = call(&gateway, "alice", method, &path(""), "");
        assert_eq!((reply.status, reply.header("Location")), (status, Some(MAPPINGS)), "{method}");
    }
}
