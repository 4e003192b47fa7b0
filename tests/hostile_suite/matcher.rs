//! Properties of the matcher, under random URLs, authorities, paths and grant files.

use aigateway_mcp::grants::{Grants, RequestUrl, Route};
use proptest::prelude::*;

const FILE: &str = r#"
version  = 1
base_url = "https://good.example:8443/ai"
[tools]
fetch = ["GET /v1/models?page", "GET /m/{alias}", "GET /a/{b}/c"]
"#;

fn grants() -> Grants {
    Grants::parse(FILE, |_| None).expect("the grants are valid")
}

fn config() -> ProptestConfig {
    // No file of past failures: a failing case is printed, and becomes a test.
    ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() }
}

/// Authorities near the granted one: its parts, and what tends to confuse parsers.
fn authority() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        6 => Just("good.example".to_owned()),
        2 => Just(":8443".to_owned()),
        1 => prop::sample::select(vec![
            "GOOD.example", "evil.example", "@", ":", "::", ".", "..", "%2e", "%00", "[", "]", "[::1]", "127.0.0.1", "0x7f.1",
            "2130706433", "/", "\\", "?", "#", "+443", "0443", "443", "99999", " ", "\t", "\r\n", "\0", "xn--", "。", "ｇood", "-", "user:pw@", ",", ";",
        ]).prop_map(str::to_owned),
        1 => "[ -~]{0,3}",
    ];
    prop::collection::vec(part, 1..4).prop_map(|parts| parts.concat())
}

fn path() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        4 => prop::sample::select(vec!["ai", "v1", "models", "m", "a", "c", "x"]).prop_map(str::to_owned),
        2 => prop::sample::select(vec!["", ".", "..", "%2e%2e", "%2F", "%5c", "%00", "..;", "%", "%zz", "a%20b", "{alias}", "%c0%af", "?", "#", "//"]).prop_map(str::to_owned),
        1 => "[ -~]{0,4}",
    ];
    prop::collection::vec(segment, 1..6).prop_map(|segments| format!("/{}", segments.join("/")))
}

/// What the two parsers make of a whole URL: scheme, host and port, in one form.
fn destinations(url: &str) -> [Option<(String, String, Option<u16>)>; 2] {
    let known = |scheme: &str| match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    };
    let first = url.parse::<http::Uri>().ok().and_then(|uri| {
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let port = uri.port_u16().or(known(&scheme));
        Some((scheme, uri.host()?.to_ascii_lowercase(), port))
    });
    let second = url::Url::parse(url)
        .ok()
        .and_then(|url| Some((url.scheme().to_owned(), url.host_str()?.to_owned(), url.port_or_known_default())));
    [first, second]
}

fn granted_destination() -> Option<(String, String, Option<u16>)> {
    Some(("https".to_owned(), "good.example".to_owned(), Some(8443)))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn an_allowed_url_parses_back_to_the_granted_origin_under_both_parsers(
        scheme in prop::sample::select(vec!["https", "HTTPS", "http", "ftp", ""]),
        authority in authority(),
        path in path(),
        query in prop::option::of("[ -~]{0,8}"),
    ) {
        let target = query.map_or(path.clone(), |query| format!("{path}?{query}"));
        let Ok(url) = RequestUrl::parse(scheme, &authority, &target) else { return Ok(()) };
        if grants().decide("fetch", "GET", &url).is_ok() {
            let whole = format!("{scheme}://{authority}{target}");
            for destination in destinations(&whole) {
                prop_assert_eq!(destination, granted_destination(), "{}", whole);
            }
            // Nor does either parser resolve the path into another one.
            let standard = url::Url::parse(&whole).expect("it was parsed before");
            prop_assert_eq!(standard.path(), url.path.as_str());
        }
    }

    #[test]
    fn a_mutated_authority_is_the_granted_one_or_denied(
        at in 0usize..=17,
        cut in 0usize..=2,
        inserted in prop_oneof!["[ -~]{0,2}", "\\PC{0,2}", prop::sample::select(vec!["@", ":", "%00", "\0", "\r\n", ".", "\\"]).prop_map(str::to_owned)],
    ) {
        let authority = "good.example:8443";
        let end = (at + cut).min(authority.len());
        let mutated = format!("{}{inserted}{}", &authority[..at], &authority[end..]);
        let Ok(url) = RequestUrl::parse("https", &mutated, "/ai/v1/models") else { return Ok(()) };
        if grants().decide("fetch", "GET", &url).is_ok() {
            prop_assert_eq!(mutated.to_ascii_lowercase(), authority);
        }
    }

    #[test]
    fn a_route_never_matches_another_number_of_segments(path in path()) {
        for rule in ["GET /v1/models", "GET /m/{alias}", "GET /a/{b}/c", "GET /{a}/{b}/{c}/{d}"] {
            let route: Route = rule.parse().expect("the rule is valid");
            if route.matches_path(&path) {
                prop_assert_eq!(path.matches('/').count(), rule.matches('/').count(), "{} by {}", path, rule);
                prop_assert!(path.split('/').skip(1).all(|segment| !segment.is_empty()), "{}", path);
            }
        }
    }

    #[test]
    fn whatever_is_allowed_is_allowed_by_a_rule_of_the_tool(method in "[A-Za-z]{1,6}", path in path()) {
        let Ok(url) = RequestUrl::parse("https", "good.example:8443", &path) else { return Ok(()) };
        let grants = grants();
        if let Ok(rule) = grants.decide("fetch", &method, &url) {
            prop_assert_eq!(rule.method(), method.as_str());
            prop_assert!(grants.routes("fetch").contains(rule));
        }
        prop_assert!(grants.decide("other", &method, &url).is_err());
    }

    #[test]
    fn a_missing_rule_would_have_been_enough(method in prop::sample::select(vec!["GET", "PUT", "TRACE"]), path in path(), query in prop::option::of("[a-c&=]{0,5}")) {
        if let Some(rule) = Route::that_allows(method, &path, query.as_deref()) {
            let written: Route = rule.to_string().parse().expect("a rule reads back as it was written");
            prop_assert!(written.matches_path(&path));
            prop_assert_eq!(query.as_deref().and_then(|query| written.refused_query_key(query)), None);
        }
    }

    #[test]
    fn a_grant_file_of_any_text_is_read_or_refused_with_a_line(text in "(\\PC|\n){0,200}", rule in "\\PC{0,20}") {
        for text in [text, format!("version = 1\nbase_url = \"http://localhost\"\n[tools]\na = [{rule:?}]\n")] {
            if let Err(error) = Grants::parse(&text, |_| None) {
                prop_assert!((1..=text.lines().count().max(1) + 1).contains(&error.line), "{}", error);
            }
        }
    }
}
