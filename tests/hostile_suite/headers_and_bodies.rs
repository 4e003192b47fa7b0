//! Headers and bodies: a component cannot say who asks, where the request goes, or where it ends.

use serde_json::json;

use super::cases;
use super::probe::{Attempt, Verdict, World, assert_all_right};
use Verdict::{Allowed, Denied, RefusedByWasi};

cases!(
    /// What a request may want to carry.
    HeadersAndBodies {
        GrantedHeaders,
        HeadersThatSayWhoAsks,
        HeadersThatChangeTheRequest,
        HeadersOfTheConnection,
        TrailersThatSayWhoAsks,
        TrailersOfTheConnection,
        TheKeysHeaderTwice,
        TheKeysHeaderWithAnotherValue,
        LineBreaksInAValue,
        OddNames,
        HeadersOverTheCap,
        BodyOverTheCap,
        BodyDrippedOverTheCap,
        BodyWhereNoneIsExpected,
        LengthsThatLie,
    }
);

fn rows(case: HeadersAndBodies, world: &World) -> Vec<(Attempt, Verdict)> {
    let get = || world.attempt();
    let post = || world.attempt().method("POST").path("/api/v1/model-mappings");
    let each = |names: &[&str], verdict: Verdict| {
        names.iter().map(|name| (get().headers(&[(name, "1")]), verdict)).collect::<Vec<_>>()
    };
    match case {
        HeadersAndBodies::GrantedHeaders => vec![
            (
                get().headers(&[("Accept", "application/json"), ("User-Agent", "probe"), ("Accept-Language", "de")]),
                Allowed(200),
            ),
            (get().headers(&[("X-API-Key", "placeholder-for-api_key")]), Allowed(200)),
            (post().headers(&[("Content-Type", "application/json")]).body("{}"), Allowed(401)),
        ],
        HeadersAndBodies::HeadersThatSayWhoAsks => each(
            &[
                "Authorization",
                "Cookie",
                "X-Forwarded-For",
                "Forwarded",
                "Via",
                "Origin",
                "Referer",
                "X-Real-IP",
                "X-API-Key2",
                "X_API_Key",
            ],
            Denied("headers"),
        ),
        HeadersAndBodies::HeadersThatChangeTheRequest => each(
            &[
                "X-HTTP-Method-Override",
                "X-Method-Override",
                "X-Original-URL",
                "X-Rewrite-URL",
                "Expect",
                "Range",
                "TE",
                "Trailer",
                "Accept-Encoding",
                "If-None-Match",
                "Content-Encoding",
                "Forwarded-Host",
                "Max-Forwards",
                "Alt-Used",
            ],
            Denied("headers"),
        ),
        HeadersAndBodies::HeadersOfTheConnection => each(
            &[
                "Host",
                "Transfer-Encoding",
                "Connection",
                "Proxy-Authorization",
                "Proxy-Authenticate",
                "Proxy-Connection",
                "Keep-Alive",
                "Upgrade",
                "HTTP2-Settings",
            ],
            RefusedByWasi("header: HeaderError::Forbidden"),
        ),
        HeadersAndBodies::TrailersThatSayWhoAsks => {
            ["Authorization", "Cookie", "Expect", "X-HTTP-Method-Override", "X-API-Key", "X-Any"]
                .iter()
                .map(|name| (post().body("{}").trailers(&[(name, "placeholder-for-api_key")]), Denied("headers")))
                .collect()
        }
        // WASI refuses the trailer, and the body without an end fails.
        HeadersAndBodies::TrailersOfTheConnection => ["Host", "Transfer-Encoding", "Connection", "Proxy-Authorization"]
            .iter()
            .map(|name| (post().body("{}").trailers(&[(name, "1")]), RefusedByWasi("HttpRequestBodySize")))
            .collect(),
        HeadersAndBodies::TheKeysHeaderTwice => {
            let placeholder = "placeholder-for-api_key";
            vec![
                (get().headers(&[("X-API-Key", placeholder), ("x-api-key", placeholder)]), Denied("headers")),
                (get().headers(&[("X-API-Key", placeholder), ("X-API-Key", "ak_other")]), Denied("headers")),
                (get().headers(&[("Accept", "a"), ("accept", "b")]), Denied("headers")),
            ]
        }
        HeadersAndBodies::TheKeysHeaderWithAnotherValue => [
            "ak_other",
            "",
            "Bearer placeholder-for-api_key",
            "placeholder-for-api_key, placeholder-for-api_key",
            "PLACEHOLDER-FOR-API_KEY",
        ]
        .iter()
        .map(|value| (get().headers(&[("X-API-Key", value)]), Denied("headers")))
        .collect(),
        HeadersAndBodies::LineBreaksInAValue => {
            ["a\r\nX-API-Key: b", "a\nb", "a\rb", "a\0b", "a\r\n\r\nGET / HTTP/1.1"]
                .iter()
                .map(|value| {
                    (get().headers(&[("User-Agent", value)]), RefusedByWasi("header: HeaderError::InvalidSyntax"))
                })
                .collect()
        }
        HeadersAndBodies::OddNames => {
            each(&["A b", "A:b", "A\r\nHost", "", "Ä", "A\0"], RefusedByWasi("header: HeaderError::InvalidSyntax"))
        }
        HeadersAndBodies::HeadersOverTheCap => {
            vec![(get().headers(&[("User-Agent", &"x".repeat(40_000))]), Denied("headers"))]
        }
        HeadersAndBodies::BodyOverTheCap => vec![
            (post().body("x".repeat((1 << 20) + 1)), Denied("body")),
            (post().headers(&[("Content-Length", "1048577")]).body("x".repeat((1 << 20) + 1)), Denied("body")),
        ],
        HeadersAndBodies::BodyDrippedOverTheCap => {
            vec![(post().body("x".repeat(512)).set("times", 4000), Denied("body"))]
        }
        HeadersAndBodies::BodyWhereNoneIsExpected => {
            vec![(get().body("GET /api/v1/users HTTP/1.1\r\nHost: x\r\n\r\n"), Denied("body"))]
        }
        HeadersAndBodies::LengthsThatLie => vec![
            (
                post().headers(&[("Content-Length", "2")]).body("{}GET /v1/models HTTP/1.1\r\n\r\n"),
                RefusedByWasi("HttpRequestBodySize"),
            ),
            (post().headers(&[("Content-Length", "200")]).body("{}"), RefusedByWasi("HttpRequestBodySize")),
            (post().headers(&[("Content-Length", "+2")]).body("{}"), RefusedByWasi("")),
            (
                post().headers(&[("Content-Length", "2"), ("Content-Length", "2")]).body("{}"),
                RefusedByWasi("header: HeaderError::InvalidSyntax"),
            ),
        ],
    }
}

#[test]
fn a_component_sets_neither_who_asks_nor_where_it_goes_nor_where_it_ends() {
    let mut world = World::start();
    let mut wrong = Vec::new();
    for case in HeadersAndBodies::ALL {
        let rows = rows(*case, &world);
        wrong.extend(world.judge(&format!("{case:?}"), rows));
    }
    assert_all_right(&wrong);
}

#[test]
fn the_placeholder_is_replaced_in_the_granted_header_and_nowhere_else() {
    const PLACEHOLDER: &str = "placeholder-for-api_key";
    let mut world = World::start();
    let key = world.granted.key("alice").to_owned();
    let elsewhere = world.attempt().method("POST").path("/api/v1/model-mappings");
    let elsewhere = elsewhere.headers(&[("User-Agent", PLACEHOLDER), ("Accept", PLACEHOLDER)]).body(PLACEHOLDER);
    let in_target = world.attempt().path(format!("/api/v1/model-mappings?page={PLACEHOLDER}"));
    let in_path = world.attempt().path(format!("/api/v1/model-mappings/{PLACEHOLDER}"));

    for attempt in [elsewhere, in_target, in_path] {
        let tried = world.try_as("fetch", &attempt);
        let [request] = &tried.granted_saw[..] else { panic!("{:?}: {}", attempt.0, tried.text) };
        let wire = format!("{request:?}{}", request.body_text());
        assert!(wire.contains(PLACEHOLDER) && !wire.contains(&key), "{wire}");
        assert_eq!(request.header("X-API-Key"), None);
    }

    let in_header = world.attempt().headers(&[("X-API-Key", PLACEHOLDER)]);
    let tried = world.try_as("fetch", &in_header);
    assert_eq!(tried.granted_saw[0].header("X-API-Key"), Some(key.as_str()));
}

#[test]
fn the_host_and_the_length_go_out_as_they_are() {
    let mut world = World::start();
    let attempt = world.attempt().method("POST").path("/api/v1/model-mappings").body("{\"a\":1}");
    let tried = world.try_as("fetch", &attempt);
    let [request] = &tried.granted_saw[..] else { panic!("{}", tried.text) };
    assert_eq!(request.header("Host"), Some(world.host().as_str()));
    assert_eq!(request.header("Content-Length"), Some("7"));
    assert_eq!(request.header("Transfer-Encoding"), None);
    assert_eq!(request.body_text(), "{\"a\":1}");
    let names: Vec<_> = request.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    assert_eq!(names, ["host", "content-length"]);
}

#[test]
fn after_its_limit_a_call_makes_no_further_request() {
    let mut world = World::start();
    let granted = world.attempt();
    let tried = world.try_with("flood", json!({ "attempt": granted.0, "times": 1000 }));
    assert_eq!(
        tried.result["structuredContent"]["result"],
        json!([["200", 64], ["ErrorCode::HttpRequestDenied", 936]])
    );
    assert_eq!(tried.granted_saw.len(), 64);
}

#[test]
fn what_is_denied_counts_too_and_the_log_does_not_fill_with_it() {
    let mut world = World::start();
    let denied = world.attempt().path("/api/v1/users");
    let tried = world.try_with("flood", json!({ "attempt": denied.0, "times": 1000 }));
    assert_eq!(tried.result["structuredContent"]["result"], json!([["ErrorCode::HttpRequestDenied", 1000]]));
    let said = world.client.server.wait_for_stderr("further denials in this call are not told");
    assert_eq!(said.matches("denied by the check").count(), 16, "{said}");
}
