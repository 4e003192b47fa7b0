//! The commands: data on stdout, talk on stderr, and exit codes that a script can rely on.

use reference_gateway::{Gateway, NewMapping};
use serde_json::{Value, json};

use crate::support::form::assert_form;
use crate::support::{Era, Ran, Start, assert_golden};

fn call<const N: usize>(gateway: &Gateway, arguments: [&str; N]) -> Ran {
    Start::on(gateway, "alice").arg("call").args(arguments).run()
}

fn assert_refused(ran: &Ran, code: i32, said: &str) {
    assert_eq!(ran.status.code(), Some(code), "{ran:?}");
    assert_eq!(ran.stdout, "", "nothing but data is on stdout");
    assert!(ran.stderr.contains(said), "{said}\n{ran:?}");
}

#[test]
fn call_prints_what_a_client_gets_and_nothing_else() {
    let gateway = Gateway::start();
    gateway.insert(NewMapping::owned_by("alice", "my-gpt"));

    let ran = call(&gateway, ["list_models"]);

    let expected = Start::on(&gateway, "alice").connect(Era::Modern).call("list_models", json!({})).answer();
    assert_eq!(ran.json(), expected);
    assert_eq!(ran.stderr, "");
    assert!(ran.stdout.ends_with("}\n"));
}

#[test]
fn call_reads_each_value_as_what_its_parameter_wants() {
    let gateway = Gateway::start();

    let created =
        call(&gateway, ["create_mapping", "alias=5", "provider_id=openai", "model_name=gpt-4o", "description=a=b c"]);
    assert_eq!(created.json()["alias"], "5");
    assert_eq!(created.json()["description"], "a=b c");
    let listed = call(&gateway, ["list_models", "limit=2", "offset=20"]);
    assert_eq!(listed.json()["custom_mappings"][0]["alias"], "5");
    let updated = call(&gateway, ["update_mapping", "alias=5", "enabled=true"]);
    assert_eq!(updated.json()["enabled"], true);
    let deleted = call(&gateway, ["delete_mapping", "alias=5"]);
    assert_eq!(deleted.json()["alias"], "5");
    assert!(gateway.mappings().is_empty());
}

#[test]
fn call_takes_all_arguments_as_json_and_pairs_add_to_them() {
    let gateway = Gateway::start();
    let json = r#"{"alias":"a","provider_id":"openai","model_name":"gpt-4"}"#;

    let created = call(&gateway, ["create_mapping", "--json", json, "model_name=gpt-4o"]);

    assert_eq!(created.json()["model_name"], "gpt-4o");
}

#[test]
fn a_failed_call_exits_with_1_and_says_why_on_stderr() {
    let gateway = Gateway::start();

    let ran = call(&gateway, ["delete_mapping", "alias=none-such"]);

    assert_refused(&ran, 1, "Failed to delete mapping `none-such`: there is no such mapping. ");
    let failure = ran.stderr.strip_prefix("aigateway-mcp: error: ").and_then(|line| line.strip_suffix('\n'));
    assert_form(failure.expect("one line"));
}

#[test]
fn a_call_that_cannot_be_made_exits_with_1_and_says_what_is_wanted() {
    let gateway = Gateway::start();
    for (arguments, said) in [
        (
            ["nope", "a=b"],
            "unknown tool `nope`; there are: list_models, create_mapping, update_mapping, delete_mapping",
        ),
        (["list_models", "limit"], "`limit` is not of the form KEY=VALUE"),
        (["list_models", "limit=x"], "`limit` must be a whole number from 0 to 4294967295"),
        (["list_models", "nope=1"], "`nope` must be left out: there is only `search`, `offset`, `limit`, `api_key`"),
        (["list_models", "--json=[]"], "--json wants a JSON object, such as '{\"alias\":\"my-gpt\"}'"),
        (["list_models", "--json={"], "--json wants a JSON object, such as '{\"alias\":\"my-gpt\"}'"),
    ] {
        assert_refused(&call(&gateway, arguments), 1, said);
    }
    assert!(gateway.requests().is_empty());
}

#[test]
fn a_command_line_that_is_none_exits_with_2() {
    for arguments in [["bogus", "x"], ["call", "--bogus"], ["--log-level", "loud"], ["component", "x"]] {
        let ran = Start::bare().args(arguments).run();
        assert_refused(&ran, 2, "error: ");
        assert!(ran.stderr.contains("--help"), "{ran:?}");
    }
}

#[test]
fn tools_lists_each_tool_with_its_parameters() {
    let ran = Start::bare().arg("tools").run();

    assert!(ran.status.success());
    assert_eq!(ran.stderr, "");
    let heads: Vec<_> = ran.stdout.lines().filter(|line| line.starts_with(char::is_lowercase)).collect();
    assert_eq!(
        heads,
        [
            "list_models [search] [offset] [limit] [api_key]",
            "create_mapping alias provider_id model_name [description] [api_key]",
            "update_mapping alias [new_alias] [provider_id] [model_name] [description] [enabled] [api_key]",
            "delete_mapping alias [api_key]",
        ]
    );
}

#[test]
fn tools_as_json_is_what_a_client_gets() {
    let printed = Start::bare().args(["tools", "--json"]).run().json();

    let listed = Start::bare().connect(Era::Legacy).tools();

    assert_eq!(printed["tools"], Value::from(listed));
}

#[test]
fn tools_are_fewer_when_only_reading_is_allowed() {
    let ran = Start::bare().args(["--read-only", "tools", "--json"]).run().json();

    let names: Vec<_> = ran["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"list_models"), "{names:?}");
    for tool in ran["tools"].as_array().unwrap() {
        assert_eq!(tool["annotations"]["readOnlyHint"], true, "{tool}");
    }
}

#[test]
fn component_writes_a_component_that_serves_as_well_as_the_built_in_one() {
    let gateway = Gateway::start();
    let start = Start::bare().args(["component", "-o", "tools.wasm"]);

    let ran = start.run();

    assert!(ran.status.success(), "{ran:?}");
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    let component = std::fs::read(start.path("tools.wasm")).unwrap();
    assert_eq!(&component[..8], b"\0asm\x0d\0\x01\0", "a component, not a module");
    let start = Start::on(&gateway, "alice").file("tools.wasm", component).limits("");
    let listed = start.args(["--component", "tools.wasm", "call", "list_models"]).run();
    assert_eq!(listed.json()["total"], 21);
}

#[test]
fn component_says_where_it_could_not_write() {
    let ran = Start::bare().args(["component", "-o", "no/such/folder/tools.wasm"]).run();

    assert_refused(&ran, 1, "aigateway-mcp: error: cannot write `no/such/folder/tools.wasm`: ");
}

#[test]
fn version_is_the_name_and_the_number() {
    let ran = Start::bare().arg("--version").run();

    assert!(ran.status.success());
    assert_eq!(ran.stdout, format!("aigateway-mcp {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(ran.stderr, "");
}

#[test]
fn help_reads_well() {
    for (name, arguments) in [("help.txt", vec!["--help"]), ("help-call.txt", vec!["call", "--help"])] {
        let ran = arguments.into_iter().fold(Start::bare(), Start::arg).run();
        assert!(ran.status.success());
        assert_eq!(ran.stderr, "");
        let text: String = ran.stdout.lines().flat_map(|line| [line.trim_end(), "\n"]).collect();
        assert!(text.lines().all(|line| line.chars().count() <= 110), "{text}");
        assert_golden(name, &text);
    }
}
