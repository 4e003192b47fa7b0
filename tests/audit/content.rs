//! What is on record of a call, and what never is.

use reference_gateway::{Fault, Gateway, What, When};
use serde_json::json;

use super::{audit, of_type, recorded, records, session, text};
use crate::support::{ERAS, Era, Start};

#[test]
fn a_session_is_on_record_from_its_start_to_its_end() {
    let gateway = Gateway::start();

    let (_folder, log) = session(&gateway);

    let records = records(&log);
    let kinds: Vec<&str> = records.iter().map(|record| record["type"].as_str().unwrap()).collect();
    assert_eq!(kinds[..4], ["chain.start", "session.start", "component.loaded", "grants.loaded"]);
    assert_eq!(kinds[kinds.len() - 2..], ["session.end", "checkpoint"]);
    assert_eq!(of_type(&records, "tool.call").len(), 3);
    assert_eq!(of_type(&records, "tool.result").len(), 3);
    assert_eq!(of_type(&records, "egress.intent").len(), gateway.requests().len());
    assert_eq!(of_type(&records, "egress.outcome").len(), gateway.requests().len());
    assert_eq!(records[2]["exports"][0], "list-models");
    assert_eq!(records[3]["grants"]["tools"][0]["tool"], "list_models");
    let last = records.last().unwrap();
    assert_eq!((&last["tool_calls"], &last["denials"]), (&json!(3), &json!(0)));
}

#[test]
fn a_request_is_on_record_with_all_that_an_auditor_asks_for() {
    let gateway = Gateway::start();

    let (_folder, log) = session(&gateway);

    let records = records(&log);
    let intent = of_type(&records, "egress.intent")
        .into_iter()
        .find(|record| record["http.request.method"] == "POST")
        .expect("the POST is on record");
    let sent = gateway.requests().into_iter().find(|request| request.method == "POST").unwrap();
    assert_eq!(intent["gen_ai.tool.name"], "create_mapping");
    assert_eq!(intent["rule"], "POST /api/v1/model-mappings");
    assert_eq!(intent["url.path"], "/api/v1/model-mappings");
    assert_eq!(intent["server.address"], "127.0.0.1");
    assert_eq!(intent["server.port"], gateway.port());
    assert_eq!(intent["http.request.body.size"], sent.body.len());
    assert_eq!(intent["body.sha256"], sha256(&sent.body));
    assert_eq!(intent["key"], true);
    let outcome = of_type(&records, "egress.outcome").into_iter().find(|r| r["egress"] == intent["egress"]).unwrap();
    assert_eq!(outcome["http.response.status_code"], 201);
    assert_eq!(outcome["network.peer.address"], "127.0.0.1");
    assert_eq!(outcome["redactions"], 0);
    assert!(outcome["duration_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(outcome["call"], intent["call"]);
}

#[test]
fn no_key_no_body_and_no_query_value_is_on_record() {
    let gateway = Gateway::start();
    gateway.fault(Fault::new(When::get("/v1/models").always(), What::EchoKey));
    let start = recorded(&gateway);
    let log = start.path("audit.jsonl");
    let mut client = start.connect(Era::Modern);

    client.call("list_models", json!({ "search": "needle-in-search", "api_key": gateway.key("bob") }));
    client.call(
        "create_mapping",
        json!({ "alias": "a", "provider_id": "openai", "model_name": "needle-in-body", "description": "needle-too" }),
    );

    let text = std::fs::read_to_string(log).unwrap();
    for secret in [gateway.key("alice"), gateway.key("bob"), "needle-in", "needle-too", "page=1", "limit="] {
        assert!(!text.contains(secret), "`{secret}` is on record");
    }
}

#[test]
fn a_key_in_the_wrong_place_is_not_on_record_either() {
    let gateway = Gateway::start();
    let start = recorded(&gateway);
    let log = start.path("audit.jsonl");
    let mut client = start.connect(Era::Legacy);
    let [alice, bob] = ["alice", "bob"].map(|user| gateway.key(user).to_owned());

    // As an alias it is a segment of a path, as an argument's name it is nothing that the tool knows.
    client.call("delete_mapping", json!({ "alias": alice })).failure();
    client.call("delete_mapping", json!({ "alias": bob, "api_key": bob })).failure();
    client.call("list_models", json!({ bob.as_str(): 1, "x\n{\"seq\":1}": 2, "search": "x" }));

    let records = records(&log);
    let text = std::fs::read_to_string(log).unwrap();
    assert!(!text.contains(&alice) && !text.contains(&bob), "a key is on record: {text}");
    let paths: Vec<_> = of_type(&records, "egress.intent").iter().map(|record| record["url.path"].clone()).collect();
    assert_eq!(paths, ["/api/v1/model-mappings/[redacted]"; 2]);
    let call = of_type(&records, "tool.call")[2];
    assert_eq!((&call["arguments"], &call["unknown_arguments"]), (&json!(["search"]), &json!(2)));
}

#[test]
fn a_redaction_is_counted() {
    let gateway = Gateway::start();
    gateway.fault(Fault::new(When::get("/api/v1/model-mappings").always(), What::EchoKey));
    let start = recorded(&gateway);
    let log = start.path("audit.jsonl");

    let mut client = start.connect(Era::Legacy);
    client.call("list_models", json!({}));

    let records = records(&log);
    let redactions =
        of_type(&records, "egress.outcome").iter().map(|record| record["redactions"].as_u64().unwrap()).sum::<u64>();
    assert!(redactions > 0, "{records:?}");
}

#[test]
fn a_result_carries_the_head_of_the_chain_as_a_witness() {
    for era in ERAS {
        let gateway = Gateway::start();
        let start = recorded(&gateway);
        let log = start.path("audit.jsonl");
        let mut client = start.connect(era);

        let called = client.call("list_models", json!({}));

        let head = called.result["_meta"]["aigateway-mcp/audit-head"]["sha256"].as_str().unwrap().to_owned();
        assert_eq!(audit(["verify", text(&log), "--head", &head]).status.code(), Some(0));
        let whole = std::fs::read_to_string(&log).unwrap();
        let cut: String = whole.lines().take(4).map(|line| format!("{line}\n")).collect();
        std::fs::write(&log, cut).unwrap();
        assert_eq!(audit(["verify", text(&log)]).status.code(), Some(0));
        let ran = audit(["verify", text(&log), "--head", &head]);
        assert_eq!(ran.status.code(), Some(1));
        assert!(ran.stdout.contains("no record has the hash of the witness"), "{}", ran.stdout);
    }
}

#[test]
fn a_denial_is_on_record_with_the_check_that_failed() {
    let gateway = Gateway::start();
    let grants = std::fs::read_to_string(crate::support::tests_folder().join("../host/grants/aigateway.toml")).unwrap();
    let narrow = grants.replace("\"GET /v1/models\", \"GET /api/v1/model-mappings?page&limit\"", "\"GET /v1/models\"");
    let start = recorded(&gateway).file("grants.toml", narrow).args(["--grants", "grants.toml"]);
    let log = start.path("audit.jsonl");

    let mut client = start.connect(Era::Legacy);
    client.call("list_models", json!({})).failure();

    let records = records(&log);
    let denied = of_type(&records, "denied");
    assert_eq!(denied.len(), 1, "{records:?}");
    assert_eq!((&denied[0]["check"], &denied[0]["url.path"]), (&json!("path"), &json!("/api/v1/model-mappings")));
    assert!(!gateway.requests().iter().any(|request| request.target.starts_with("/api")));
}

#[test]
fn a_cancelled_call_is_on_record_as_cancelled() {
    let gateway = Gateway::start();
    gateway.fault(Fault::new(When::get("/v1/models"), What::Silence));
    let start = recorded(&gateway);
    let log = start.path("audit.jsonl");
    let mut client = start.connect(Era::Legacy);
    let request = client.request("tools/call", json!({ "name": "list_models", "arguments": {} }));
    client.server.send(&request);
    gateway.wait_until("the request is there", |gateway| !gateway.requests().is_empty());

    client.server.send(&json!({
        "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": request["id"] }
    }));
    // The other request of the list was answered: its connection is kept.
    gateway.wait_until("its connection is closed", |gateway| gateway.open_connections() <= 1);
    client.server.close_stdin();
    client.server.wait();

    let records = records(&log);
    assert_eq!(of_type(&records, "tool.result")[0]["error.type"], "cancelled");
    assert!(of_type(&records, "egress.outcome").iter().any(|record| record["error.type"] == "abandoned"));
}

#[test]
fn without_a_file_nothing_is_recorded_and_no_head_is_claimed() {
    let gateway = Gateway::start();
    let mut client = Start::on(&gateway, "alice").connect(Era::Legacy);

    let called = client.call("list_models", json!({}));

    assert!(called.result.get("_meta").is_none(), "{}", called.result);
    assert_eq!(std::fs::read_dir(client.server.path(".")).unwrap().count(), 0);
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
