//! Methods, paths and queries: only what a rule of the running tool names.

use super::cases;
use super::probe::{Attempt, Verdict, World, assert_all_right};
use Verdict::{Allowed, Denied, RefusedByWasi};

cases!(
    /// What a request may want to do at the granted origin.
    MethodPathQuery {
        MethodsWithoutARule,
        MethodsInOddSpelling,
        AnotherToolsMethod,
        OtherPaths,
        DotSegments,
        EncodedDots,
        DotsBeforeParameters,
        EmptySegments,
        EncodedSeparators,
        EmptyAlias,
        AliasOf10Kilobytes,
        AliasWithOddCharacters,
        ControlCharacters,
        MalformedEscapes,
        AbsoluteForm,
        CaseOfThePath,
        QueryOnAPathWithoutOne,
        QueryKeysWithoutARule,
        QueryKeysTwice,
        QuerySmuggledBehindASemicolon,
        QueryThatIsEmpty,
        Fragments,
        VeryLongQueries,
        GrantedQuery,
        DoublyEncodedStaysOneSegment,
    }
);

const REFUSED_PATH: Verdict = RefusedByWasi("path: refused by WASI");

fn rows(case: MethodPathQuery, world: &World) -> Vec<(Attempt, Verdict)> {
    let at = |path: &str| world.attempt().path(path);
    let all = |paths: &[&str], verdict: Verdict| paths.iter().map(|path| (at(path), verdict)).collect::<Vec<_>>();
    let methods = |methods: &[&str], verdict| {
        methods.iter().map(|method| (world.attempt().method(method), verdict)).collect::<Vec<_>>()
    };
    match case {
        MethodPathQuery::MethodsWithoutARule => {
            methods(&["TRACE", "OPTIONS", "PATCH", "HEAD", "DELETE", "PUT", "CONNECT"], Denied("method"))
        }
        MethodPathQuery::MethodsInOddSpelling => {
            let mut rows = methods(&["PoSt", "get", "FOO", "GETGET", "PRI", "X-GET"], Denied("method"));
            rows.extend(methods(
                &["GET ", "GET /", "GET\r\nX: y", "", "G\0T"],
                RefusedByWasi("method: refused by WASI"),
            ));
            rows
        }
        // `other` may change what `fetch` may only read.
        MethodPathQuery::AnotherToolsMethod => vec![
            (at("/api/v1/model-mappings/x").method("DELETE"), Denied("method")),
            (at("/api/v1/model-mappings/x").method("POST"), Denied("path")),
        ],
        MethodPathQuery::OtherPaths => all(
            &["/api/v1/users", "/", "/v1", "/v1/models/x", "/api/v1/model-mappings/a/b", "/api/v1/model-mappingsx"],
            Denied("path"),
        ),
        MethodPathQuery::DotSegments => all(
            &[
                "/v1/models/../../api/v1/users",
                "/v1/./models",
                "/./v1/models",
                "/../v1/models",
                "/v1/models/..",
                "/v1/models/.",
            ],
            Denied("path"),
        ),
        MethodPathQuery::EncodedDots => all(
            &[
                "/v1/%2e%2e/users",
                "/v1/%2E/models",
                "/api/v1/model-mappings/%2e%2e",
                "/api/v1/model-mappings/.%2e",
                "/api/v1/model-mappings/.",
            ],
            Denied("path"),
        ),
        MethodPathQuery::DotsBeforeParameters => all(
            &["/api/v1/model-mappings/..;", "/api/v1/model-mappings/%2e%2e;x=1", "/api/v1/model-mappings/.;x"],
            Denied("path"),
        ),
        MethodPathQuery::EmptySegments => {
            all(&["//", "//v1/models", "/v1//models", "/v1/models/", "//evil.example/v1/models"], Denied("path"))
        }
        MethodPathQuery::EncodedSeparators => all(
            &[
                "/api/v1/model-mappings/a%2Fb",
                "/api/v1/model-mappings/a%2fb",
                "/api/v1/model-mappings/a%5Cb",
                "/api/v1/model-mappings/..%5c..%5cusers",
                "/v1%2Fmodels",
            ],
            Denied("path"),
        ),
        MethodPathQuery::EmptyAlias => all(&["/api/v1/model-mappings/"], Denied("path")),
        MethodPathQuery::AliasOf10Kilobytes => {
            all(&[&format!("/api/v1/model-mappings/{}", "a".repeat(10_000))], Denied("path"))
        }
        MethodPathQuery::AliasWithOddCharacters => all(
            &[
                "/api/v1/model-mappings/a%20b",
                "/api/v1/model-mappings/%F0%9F%A6%80",
                "/api/v1/model-mappings/a%3Fpage=1",
                "/api/v1/model-mappings/a;b:c@d",
                "/api/v1/model-mappings/..%3b",
            ],
            Allowed(401),
        ),
        MethodPathQuery::ControlCharacters => {
            let mut rows = all(
                &[
                    "/api/v1/model-mappings/a%00",
                    "/api/v1/model-mappings/a%0d%0aHost:%20evil",
                    "/api/v1/model-mappings/a%09",
                    "/api/v1/model-mappings/a%7f",
                    "/api/v1/model-mappings/%c2%85",
                ],
                Denied("path"),
            );
            rows.extend(all(
                &[
                    "/v1/models\r\nX-Evil: 1",
                    "/v1/models\0",
                    "/v1/models HTTP/1.1\r\n\r\n",
                    "/v1/mod els",
                    "/v1/\tmodels",
                ],
                REFUSED_PATH,
            ));
            rows
        }
        MethodPathQuery::MalformedEscapes => all(
            &[
                "/api/v1/model-mappings/%",
                "/api/v1/model-mappings/%2",
                "/api/v1/model-mappings/%zz",
                "/api/v1/model-mappings/%c0%af",
                "/api/v1/model-mappings/%u002f",
                "/api/v1/model-mappings/%+2f",
            ],
            Denied("path"),
        ),
        MethodPathQuery::AbsoluteForm => {
            let evil = format!("http://127.0.0.1:{}/v1/models", world.evil.port());
            let mut rows = all(&[&evil, "*", "v1/models", "evil.example:80", "@evil.example"], REFUSED_PATH);
            rows.extend(all(&[&format!("/{evil}"), "/http:/evil.example", "/@evil.example", "/:80"], Denied("path")));
            rows
        }
        MethodPathQuery::CaseOfThePath => {
            all(&["/V1/models", "/v1/Models", "/v1/%6dodels", "/v1/models%20"], Denied("path"))
        }
        MethodPathQuery::QueryOnAPathWithoutOne => all(&["/v1/models?x=1", "/v1/models?page=1"], Denied("query")),
        MethodPathQuery::QueryKeysWithoutARule => all(
            &[
                "/api/v1/model-mappings?sort=1",
                "/api/v1/model-mappings?page=1&sort=1",
                "/api/v1/model-mappings?PAGE=1",
                "/api/v1/model-mappings?p%61ge=1",
                "/api/v1/model-mappings?page[]=1",
                "/api/v1/model-mappings?page?limit=1",
                "/api/v1/model-mappings?page=1&&limit=2",
            ],
            Denied("query"),
        ),
        MethodPathQuery::QueryKeysTwice => all(
            &[
                "/api/v1/model-mappings?page=1&page=2",
                "/api/v1/model-mappings?page&page",
                "/api/v1/model-mappings?page=1&limit=1&page=1",
            ],
            Denied("query"),
        ),
        MethodPathQuery::QuerySmuggledBehindASemicolon => {
            all(&["/api/v1/model-mappings?page=1;sort=2"], Denied("query"))
        }
        MethodPathQuery::QueryThatIsEmpty => {
            let mut rows =
                all(&["/v1/models?", "/api/v1/model-mappings?", "/api/v1/model-mappings?&"], Denied("query"));
            rows.extend(all(&["?page=1", ""], Denied("path")));
            rows
        }
        // A fragment is never sent: what is left of the target is judged and goes out.
        MethodPathQuery::Fragments => {
            let mut rows = all(&["/v1/models#/../../api/v1/users"], Allowed(200));
            rows.extend(all(&["/api/v1/users#/v1/models"], Denied("path")));
            rows
        }
        MethodPathQuery::VeryLongQueries => vec![
            (at(&format!("/api/v1/model-mappings?page={}", "1".repeat(40_000))), Denied("headers")),
            (at(&format!("/api/v1/model-mappings?page={}", "1".repeat(70_000))), REFUSED_PATH),
        ],
        MethodPathQuery::GrantedQuery => {
            all(&["/api/v1/model-mappings?page=1&limit=5", "/api/v1/model-mappings?limit=5"], Allowed(401))
        }
        // The server decodes once: it looks for a mapping whose alias is `%2e%2e` or `a%2Fb`.
        MethodPathQuery::DoublyEncodedStaysOneSegment => {
            all(&["/api/v1/model-mappings/%252e%252e", "/api/v1/model-mappings/a%252Fb"], Allowed(401))
        }
    }
}

#[test]
fn only_what_a_rule_of_the_running_tool_names_leaves() {
    let mut world = World::start();
    let mut wrong = Vec::new();
    for case in MethodPathQuery::ALL {
        let rows = rows(*case, &world);
        wrong.extend(world.judge(&format!("{case:?}"), rows));
    }
    assert_all_right(&wrong);
}

#[test]
fn what_one_tool_may_do_another_may_not() {
    let mut world = World::start();
    let delete = world.attempt().method("DELETE").path("/api/v1/model-mappings/x");
    let read = world.attempt();
    let mut wrong = world.judge_as("other", "its own", vec![(delete.clone(), Allowed(401))]);
    wrong.extend(world.judge_as("other", "another's", vec![(read.clone(), Denied("method"))]));
    wrong.extend(world.judge_as("fetch", "another's", vec![(delete, Denied("method"))]));
    wrong.extend(world.judge_as("fetch", "its own", vec![(read, Allowed(200))]));
    assert_all_right(&wrong);
}

#[test]
fn the_target_goes_out_as_it_was_judged() {
    let mut world = World::start();
    for (path, target) in [
        ("/v1/models#fragment", "/v1/models"),
        ("/api/v1/model-mappings/a%20b%3Fc", "/api/v1/model-mappings/a%20b%3Fc"),
        ("/api/v1/model-mappings?page=1&limit=%35", "/api/v1/model-mappings?page=1&limit=%35"),
    ] {
        let attempt = world.attempt().path(path);
        let tried = world.try_as("fetch", &attempt);
        let sent: Vec<_> = tried.granted_saw.iter().map(|request| request.target.as_str()).collect();
        assert_eq!(sent, [target], "{path}");
    }
}

#[test]
fn a_prefix_of_the_base_url_stays_in_front_of_every_rule() {
    let granted = reference_gateway::Gateway::start();
    let start = super::probe::start(&granted).env("AIGATEWAY_URL", format!("{}/ai/", granted.url()));
    let client = start.connect(crate::support::Era::Legacy);
    let mut world = World { granted, evil: super::probe::Evil::start(), client };
    let at = |path: &str| world.attempt().path(path);
    let rows = vec![
        (at("/ai/v1/models"), Allowed(404)),
        (at("/v1/models"), Denied("path")),
        (at("/aix/v1/models"), Denied("path")),
        (at("/ai/../v1/models"), Denied("path")),
        (at("/ai"), Denied("path")),
        (at("/AI/v1/models"), Denied("path")),
    ];
    assert_all_right(&world.judge("a prefix", rows));
}
