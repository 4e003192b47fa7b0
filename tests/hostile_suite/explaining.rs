//! Explaining: what is granted, what would become of a request, and which line would change that.

use super::probe::{Evil, GRANTS, Tried, World, start_with};
use crate::support::{Era, Start, assert_golden};

#[test]
fn the_table_of_the_default_grants_is_as_an_auditor_saw_it() {
    let ran = Start::bare().arg("grants").run();
    assert!(ran.status.success(), "{ran:?}");
    assert_golden("grants.txt", &ran.stdout);
}

#[test]
fn the_table_shows_where_the_url_came_from_and_the_digest_changes_with_what_is_granted() {
    let table = |start: Start| start.arg("grants").run().stdout;
    let digest =
        |table: &str| table.lines().find_map(|line| line.strip_prefix("sha256")).expect("a digest").trim().to_owned();
    let default = table(Start::bare());
    let elsewhere = table(Start::bare().args(["--url", "https://gateway.example/ai"]));
    assert!(elsewhere.contains("https://gateway.example/ai  (from AIGATEWAY_URL)"), "{elsewhere}");
    assert!(elsewhere.contains("over TLS"), "{elsewhere}");
    let read_only = table(Start::bare().arg("--read-only"));
    let digests = [&default, &elsewhere, &read_only].map(|table| digest(table));
    assert!(digests.iter().all(|digest| digest.len() == 64), "{digests:?}");
    assert!(digests[0] != digests[1] && digests[1] != digests[2] && digests[0] != digests[2], "{digests:?}");
    assert_eq!(digest(&table(Start::bare())), digests[0]);
}

#[test]
fn a_request_is_explained_offline_with_its_rule_or_its_check() {
    const URL: &str = "http://localhost:8088";
    let explain = |arguments: &[&str]| {
        let start =
            arguments.iter().fold(Start::bare().args(["grants", "explain"]), |start, argument| start.arg(*argument));
        let ran = start.run();
        (ran.status.code(), ran.stdout)
    };
    for (tool, method, path, code, expected) in [
        ("list_models", "GET", "/v1/models", 0, "list_models: allowed by the rule `GET /v1/models`\n"),
        (
            "delete_mapping",
            "DELETE",
            "/api/v1/model-mappings/x",
            0,
            "delete_mapping: allowed by the rule `DELETE /api/v1/model-mappings/{alias}`\n",
        ),
        (
            "list_models",
            "DELETE",
            "/api/v1/model-mappings/x",
            1,
            "list_models: denied by the check `method`: no rule of `list_models` names the method `DELETE`\n",
        ),
        (
            "list_models",
            "GET",
            "/api/v1/users",
            1,
            "list_models: denied by the check `path`: no rule of `list_models` is `GET /api/v1/users`\n",
        ),
        (
            "list_models",
            "GET",
            "/v1/../x",
            1,
            "list_models: denied by the check `path`: an empty or a dot segment in the path\n",
        ),
        (
            "nobody",
            "GET",
            "/v1/models",
            1,
            "nobody: denied by the check `method`: no rule of `nobody` names the method `GET`\n",
        ),
    ] {
        let url = format!("{URL}{path}");
        assert_eq!(explain(&["--tool", tool, method, &url]), (Some(code), expected.to_owned()));
    }
    for (url, check) in [
        ("http://localhost:8089/v1/models", "origin"),
        ("http://a:b@localhost:8088/v1/models", "userinfo"),
        ("localhost/v1/models", "parse"),
        ("http://localhost:8088/v1/models#x", "parse"),
        ("http://localhost:8088/v1/models?x=1", "query"),
    ] {
        let (code, text) = explain(&["--tool", "list_models", "GET", url]);
        assert!(code == Some(1) && text.contains(&format!("denied by the check `{check}`")), "{url}: {text}");
    }
    // Without a tool: allowed if any tool may.
    let (code, text) = explain(&["POST", &format!("{URL}/api/v1/model-mappings")]);
    assert_eq!((code, text.lines().count()), (Some(0), 4), "{text}");
    assert_eq!(text.matches("allowed by the rule").count(), 1, "{text}");
    let (code, text) = explain(&["GET", &format!("{URL}/api/v1/users")]);
    assert_eq!((code, text.matches("denied").count()), (Some(1), 4), "{text}");
}

#[test]
fn a_grant_file_is_checked_without_starting_anything() {
    let check = |text: &str| {
        let ran = Start::bare().file("grants.toml", text).args(["grants", "check", "grants.toml"]).run();
        (ran.status.code(), ran.stdout, ran.stderr)
    };
    let (code, said, _) = check(&GRANTS.replace("${AIGATEWAY_URL}", "http://127.0.0.1:1"));
    assert_eq!(code, Some(0));
    assert!(
        said.starts_with("grants.toml: valid\nsha256 ")
            && said.trim_end().len() == "grants.toml: valid\nsha256 ".len() + 64,
        "{said}"
    );
    let (code, said, error) = check(&GRANTS.replace("PUT /", "Put /"));
    assert_eq!((code, said.as_str()), (Some(1), ""));
    assert!(error.contains("`grants.toml`, line 7: `Put` is not a method; allowed: GET"), "{error}");
}

/// The rule and the tool of the hint that the log gives.
fn hint(said: &str) -> (String, String) {
    let hint = said.split("hint: to allow it, add \"").nth(1).unwrap_or_else(|| panic!("there is no hint: {said}"));
    let (rule, rest) = hint.split_once("\" to `").expect("the hint names the rule");
    let tool = rest.split_once('`').expect("the hint names the tool").0;
    (rule.to_owned(), tool.to_owned())
}

fn deny(world: &mut World, method: &str, path: &str) -> Tried {
    let attempt = world.attempt().method(method).path(path);
    world.try_as("fetch", &attempt)
}

#[test]
fn the_line_that_the_log_names_is_the_one_that_makes_the_request_pass() {
    for (method, path) in [
        ("GET", "/api/v1/users"),
        ("DELETE", "/api/v1/model-mappings/my-gpt"),
        ("GET", "/api/v1/model-mappings/a%20b/x"),
        ("GET", "/api/v1/users?page=1&limit=2"),
        ("GET", "/api/v1/model-mappings?page=1&sort=alias"),
        ("HEAD", "/v1/models"),
    ] {
        let mut world = World::start();
        let denied = deny(&mut world, method, path);
        assert!(denied.failed && denied.granted_saw.is_empty(), "{path}: {}", denied.text);
        let (rule, tool) = hint(&world.client.server.wait_for_stderr("hint:"));
        assert_eq!(tool, "fetch");
        assert!(denied.text.contains(&format!("`fetch` would need the grant \"{rule}\"")), "{}", denied.text);

        let wider = GRANTS.replace("fetch          = [", &format!("fetch          = [\"{rule}\", "));
        world.client = start_with(&world.granted, &wider).connect(Era::Legacy);
        let allowed = deny(&mut world, method, path);
        assert!(!allowed.failed && allowed.granted_saw.len() == 1, "{rule}: {}", allowed.text);
    }
}

#[test]
fn what_no_rule_can_allow_comes_without_a_hint() {
    let mut world = World::start();
    for (method, path) in [("TRACE", "/v1/models"), ("GET", "/"), ("GET", "/v1/../x"), ("GET", "/v1/models?a=1&a=2")] {
        let denied = deny(&mut world, method, path);
        assert!(denied.text.contains("The sandbox denied") && !denied.text.contains("would need"), "{}", denied.text);
    }
    let said = world.client.server.wait_for_stderr("check `query`");
    assert!(!said.contains("hint: to allow it"), "{said}");
}

#[test]
fn no_argument_of_a_tool_widens_a_grant() {
    let mut world = World { evil: Evil::start(), ..World::start() };
    let wide = serde_json::json!({ "attempt": world.attempt().path("/api/v1/users").0, "grants": "*", "allow": true });
    let tried = world.try_with("fetch", wide);
    assert!(tried.failed && tried.granted_saw.is_empty() && tried.evil_saw == 0, "{}", tried.text);
    assert!(tried.text.contains("`grants` must be left out"), "{}", tried.text);
}
