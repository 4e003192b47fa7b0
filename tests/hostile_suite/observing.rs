//! `--observe`: what a component under evaluation may do more, what it still may not, and the grants that come of it.

use std::process::{Command, Stdio};

use reference_gateway::{Fault, Gateway, What, When};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::probe::{Attempt, Evil, Tried, Verdict, World, assert_all_right, start_with};
use crate::audit::{of_type, records};
use crate::support::{Era, Ran, Start};

/// Two rules for one tool, and a key.
const FEW: &str = r#"
version  = 1
base_url = "${AIGATEWAY_URL}"

[tools]
fetch = ["GET /v1/models", "GET /api/v1/model-mappings/{alias}"]

[secrets.api_key]
env       = "AIGATEWAY_API_KEY"
parameter = "api_key"
header    = "X-API-Key"

[limits]
requests_per_call = 3
request_bytes = 100
"#;

const LISTING: &str = "/api/v1/model-mappings?page=1&limit=2";

fn observing() -> World {
    World::with(FEW, |start, _| start.args(["--observe", "--audit-log", "audit.jsonl"]))
}

/// The attempt with the placeholder where the key would go.
fn with_placeholder(attempt: Attempt) -> Attempt {
    attempt.headers(&[("X-API-Key", "placeholder-for-api_key")])
}

/// Which of the requests that the gateway saw brought a key.
fn brought_key(tried: &Tried) -> Vec<bool> {
    tried.granted_saw.iter().map(|request| request.header("X-API-Key").is_some()).collect()
}

/// The grant file that is printed at the end.
fn printed_grants(stderr: &str) -> String {
    let (_, rest) = stderr.split_once("requests of this session:\n").unwrap_or_else(|| panic!("no grants: {stderr}"));
    let (file, _) = rest.split_once("# the end of the grant file\n").expect("the file has an end");
    file.to_owned()
}

/// The rules of a grant file, per tool.
fn rules(file: &str) -> Value {
    serde_json::to_value(&toml::from_str::<toml::Table>(file).unwrap()["tools"]).unwrap()
}

#[test]
fn what_no_rule_allows_is_let_through_without_the_key_and_marked() {
    let mut world = observing();
    let granted = with_placeholder(world.attempt());
    let observed = with_placeholder(world.attempt().path(LISTING));

    let by_rule = world.try_as("fetch", &granted);
    let by_none = world.try_as("fetch", &observed);
    // This tool has no rule at all.
    let by_other =
        world.try_with("fetch_with_key", json!({ "attempt": world.attempt().0, "api_key": "ak_of-this-call" }));

    assert_eq!(brought_key(&by_rule), [true]);
    assert_eq!(brought_key(&by_none), [false]);
    assert_eq!(brought_key(&by_other), [false]);
    assert_eq!(by_none.result["structuredContent"]["status"], 401, "the gateway wants a key: {}", by_none.text);
    let records = records(&world.client.server.path("audit.jsonl"));
    assert_eq!(of_type(&records, "session.start")[0]["observe"], true);
    let intents = of_type(&records, "egress.intent");
    let marks: Vec<_> = intents.iter().map(|i| (&i["rule"], &i["observed"], &i["missing_rule"], &i["key"])).collect();
    let [none, yes, no] = [Value::Null, json!(true), json!(false)];
    let [models, listing] = [json!("GET /v1/models"), json!("GET /api/v1/model-mappings?page&limit")];
    assert_eq!(
        marks,
        [(&models, &none, &none, &yes), (&none, &yes, &listing, &no), (&none, &yes, &models, &no)],
        "{intents:?}"
    );
    assert!(of_type(&records, "denied").is_empty());
}

#[test]
fn every_other_check_holds_while_observing() {
    let mut world = observing();
    let evil = format!("127.0.0.1:{}", world.evil.port());
    let attempt = world.attempt().path("/health");
    let rows = vec![
        (attempt.clone(), Verdict::Allowed(200)),
        (attempt.clone().authority(evil), Verdict::Denied("origin")),
        (attempt.clone().authority(format!("u:p@{}", world.host())), Verdict::Denied("userinfo")),
        (attempt.clone().scheme("https"), Verdict::Denied("origin")),
        (attempt.clone().path("/v1/../health"), Verdict::Denied("path")),
        (attempt.clone().method("TRACE"), Verdict::Denied("method")),
        (attempt.clone().path("/health?a=1&a=2"), Verdict::Denied("path")),
        (attempt.clone().headers(&[("Authorization", "Bearer x")]), Verdict::Denied("headers")),
        (attempt.clone().headers(&[("X-API-Key", "ak_of-my-own")]), Verdict::Denied("headers")),
        (attempt.clone().method("POST").body("x".repeat(101)), Verdict::Denied("body")),
        (attempt.clone().body("x"), Verdict::Denied("body")),
    ];
    assert_all_right(&world.judge("observing", rows));
    let tried = world.try_as("fetch", &attempt.set("repeat", 4));
    assert_eq!(tried.granted_saw.len(), 3);
    assert!(tried.text.contains("the check `rate`"), "{}", tried.text);
}

#[test]
fn what_cannot_be_put_on_record_is_not_let_through_either() {
    let mut world = observing();
    let attempt = world.attempt().path("/health");
    assert!(!world.try_as("fetch", &attempt).failed);
    std::fs::remove_file(world.client.server.path("audit.jsonl")).unwrap();

    let tried = world.try_as("fetch", &attempt);

    assert!(tried.failed && tried.granted_saw.is_empty(), "{}", tried.text);
}

fn signal(process: u32, signal: Signal) {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(process, signal).expect("the process is there");
}

/// Calls the probe's tools one after the other, as a session: each must be answered with this status.
fn session(world: &mut World, status: u16) {
    let attempt = world.attempt();
    for (tool, attempt) in [
        ("fetch", attempt.clone()),
        ("fetch", attempt.clone().path("/health")),
        ("other", attempt.clone().path("/health?verbose=1")),
        ("other", attempt.clone().path("/health?full=1")),
        ("at_once", attempt.path("/v1/models?a=%20")),
    ] {
        let arguments = if tool == "at_once" {
            json!({ "attempt": attempt.0, "times": 2 })
        } else {
            json!({ "attempt": attempt.0 })
        };
        let tried = world.try_with(tool, arguments);
        assert!(!tried.failed && tried.text.contains(&status.to_string()), "{tool}: {}", tried.text);
    }
}

#[test]
fn the_grants_at_the_end_are_the_smallest_with_which_the_same_calls_succeed() {
    let ends: [fn(&World); 3] = [
        |world| world.client.server.close_stdin(),
        |world| signal(world.client.server.id(), Signal::TERM),
        |world| signal(world.client.server.id(), Signal::INT),
    ];
    for end in ends {
        let mut world = observing();
        session(&mut world, 200);

        end(&world);
        assert!(world.client.server.wait().success());
        let said = world.client.server.wait_for_stderr("# the end of the grant file");

        assert!(said.contains("warning: observed: 5 requests were let through that no rule allows"), "{said}");
        let file = printed_grants(&said);
        let wanted = json!({
            "fetch": ["GET /v1/models", "GET /health"],
            "other": ["GET /health?verbose&full"],
            "at_once": ["GET /v1/models?a"],
        });
        assert_eq!(rules(&file), wanted);
        let checked = Start::bare()
            .env("AIGATEWAY_URL", world.granted.url())
            .file("g.toml", &file)
            .args(["grants", "check", "g.toml"])
            .run();
        assert_eq!(checked.status.code(), Some(0), "{checked:?}");
        world.client = start_with(&world.granted, &file).connect(Era::Legacy);
        session(&mut world, 200);
        // No rule more: what was granted and not used is not in it.
        let unused = world.attempt().path("/api/v1/model-mappings/x");
        assert!(world.try_as("fetch", &unused).text.contains("the check `path`"));
        // The key, its parameter and the limits are as they were.
        let keyed = with_placeholder(world.attempt());
        assert_eq!(brought_key(&world.try_as("fetch", &keyed)), [true]);
        assert!(file.contains("requests_per_call = 3") && file.contains("request_bytes = 100"), "{file}");
    }
}

/// `call fetch` of an attempt, observed.
fn call(gateway: &Gateway, path: &str) -> Start {
    let attempt = json!({
        "method": "GET", "scheme": "http", "authority": format!("127.0.0.1:{}", gateway.port()), "path": path,
    });
    let arguments = json!({ "attempt": attempt }).to_string();
    start_with(gateway, FEW).args(["--observe", "--audit-log", "audit.jsonl", "call", "fetch", "--json", &arguments])
}

#[test]
fn a_single_call_ends_with_its_grants_too() {
    let gateway = Gateway::start();

    let ran = call(&gateway, "/health").run();

    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(rules(&printed_grants(&ran.stderr)), json!({ "fetch": ["GET /health"] }));
}

#[test]
fn a_single_call_that_is_interrupted_ends_with_its_grants_and_on_record() {
    let gateway = Gateway::start();
    gateway.fault(Fault::new(When::get("/health"), What::Silence));
    let start = call(&gateway, "/health");
    let child = start.command().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    gateway.wait_until("the request is there", |gateway| !gateway.requests().is_empty());

    signal(child.id(), Signal::TERM);
    let ran = Ran::from(child.wait_with_output().unwrap());

    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    assert!(ran.stderr.contains("Failed to call fetch: it was interrupted"), "{}", ran.stderr);
    assert_eq!(rules(&printed_grants(&ran.stderr)), json!({ "fetch": ["GET /health"] }));
    let records = records(&start.path("audit.jsonl"));
    assert_eq!(of_type(&records, "tool.result")[0]["error.type"], "cancelled");
    assert_eq!(of_type(&records, "session.end").len(), 1);
}

#[test]
fn it_says_loudly_that_it_observes_whatever_the_log_level() {
    let gateway = Gateway::start();
    let quiet = Start::on(&gateway, "alice").args(["--log-level", "error", "tools"]);
    assert_eq!(quiet.run().stderr, "");

    let ran = quiet.arg("--observe").run();

    let origin = format!("requests to {} that no rule allows are let through, without the key", gateway.url());
    assert!(ran.stderr.starts_with("aigateway-mcp: warning: OBSERVING: ") && ran.stderr.contains(&origin), "{ran:?}");
}

#[test]
fn hints_claim_no_more_than_is_enforced_while_observing() {
    let mut world = observing();
    let tools = world.client.tools();
    let mut without = World::with(FEW, |start, _| start);

    assert_eq!(tools.len(), 10, "tools without a rule are offered, too");
    for tool in tools {
        let hints = &tool["annotations"];
        let claimed = (&hints["readOnlyHint"], &hints["destructiveHint"], &hints["idempotentHint"]);
        assert_eq!(claimed, (&json!(false), &json!(true), &json!(false)), "{tool}");
    }
    let tools = without.client.tools();
    assert_eq!((tools.len(), &tools[0]["annotations"]["readOnlyHint"]), (1, &json!(true)));
}

#[test]
fn it_is_refused_together_with_what_promises_less() {
    for arguments in [
        ["--observe", "--read-only", "tools"],
        ["--observe", "tools", "--read-only"],
        ["--read-only", "tools", "--observe"],
        ["--observe", "--lock=some.lock", "tools"],
        ["--observe", "tools", "--lock=some.lock"],
    ] {
        let ran = Start::bare().args(arguments).run();
        assert!(!ran.status.success() && ran.stdout.is_empty(), "{arguments:?}: {ran:?}");
        assert!(ran.stderr.contains("cannot be used with"), "{arguments:?}: {}", ran.stderr);
    }
}

#[test]
fn without_it_nothing_of_the_kind_is_said_or_let_through() {
    let gateway = Gateway::start();
    let evil = Evil::start();
    let arguments = json!({ "attempt": {
        "method": "GET", "scheme": "http", "authority": format!("127.0.0.1:{}", gateway.port()), "path": "/health",
    } });
    let start = start_with(&gateway, FEW).args(["call", "fetch", "--json", &arguments.to_string()]);

    let output = Command::output(&mut start.command()).unwrap();

    let ran = Ran::from(output);
    assert_eq!(ran.status.code(), Some(1));
    assert!(!ran.stderr.to_lowercase().contains("observ"), "{}", ran.stderr);
    assert!(gateway.requests().is_empty() && evil.connections() == 0);
}
