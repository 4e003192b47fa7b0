//! HTTP itself: framing, content types, unknown routes, redirects, decoding and encoding.

use reference_gateway::{Gateway, NewMapping};

use crate::client::{Client, MAPPINGS, body, call, create, get, path};

#[test]
fn a_connection_takes_one_request_after_another() {
    let gateway = Gateway::start();
    let mut client = Client::connect(&gateway);
    for _ in 0..3 {
        client.request("GET", "/health", "", "");
        assert_eq!(client.reply().status, 200);
    }
    assert_eq!(gateway.connections(), 1);
}

#[test]
fn a_client_that_says_close_is_closed_after_its_answer() {
    let gateway = Gateway::start();
    let mut client = Client::connect(&gateway);
    client.send("GET /health HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n");
    assert_eq!(client.reply().header("Connection"), Some("close"));
    assert_eq!(client.rest().1.unwrap(), 0);
}

#[test]
fn json_answers_carry_content_type_and_content_length() {
    let gateway = Gateway::start();
    for reply in
        [get(&gateway, "alice", MAPPINGS), get(&gateway, "alice", &path("none")), create(&gateway, "alice", "a")]
    {
        assert_eq!(reply.header("Content-Type"), Some("application/json; charset=utf-8"));
        assert_eq!(reply.header("Content-Length"), Some(reply.body.len().to_string().as_str()));
    }
}

#[test]
fn answers_carry_no_header_that_the_gateway_does_not_have() {
    let gateway = Gateway::start();
    let absent = ["ETag", "Retry-After", "WWW-Authenticate", "X-Request-Id", "Content-Encoding", "Transfer-Encoding"];
    for target in ["/health", MAPPINGS, "/nowhere"] {
        let mut client = Client::connect(&gateway);
        client.request("GET", target, "", "");
        let reply = client.reply();
        for name in absent {
            assert_eq!(reply.header(name), None, "{name} of {target}");
        }
    }
}

#[test]
fn a_chunked_request_body_is_accepted() {
    let gateway = Gateway::start();
    let mut client = Client::connect(&gateway);
    let body = body("in-pieces");
    let (one, two) = body.split_at(10);
    let key = gateway.key("alice");
    client
        .send(format!("POST {MAPPINGS} HTTP/1.1\r\nHost: g\r\nX-API-Key: {key}\r\nTransfer-Encoding: chunked\r\n\r\n"));
    client.send(format!("{:x}\r\n{one}\r\n", one.len()));
    client.send(format!("{:X};extension=1\r\n{two}\r\n0\r\nTrailer: 1\r\n\r\n", two.len()));
    assert_eq!(client.reply().status, 201);
    client.request("GET", "/health", "", "");
    assert_eq!(client.reply().status, 200, "the connection goes on behind the last chunk");
    assert_eq!(gateway.requests()[0].body_text(), body);
}

#[test]
fn a_client_that_waits_to_continue_is_told_to() {
    let gateway = Gateway::start();
    let mut client = Client::connect(&gateway);
    let (key, body) = (gateway.key("alice"), body("patient"));
    let length = body.len();
    let head = format!("POST {MAPPINGS} HTTP/1.1\r\nHost: g\r\nX-API-Key: {key}\r\nExpect: 100-continue\r\n");
    client.send(format!("{head}Content-Length: {length}\r\n\r\n"));
    let mut word = [0; 25];
    client.read_exact(&mut word);
    assert_eq!(&word, b"HTTP/1.1 100 Continue\r\n\r\n");
    client.send(&body);
    assert_eq!(client.reply().status, 201);
}

#[test]
fn an_unknown_route_or_method_is_a_404_in_plain_text() {
    let gateway = Gateway::start();
    let cases = [
        ("GET", "/"),
        ("GET", "/api/v1/models"),
        ("GET", "/API/v1/model-mappings"),
        ("POST", "/health"),
        ("DELETE", MAPPINGS),
        ("PATCH", "/api/v1/model-mappings/x"),
        ("POST", "/api/v1/model-mappings/x"),
        ("GET", "/api/v1/model-mappings/x/y"),
        ("POST", "/v1/models"),
        ("OPTIONS", MAPPINGS),
    ];
    for (method, target) in cases {
        let reply = call(&gateway, "alice", method, target, "");
        assert_eq!((reply.status, reply.text()), (404, "404 page not found"), "{method} {target}");
        assert_eq!(reply.header("Content-Type"), Some("text/plain"));
    }
}

#[test]
fn a_head_request_gets_no_body() {
    let gateway = Gateway::start();
    let mut client = Client::connect(&gateway);
    client.send("HEAD /health HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n");
    let (answer, _) = client.rest();
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[test]
fn a_malformed_escape_is_a_400_in_plain_text() {
    let gateway = Gateway::start();
    for target in ["/api/v1/model-mappings/%", "/api/v1/model-mappings/100%zz", "/%4"] {
        let reply = get(&gateway, "alice", target);
        assert_eq!((reply.status, reply.text()), (400, "400 Bad Request"), "{target}");
        assert_eq!(reply.header("Content-Type"), Some("text/plain; charset=utf-8"));
    }
}

#[test]
fn what_is_no_http_is_a_400_and_the_end() {
    let gateway = Gateway::start();
    let mut client = Client::connect(&gateway);
    client.send("this is not http\r\n\r\n");
    let (answer, _) = client.rest();
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    assert!(gateway.requests().is_empty());
}

#[test]
fn a_trailing_slash_redirects_get_with_a_page() {
    let gateway = Gateway::start();
    for (target, location) in [
        ("/health/", "/health"),
        ("/v1/models/", "/v1/models"),
        ("/api/v1/model-mappings/", MAPPINGS),
        ("/api/v1/model-mappings/?page=2", "/api/v1/model-mappings?page=2"),
        ("/api/v1/model-mappings/a%20b%3F/", "/api/v1/model-mappings/a%20b%3F"),
    ] {
        let reply = get(&gateway, "alice", target);
        assert_eq!((reply.status, reply.header("Location")), (301, Some(location)), "{target}");
        assert_eq!(reply.header("Content-Type"), Some("text/html; charset=utf-8"));
        assert_eq!(reply.text(), format!("<a href=\"{location}\">Moved Permanently</a>.\n\n"));
    }
}

#[test]
fn a_trailing_slash_redirects_writes_without_a_body() {
    let gateway = Gateway::start();
    gateway.insert(NewMapping::owned_by("alice", "x"));
    for (method, target) in [
        ("POST", "/api/v1/model-mappings"),
        ("PUT", "/api/v1/model-mappings/x"),
        ("DELETE", "/api/v1/model-mappings/x"),
    ] {
        let reply = call(&gateway, "alice", method, &format!("{target}/"), &body("y"));
        assert_eq!((reply.status, reply.header("Location")), (307, Some(target)), "{method}");
        assert_eq!((reply.text(), reply.header("Content-Type")), ("", None));
    }
    assert_eq!(gateway.mappings().len(), 1, "a redirect changes nothing");
}

#[test]
fn a_slash_after_no_route_is_a_404() {
    let gateway = Gateway::start();
    assert_eq!(get(&gateway, "alice", "/nowhere/").status, 404);
    assert_eq!(call(&gateway, "alice", "POST", "/health/", "").status, 404);
}

#[test]
fn dot_segments_are_redirected_to_the_clean_path() {
    let gateway = Gateway::start();
    let cases = [
        ("GET", "/api/v1/model-mappings/../../../health", 301, "/health"),
        ("GET", "/api/v1/./model-mappings", 301, MAPPINGS),
        ("GET", "//health", 301, "/health"),
        ("PUT", "/api/v1/model-mappings/../../../health", 307, "/health"),
        ("DELETE", "/api/v1/model-mappings/..", 307, "/api/v1"),
    ];
    for (method, target, status, location) in cases {
        let reply = call(&gateway, "alice", method, target, "");
        assert_eq!((reply.status, reply.header("Location")), (status, Some(location)), "{method} {target}");
    }
}

#[test]
fn the_content_type_of_a_request_does_not_matter() {
    let gateway = Gateway::start();
    let mut client = Client::connect(&gateway);
    let (key, body) = (gateway.key("alice"), body("typed"));
    let length = body.len();
    client.send(format!(
        "POST {MAPPINGS} HTTP/1.1\r\nX-API-Key: {key}\r\nContent-Type: text/xml\r\nContent-Length: {length}\r\n\r\n{body}"
    ));
    assert_eq!(client.reply().status, 201);
}

#[test]
fn field_names_match_whatever_their_case_and_unknown_ones_are_ignored() {
    let gateway = Gateway::start();
    let body = r#"{"ALIAS":"a","Provider_ID":"p","model_NAME":"m","extra":{"deep":[1]},"owner_id":"me","id":77}"#;
    let reply = call(&gateway, "alice", "POST", MAPPINGS, body);
    assert_eq!(reply.status, 201);
    let stored = &gateway.mappings()[0];
    assert_eq!((stored.alias.as_str(), stored.provider_id.as_str(), stored.model_name.as_str()), ("a", "p", "m"));
    assert_eq!((stored.id, stored.owner_id.as_deref()), (1, Some(gateway.owner_id("alice"))));
}

#[test]
fn html_characters_are_escaped_in_answers() {
    let gateway = Gateway::start();
    let reply = create(&gateway, "alice", "<a>&é\u{2028}");
    assert_eq!(reply.json()["alias"], "<a>&é\u{2028}");
    assert!(reply.text().contains(r#""alias":"\u003ca\u003e\u0026é\u2028""#), "{}", reply.text());
}

#[test]
fn behind_a_path_prefix_every_route_is_below_it_and_nothing_beside_it() {
    let gateway = Gateway::builder().path_prefix("/ai").start().unwrap();
    assert!(gateway.url().ends_with("/ai"), "{}", gateway.url());
    assert_eq!(get(&gateway, "alice", "/ai/health").status, 200);
    assert_eq!(get(&gateway, "alice", &format!("/ai{MAPPINGS}")).json()["total"], 0);
    for target in ["/health", MAPPINGS, "/aihealth"] {
        assert_eq!(get(&gateway, "alice", target).status, 404, "{target}");
    }
}
