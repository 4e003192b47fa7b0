//! The key stays outside: wherever a component, a log, a result or the process's arguments could show it.

use reference_gateway::{Answer, Fault, Gateway, What, When};
use serde_json::{Value, json};

use super::probe::{World, start};
use crate::support::{Era, Start};

const PLACEHOLDER: &str = "placeholder-for-api_key";

/// Where the configured key comes from.
#[derive(Clone, Copy, Debug)]
enum Source {
    Environment,
    EnvFile,
    KeyFile,
    Command,
}

impl Source {
    const ALL: [Self; 4] = [Self::Environment, Self::EnvFile, Self::KeyFile, Self::Command];

    fn configure(self, start: Start, key: &str) -> Start {
        let start = match self {
            Self::Environment => return start,
            Self::EnvFile => {
                start.file("keys.env", format!("AIGATEWAY_API_KEY={key}\n")).args(["--env-file", "keys.env"])
            }
            Self::KeyFile => start.file("key", format!("{key}\n")).args(["--api-key-file", "key"]),
            Self::Command => start.file("key", key).args(["--api-key-command", "/bin/cat key"]),
        };
        private(&start, "key");
        start.without("AIGATEWAY_API_KEY")
    }
}

/// Makes a file its owner's alone, where it is there.
pub(super) fn private(start: &Start, name: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = start.path(name);
    if path.exists() {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).expect("a file of the test's own");
    }
}

fn with_key(world: &World) -> Value {
    world.attempt().headers(&[("X-API-Key", PLACEHOLDER)]).0
}

#[test]
fn the_key_is_on_the_wire_and_in_no_result_no_log_line_and_no_argument() {
    for source in Source::ALL {
        // A user's key is the same in every run.
        let key = Gateway::start().key("alice").to_owned();
        let mut world = World::with(super::probe::GRANTS, |start, _| source.configure(start, &key));
        let mut results = String::new();

        let right = with_key(&world);
        let tried = world.try_with("fetch", json!({ "attempt": right }));
        assert_eq!(tried.granted_saw[0].header("X-API-Key"), Some(key.as_str()), "{source:?}: {}", tried.text);
        results.push_str(&tried.text);
        for (tool, arguments) in [
            ("environment", json!({})),
            ("misbehave", json!({ "misdeed": "panic" })),
            ("fetch", json!({ "attempt": world.attempt().path(format!("/{PLACEHOLDER}")).0 })),
            ("fetch", json!({ "attempt": world.attempt().headers(&[("Cookie", PLACEHOLDER)]).0 })),
        ] {
            results.push_str(&world.try_with(tool, arguments).text);
        }
        for what in [What::EchoKey, What::Bytes(format!("{key}\r\n\r\n").into_bytes()), What::Close] {
            world.granted.fault(Fault::new(When::any(), what));
            results.push_str(&world.try_with("fetch", json!({ "attempt": right })).text);
        }

        assert!(results.contains("[redacted]"), "{source:?}: {results}");
        assert!(!results.contains(&key), "{source:?}: {results}");
        let said = world.client.server.wait_for_stderr("ended");
        assert!(!said.contains(&key) && said.contains("debug: fetch"), "{source:?}: {said}");
        let arguments = std::fs::read(format!("/proc/{}/cmdline", world.client.server.id())).expect("the server runs");
        let arguments = String::from_utf8_lossy(&arguments);
        assert!(!arguments.contains(&key) && arguments.contains("--component"), "{source:?}: {arguments}");
    }
}

#[test]
fn the_component_sees_the_base_url_and_a_placeholder_and_nothing_else() {
    let granted = Gateway::start();
    let start = start(&granted).env("SOMETHING_ELSE", "private").env("PATH", "/bin");
    let mut client = start.connect(Era::Legacy);
    let seen = client.call("environment", json!({})).answer();
    assert_eq!(seen["result"], json!([["AIGATEWAY_URL", granted.url()], ["AIGATEWAY_API_KEY", PLACEHOLDER]]));
}

#[test]
fn the_key_never_is_in_the_components_memory() {
    let xored = |text: &str| text.bytes().map(|byte| byte ^ 0x5a).collect::<Vec<_>>();
    let mut world = World::start();
    let key = world.granted.key("alice").to_owned();
    let attempt = with_key(&world);

    world.granted.fault(Fault::new(When::any(), What::EchoKey));
    let tried = world.try_with("search_memory", json!({ "attempt": attempt, "xored": xored(&key) }));
    assert_eq!(tried.granted_saw[0].header("X-API-Key"), Some(key.as_str()));
    assert_eq!(tried.result["structuredContent"]["result"], false, "{}", tried.text);

    // The same search finds what did come in: the redaction, and a marker of the same form.
    world.granted.fault(Fault::new(When::any(), What::EchoKey));
    let tried =
        world.try_with("search_memory", json!({ "attempt": attempt, "xored": xored("no session for key [redacted]") }));
    assert_eq!(tried.result["structuredContent"]["result"], true, "{}", tried.text);
    let marker = format!("ak_{}", "7".repeat(48));
    world.granted.fault(Fault::new(When::any(), What::Answer(Answer::json(200, format!("key {marker}")))));
    let tried = world.try_with("search_memory", json!({ "attempt": attempt, "xored": xored(&marker) }));
    assert_eq!(tried.result["structuredContent"]["result"], true, "{}", tried.text);
}

#[test]
fn a_key_that_a_call_brings_goes_the_same_way_for_that_call_alone() {
    let mut world = World::start();
    let (alice, bob) = (world.granted.key("alice").to_owned(), world.granted.key("bob").to_owned());
    let attempt = world.attempt().0;
    for (what, redacts) in [
        (None, false),
        (Some(What::EchoKey), true),
        (Some(What::ExtraHeaders(vec![("Content-Encoding".to_owned(), bob.clone())])), true),
    ] {
        if let Some(what) = what {
            world.granted.fault(Fault::new(When::any(), what));
        }
        let tried = world.try_with("fetch_with_key", json!({ "attempt": attempt, "api_key": bob }));
        assert_eq!(tried.granted_saw[0].header("X-API-Key"), Some(bob.as_str()), "{}", tried.text);
        assert_eq!(tried.text.contains("[redacted]"), redacts, "{}", tried.text);
        assert!(!tried.text.contains(&bob), "{}", tried.text);
    }

    let right = with_key(&world);
    let tried = world.try_with("fetch", json!({ "attempt": right }));
    assert_eq!(tried.granted_saw[0].header("X-API-Key"), Some(alice.as_str()));
    let said = world.client.server.wait_for_stderr("content encoding");
    assert!(!said.contains(&bob), "{said}");
}

#[test]
fn a_key_that_is_no_key_is_refused_without_being_repeated() {
    let mut world = World::start();
    let attempt = world.attempt().0;
    for (key, reason) in [("ak_a\r\nX-Evil: 1", "more than one line"), ("ak_ä", "outside ASCII"), ("ak_a b", "a space")]
    {
        let tried = world.try_with("fetch_with_key", json!({ "attempt": attempt, "api_key": key }));
        assert!(tried.failed && tried.text.contains(reason) && !tried.text.contains("ak_"), "{}", tried.text);
        assert!(tried.granted_saw.is_empty());
    }
    // One of a single character is hardly one, and hurts nobody.
    let tried = world.try_with("fetch_with_key", json!({ "attempt": attempt, "api_key": "a" }));
    assert_eq!(tried.granted_saw[0].header("X-API-Key"), Some("a"));
    assert!(!tried.failed, "{}", tried.text);
}

#[test]
fn a_component_without_a_configured_key_has_no_placeholder_to_send() {
    let granted = Gateway::start();
    let client = start(&granted).without("AIGATEWAY_API_KEY").connect(Era::Legacy);
    let mut world = World { granted, evil: super::probe::Evil::start(), client };
    let right = with_key(&world);
    let tried = world.try_with("fetch", json!({ "attempt": right }));
    assert_eq!(tried.granted_saw[0].header("X-API-Key"), None);
    let seen = world.try_with("environment", json!({})).text;
    assert!(!seen.contains("API_KEY"), "{seen}");
}
