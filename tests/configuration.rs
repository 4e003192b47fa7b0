//! Configuration: flags, then the environment, then a `.env` file, and what a file that merely lies there may do.

use reference_gateway::Gateway;
use serde_json::{Value, json};

use crate::support::form::assert_no_key;
use crate::support::grants::BUILT_IN;
use crate::support::{Called, ERAS, Era, Start};

/// An address at which nothing listens: the discard port, which needs privileges.
const NOWHERE: &str = "http://127.0.0.1:9";

fn list(start: Start, arguments: Value) -> Called {
    start.connect(Era::Modern).call("list_models", arguments)
}

fn works(start: Start) {
    list(start, json!({})).answer();
}

fn dotenv(gateway: &Gateway, user: &str) -> String {
    format!("AIGATEWAY_URL={}\nAIGATEWAY_API_KEY={}\n", gateway.url(), gateway.key(user))
}

#[test]
fn a_flag_comes_before_the_environment_and_the_environment_before_a_file() {
    let gateway = Gateway::start();
    let url = gateway.url();

    let flag = Start::on(&gateway, "alice").env("AIGATEWAY_URL", NOWHERE).args(["--url", &url]);
    works(flag.file(".env", format!("AIGATEWAY_URL={NOWHERE}")));
    let environment = Start::on(&gateway, "alice").file("own.env", format!("AIGATEWAY_URL={NOWHERE}"));
    works(environment.args(["--env-file", "own.env"]));
    let key = format!("AIGATEWAY_API_KEY={}", "x".repeat(51));
    works(Start::on(&gateway, "alice").file(".env", key));
}

#[test]
fn a_file_may_set_both_whether_it_is_named_or_lies_there() {
    for era in ERAS {
        let gateway = Gateway::start();
        let lying = Start::bare().file(".env", dotenv(&gateway, "alice"));
        let named = Start::bare().file("own.env", dotenv(&gateway, "alice")).args(["--env-file", "own.env"]);
        for start in [lying, named] {
            start.connect(era).call("list_models", json!({})).answer();
        }
    }
}

#[test]
fn a_named_file_takes_the_place_of_the_one_that_lies_there() {
    let gateway = Gateway::start();
    let start =
        Start::bare().file(".env", format!("AIGATEWAY_URL={NOWHERE}")).file("own.env", dotenv(&gateway, "alice"));

    works(start.args(["--env-file", "own.env"]));
}

#[test]
fn a_named_file_that_cannot_be_used_is_refused_at_the_start() {
    let start = || Start::bare().args(["--env-file", "own.env"]);

    let missing = start().run();
    assert_eq!(missing.status.code(), Some(1));
    assert!(missing.stderr.starts_with("aigateway-mcp: error: --env-file: cannot read `own.env`: "), "{missing:?}");

    let malformed = start().file("own.env", "AIGATEWAY_URL=http://localhost:1\nak_private without a name\n").run();
    assert_eq!(malformed.status.code(), Some(1));
    assert_eq!(malformed.stderr, "aigateway-mcp: error: `own.env`, line 2: not of the form NAME=value\n");
}

#[test]
fn a_file_that_lies_there_does_not_redirect_a_key_that_came_from_elsewhere() {
    for era in ERAS {
        let (trusted, evil) = (Gateway::start(), Gateway::start());
        let key = trusted.key("alice");
        let own_env = format!("AIGATEWAY_API_KEY={key}");

        // The key from the environment, the trusted URL from a flag: the file decides nothing.
        let start = Start::bare().env("AIGATEWAY_API_KEY", key).file(".env", dotenv(&evil, "bob"));
        let mut client = start.args(["--url", &trusted.url()]).connect(era);
        client.call("list_models", json!({})).answer();

        // The key from the environment, a URL from the file alone: ignored, and said so; the default is taken.
        let grants = BUILT_IN.replace("http://localhost:8088", &trusted.url());
        let start = Start::bare().env("AIGATEWAY_API_KEY", key).file(".env", dotenv(&evil, "bob"));
        let mut client = start.file("grants.toml", grants).args(["--grants", "grants.toml"]).connect(era);
        client.call("list_models", json!({})).answer();
        let said = client.server.wait_for_stderr("API key: configured");
        assert!(said.contains("AIGATEWAY_URL in `.env` is ignored: the key came from elsewhere"), "{said}");

        // A named file is the operator's: it may decide both.
        let start = Start::bare().file("own.env", own_env + &format!("\nAIGATEWAY_URL={}", trusted.url()));
        let start = start.file(".env", dotenv(&evil, "bob")).args(["--env-file", "own.env"]);
        start.connect(era).call("list_models", json!({})).answer();

        assert_eq!(evil.connections(), 0);
        assert_eq!(trusted.requests().len(), 6, "each of the three calls went where it should");
    }
}

#[test]
fn a_file_that_lies_there_may_bring_the_key_to_a_gateway_that_was_set_elsewhere() {
    let gateway = Gateway::start();
    let key = format!("AIGATEWAY_API_KEY={}", gateway.key("alice"));

    works(Start::bare().env("AIGATEWAY_URL", gateway.url()).file(".env", key));
}

#[test]
fn a_key_that_a_call_brings_does_not_go_where_a_file_that_lies_there_wants_it() {
    for era in ERAS {
        let evil = Gateway::start();
        let url = format!("AIGATEWAY_URL={}\n", evil.url());
        for file in [url.clone(), url + &format!("AIGATEWAY_API_KEY={}\n", evil.key("bob"))] {
            let mut client = Start::bare().file(".env", file).connect(era);

            for (tool, mut arguments) in crate::tools::every_tool() {
                arguments["api_key"] = Value::from(evil.key("alice"));
                let called = client.call(tool, arguments);
                assert_eq!(
                    called.failure(),
                    format!(
                        "Failed to call {tool}: `api_key` is not sent to `{}`: that address comes from a `.env` file in \
                         the working directory. Ask the operator to set it elsewhere, or to start the server with \
                         --env-file .env. Correct the arguments and call it again.",
                        evil.url()
                    )
                );
            }

            assert_eq!(evil.connections(), 0);
        }
    }
}

#[test]
fn a_key_that_a_call_brings_comes_before_the_configured_one_for_that_call_alone() {
    for era in ERAS {
        let gateway = Gateway::start();
        let mut client = Start::on(&gateway, "alice").connect(era);
        let create = |alias: &str| json!({ "alias": alias, "provider_id": "openai", "model_name": "gpt-4o" });

        let mut with_key = create("bobs");
        with_key["api_key"] = Value::from(gateway.key("bob"));
        let bobs = client.call("create_mapping", with_key).answer();
        let alices = client.call("create_mapping", create("alices")).answer();

        assert_eq!(bobs["owner_id"], gateway.owner_id("bob"));
        assert_eq!(alices["owner_id"], gateway.owner_id("alice"));
    }
}

#[test]
fn a_key_that_a_call_brings_is_enough_and_a_blank_one_is_none() {
    let gateway = Gateway::start();
    let start = || Start::on(&gateway, "alice").without("AIGATEWAY_API_KEY");

    list(start(), json!({ "api_key": gateway.key("alice") })).answer();
    list(start(), json!({ "api_key": format!(" {}\n", gateway.key("alice")) })).answer();
    list(Start::on(&gateway, "alice"), json!({ "api_key": "  " })).answer();
    assert!(list(start(), json!({ "api_key": "" })).failure().contains("no API key is configured"));
}

#[test]
fn a_key_that_a_call_brings_is_not_shown_anywhere() {
    let gateway = Gateway::start();
    let mut client = Start::on(&gateway, "alice").args(["--log-level", "debug"]).connect(Era::Legacy);

    client.call("list_models", json!({ "api_key": gateway.key("bob") })).answer();
    gateway.revoke_key_at_once("bob");
    client.call("list_models", json!({ "api_key": gateway.key("bob") })).failure();

    let said = client.server.wait_for_stderr("401");
    assert!(!said.contains(&gateway.key("bob")[..9]), "{said}");
    assert_no_key(&said);
}

#[test]
fn a_url_that_is_none_is_refused_at_the_start_with_what_it_should_look_like() {
    let form = "it should look like `http://localhost:8088` or `https://gateway.example/prefix`";
    for (url, said) in [
        ("localhost:8088", format!("`localhost:8088` is not a URL; {form}")),
        ("nonsense", format!("`nonsense` is not a URL; {form}")),
        ("ftp://gateway.example", format!("the scheme `ftp` is never granted; {form}")),
        ("http://localhost:8088?x=1", format!("it has a query or a fragment, which is not allowed; {form}")),
        ("http://localhost:8088/#x", format!("it has a query or a fragment, which is not allowed; {form}")),
        ("http://", format!("a malformed host or port in the authority ``; {form}")),
        ("http://localhost:99999", format!("a malformed host or port in the authority `localhost:99999`; {form}")),
        ("http://localhost:8088/a/../b", format!("an empty or a dot segment in the path; {form}")),
        ("admin:hunter2@localhost:8088", format!("it is not a URL; {form}")),
        ("http://admin:hunter2@localhost:8088", format!("it has a user in it, which is not allowed; {form}")),
    ] {
        for start in [
            Start::bare().env("AIGATEWAY_URL", url),
            Start::bare().file(".env", format!("AIGATEWAY_URL='{url}'")),
            Start::bare().args(["--url", url]),
        ] {
            let ran = start.run();
            assert_eq!(ran.status.code(), Some(1), "{url}");
            assert_eq!(
                ran.stderr,
                format!("aigateway-mcp: error: AIGATEWAY_URL is not a usable URL: {said}\n"),
                "{url}"
            );
            assert_eq!(ran.stdout, "");
            assert!(!ran.stderr.contains("hunter2"));
        }
    }
}

#[test]
fn plain_http_to_another_machine_is_refused_at_the_start() {
    for url in ["http://gateway.example", "http://192.168.1.2:8088", "http://localhost.example", "http://[2001:db8::1]"]
    {
        let ran = Start::bare().env("AIGATEWAY_URL", url).run();
        assert_eq!(ran.status.code(), Some(1), "{url}");
        assert_eq!(
            ran.stderr,
            format!(
                "aigateway-mcp: error: AIGATEWAY_URL is not a usable URL: `{url}` would send the key in plain text to another \
                 machine; use https, or grant it with `allow_plaintext = true` in a grant file of your own\n"
            )
        );
    }
}

#[test]
fn a_value_that_a_bundle_left_unfilled_is_none() {
    let gateway = Gateway::start();
    for unset in ["", "  ", "${user_config.api_key}", "${AIGATEWAY_API_KEY}"] {
        // The environment's value is none, so that the file's is taken.
        let start = Start::bare().env("AIGATEWAY_API_KEY", unset).env("AIGATEWAY_URL", unset);
        works(start.file(".env", dotenv(&gateway, "alice")));
        // And without a file, there is no key.
        let start = Start::on(&gateway, "alice").env("AIGATEWAY_API_KEY", unset);
        assert!(list(start, json!({})).failure().contains("no API key is configured"), "{unset}");
    }
    let start = Start::on(&gateway, "alice").env("AIGATEWAY_URL", "${user_config.url}").connect(Era::Modern);
    start.server.wait_for_stderr("gateway: http://localhost:8088");
    works(Start::on(&gateway, "alice").env("AIGATEWAY_URL", "").args(["--url", &gateway.url()]));
}

#[test]
fn a_flag_that_a_bundle_left_unfilled_is_none_unless_it_binds() {
    let gateway = Gateway::start();
    let unset = "${user_config.x}";
    for flag in ["--url", "--env-file", "--api-key-file", "--api-key-command", "--ca-file", "--audit-log"] {
        works(Start::on(&gateway, "alice").args([flag, unset]));
    }
    works(Start::on(&gateway, "alice").env("AIGATEWAY_AUDIT_LOG", unset));
    works(Start::on(&gateway, "alice").args(["--api-key-file", unset, "--api-key-command", unset]));
    let ran = Start::on(&gateway, "alice").args(["--audit-log", unset]).run();
    assert!(ran.stderr.contains("--audit-log was left unfilled: nothing is recorded"), "{ran:?}");
    works(Start::on(&gateway, "alice").args(["--url", ""]));
    for flag in ["--grants", "--lock", "--component"] {
        assert_eq!(Start::on(&gateway, "alice").args([flag, unset]).run().status.code(), Some(1), "{flag}");
    }
}

#[test]
fn a_configured_key_that_no_header_can_hold_is_refused_at_the_start_without_being_shown() {
    for (key, said) in [
        ("ak_private\nX-Evil: 1", "it has more than one line"),
        ("ak_private key", "it has a space, a control character or a letter outside ASCII in it"),
        ("ak_privaté", "it has a space, a control character or a letter outside ASCII in it"),
    ] {
        let ran = Start::bare().env("AIGATEWAY_API_KEY", key).run();
        assert_eq!(ran.status.code(), Some(1));
        assert_eq!(
            ran.stderr,
            format!(
                "aigateway-mcp: error: AIGATEWAY_API_KEY is not a usable key; it should look like `ak_…`, on one line: \
                 {said}\n"
            )
        );
    }
}

#[test]
fn white_space_around_a_configured_value_does_not_belong_to_it() {
    let gateway = Gateway::start();
    works(Start::on(&gateway, "alice").env("AIGATEWAY_API_KEY", format!(" {}\r\n", gateway.key("alice"))));
    works(Start::on(&gateway, "alice").env("AIGATEWAY_URL", format!(" {}\n", gateway.url())));
}

#[test]
fn the_start_says_where_the_gateway_is_and_whether_there_is_a_key() {
    let gateway = Gateway::start();
    let with_key = Start::on(&gateway, "alice").connect(Era::Modern);
    let key = &gateway.key("alice")[..12];
    let said = with_key.server.wait_for_stderr("API key: ");
    assert_eq!(
        said,
        format!(
            "aigateway-mcp: {} starting\naigateway-mcp: gateway: {}\naigateway-mcp: API key: configured ({key}…)\n",
            env!("CARGO_PKG_VERSION"),
            gateway.url()
        )
    );

    let without = Start::bare().connect(Era::Modern);
    without.server.wait_for_stderr("API key: not configured; set AIGATEWAY_API_KEY, or pass a key with each call");
}
