//! A gateway that is not well, or not one: one clear sentence from every tool, in time, and the server lives.
//!
//! What becomes of writes is in `look_before_speaking`, every fault crossed with every request in
//! `hostile_gateway`.

use std::time::{Duration, Instant};

use reference_gateway::{Answer, Fault, Gateway, NewMapping, What, When};
use serde_json::{Value, json};

use super::{MAPPINGS, MODELS, every_tool, gateway_with_a_mapping, requests};
use crate::support::grants::IMPATIENT;
use crate::support::{ERAS, Era, Start};

/// What `list_models` says when every request to the gateway has this fault.
fn said_of(what: What) -> String {
    let gateway = gateway_with_a_mapping();
    gateway.fault(Fault::new(When::any().always(), what));
    let mut client = Start::on(&gateway, "alice").limits(IMPATIENT).connect(Era::Modern);

    let said = client.call("list_models", json!({})).failure().replace(&gateway.url(), "URL");

    gateway.clear_faults();
    assert_eq!(client.call("list_models", json!({})).answer()["total"], 22, "the next call works");
    said
}

#[test]
fn a_gateway_that_is_down_is_named_by_every_tool_and_used_again_when_it_is_back() {
    for era in ERAS {
        let gateway = gateway_with_a_mapping();
        let (url, port) = (gateway.url(), gateway.port());
        let mut client = Start::on(&gateway, "alice").connect(era);
        gateway.stop();

        for (tool, arguments) in every_tool() {
            let called = client.call(tool, arguments);
            let said = format!(
                "the gateway at {url} cannot be reached (no connection). Start the gateway, or set AIGATEWAY_URL to where \
                 it runs."
            );
            assert!(called.failure().ends_with(&said), "{called:?}");
        }

        // Somebody else may have been given the port meanwhile; then there is no gateway to be back.
        if let Ok(gateway) = Gateway::builder().port(port).start() {
            gateway.insert(NewMapping::owned_by("alice", "my-gpt"));
            assert_eq!(client.call("list_models", json!({})).answer()["total"], 22);
        }
    }
}

#[test]
fn a_silent_gateway_is_given_up_in_time() {
    let start = Instant::now();
    assert_eq!(
        said_of(What::Silence),
        "Failed to list models: the gateway at URL did not answer in time. Check that the gateway is well, and try again. \
         The sandbox gave a request up by the check `deadline`: no answer within `request_seconds` = 1."
    );
    assert!(start.elapsed() < Duration::from_secs(4), "both halves are waited for at the same time");
}

#[test]
fn an_answer_that_is_not_the_gateways_protocol_is_told_as_what_it_is() {
    let check = "Check that AIGATEWAY_URL is the address of an AIGateway.";
    for (body, what) in [
        ("<html><body>Welcome to nginx</body></html>", "an HTML page"),
        ("", "nothing"),
        ("null", "something that is not its protocol"),
        ("[]", "something that is not its protocol"),
        (r#"{"providers":[{"id":"#, "something that is not its protocol"),
        (r#"{"hello":"world"}"#, "something that is not its protocol"),
        (r#"{"providers":{},"data":{},"total":"many"}"#, "something that is not its protocol"),
    ] {
        assert_eq!(
            said_of(What::Answer(Answer::new(200, "text/html", body))),
            format!("Failed to list models: the gateway at URL answered 200 with {what}. {check}"),
            "{body}"
        );
    }
}

#[test]
fn ten_megabytes_are_not_read_to_their_end() {
    assert_eq!(
        said_of(What::Answer(Answer::big(10))),
        "Failed to list models: the gateway at URL answered with more than the sandbox lets through. Check that \
         AIGATEWAY_URL is the address of an AIGateway. The sandbox refused an answer by the check `response`: the answer is over \
         `response_bytes` = 8388608."
    );
}

#[test]
fn something_that_does_not_speak_http_is_told_as_that() {
    assert_eq!(
        said_of(What::Bytes(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec())),
        "Failed to list models: the gateway at URL answered with something that is not HTTP. Check that AIGATEWAY_URL is \
         the address of an AIGateway, and whether it should start with http or https."
    );
}

#[test]
fn each_status_is_told_with_the_gateways_own_text_and_what_to_do() {
    for (answer, said) in [
        (
            Answer::json(500, r#"{"error":"dial tcp: connect: connection refused"}"#),
            "the gateway answered 500 (`dial tcp: connect: connection refused`). Look into the gateway's log, or ask who \
             runs it.",
        ),
        (
            Answer::html(502),
            "the gateway answered 502 (an HTML page). The gateway, or a proxy before it, is down or busy: try again later.",
        ),
        (
            Answer::empty(503),
            "the gateway answered 503. The gateway, or a proxy before it, is down or busy: try again later.",
        ),
        (
            Answer::new(504, "text/plain", "upstream\r\ntimed out\n"),
            "the gateway answered 504 (`upstream  timed out`). The gateway, or a proxy before it, is down or busy: try \
             again later.",
        ),
        (
            Answer::json(429, r#"{"error":"slow down"}"#),
            "the gateway is asked too often at present: it answered 429 (`slow down`). Wait a while, and try again.",
        ),
        (
            Answer::new(404, "text/plain", "404 page not found"),
            "the server at URL does not know this route: it answered 404 (`404 page not found`). Check that AIGATEWAY_URL \
             is the address of an AIGateway, with its path if it has one.",
        ),
        (
            Answer::redirect(302, "http://elsewhere.example/"),
            "the gateway at URL answered 302, a redirect, which is never followed. Set AIGATEWAY_URL to the address that \
             answers itself.",
        ),
        (
            Answer::json(418, format!(r#"{{"error":"{}"}}"#, "very long ".repeat(100))),
            "very long …`). Look into the gateway's log, or ask who runs it.",
        ),
    ] {
        let failure = said_of(What::Answer(answer));
        assert!(failure.ends_with(said), "{failure}\n{said}");
    }
}

#[test]
fn the_half_of_a_list_that_could_not_be_read_is_named() {
    for (path, half) in [(MODELS, "built-in models"), (MAPPINGS, "mappings")] {
        let gateway = Gateway::start();
        gateway.fault(Fault::new(When::get(path), What::Answer(Answer::html(502))));

        let called = Start::on(&gateway, "alice").connect(Era::Legacy).call("list_models", json!({}));

        let said =
            format!("Failed to list models: the {half} could not be read: the gateway answered 502 (an HTML page). ");
        assert!(called.failure().starts_with(&said), "{called:?}");
    }
}

#[test]
fn a_key_that_the_gateway_does_not_accept_is_told_by_every_tool() {
    for era in ERAS {
        let gateway = gateway_with_a_mapping();
        let unknown = format!("ak_{}", "0".repeat(48));
        let mut client = Start::on(&gateway, "alice").env("AIGATEWAY_API_KEY", unknown).connect(era);

        for (tool, arguments) in every_tool() {
            let called = client.call(tool, arguments);
            let said = "the gateway does not accept the API key: it answered 401 (`authentication required`). Check \
                        AIGATEWAY_API_KEY, or the api_key that was passed; a gateway whose database is down answers the \
                        same.";
            assert!(called.failure().ends_with(said), "{called:?}");
        }
    }
}

#[test]
fn without_a_key_every_tool_says_which_variable_to_set_and_nothing_is_sent() {
    for era in ERAS {
        let gateway = gateway_with_a_mapping();
        let mut client = Start::on(&gateway, "alice").without("AIGATEWAY_API_KEY").connect(era);

        assert_eq!(client.tools().len(), 4);
        for (tool, arguments) in every_tool() {
            let called = client.call(tool, arguments);
            let said = ": no API key is configured. Set AIGATEWAY_API_KEY, or pass api_key.";
            assert!(called.failure().ends_with(said), "{called:?}");
        }

        assert!(requests(&gateway).is_empty());
    }
}

#[test]
fn a_key_that_the_gateway_echoes_is_not_shown() {
    for (tool, arguments) in every_tool() {
        let gateway = gateway_with_a_mapping();
        gateway.fault(Fault::new(When::any().always(), What::EchoKey));
        let mut client = Start::on(&gateway, "alice").connect(Era::Modern);

        let called = client.call(tool, arguments);

        called.failure();
        assert!(!called.result.to_string().contains(&gateway.key("alice")[..13]), "{called:?}");
    }
}

#[test]
fn a_database_outage_that_looks_like_something_else_is_named_as_a_possibility() {
    let gateway = gateway_with_a_mapping();
    let mut client = Start::on(&gateway, "alice").connect(Era::Modern);
    client.call("list_models", json!({})).answer();
    gateway.set_database_down(true);

    let alias: Value = json!({ "alias": "my-gpt" });
    let missing = client.call("delete_mapping", alias.clone());
    assert!(missing.failure().contains("if that fails too, the gateway's database is down"), "{missing:?}");
    gateway.forget_cached_keys();
    let unauthenticated = client.call("delete_mapping", alias);
    assert!(unauthenticated.failure().contains("a gateway whose database is down answers the same"));
}
