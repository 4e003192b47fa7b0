//! The protocol over a raw pipe: every line that a client may send, in every version, and every way in which a session ends.

mod calling;
mod cancelling;
mod clients;
mod concurrency;
mod ending;
mod going_away;
mod handshake;
mod lines;
mod listing;
#[cfg(target_os = "linux")]
mod parent;
mod progress;
mod schema;
mod silent_client;
mod sockets;
#[cfg(target_os = "linux")]
mod wakeups;

use reference_gateway::{Fault, Gateway, NewMapping, What, When};
use serde_json::{Value, json};

use crate::support::{Server, Start, initialize, modern_meta};

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// Opened with `initialize`.
    Legacy(&'static str),
    /// 2026-07-28: no handshake; each request brings its metadata.
    Modern,
}

/// The versions that are opened with `initialize`.
const LEGACY_VERSIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

/// The newest of them.
const LEGACY: Version = Version::Legacy(LEGACY_VERSIONS[3]);

const MODERN: Version = Version::Modern;

/// All versions.
const VERSIONS: [Version; 5] = {
    let [first, second, third, fourth] = LEGACY_VERSIONS;
    [Version::Legacy(first), Version::Legacy(second), Version::Legacy(third), Version::Legacy(fourth), MODERN]
};

/// What every line that the server writes has: the envelope of JSON-RPC, and nothing that is null.
fn assert_sound(answer: &Value) {
    assert_eq!(answer["jsonrpc"], "2.0", "{answer}");
    assert!(answer.get("method").is_none(), "this server says only what it is asked for: {answer}");
    assert_ne!(answer.get("result").is_some(), answer.get("error").is_some(), "one of both: {answer}");
    assert!(answer.get("result").is_none() || answer.get("id").is_some(), "a result has an id: {answer}");
    assert!(!has_null(answer), "absent fields are absent: {answer}");
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(fields) => fields.values().any(has_null),
        _ => false,
    }
}

/// Asks, and gives the answer after a look at its form.
fn ask(server: &Server, request: &Value) -> Value {
    let answer = server.ask(request);
    assert_sound(&answer);
    answer
}

/// The code of the error that a line is answered with, for a request with this id; `Null` if it is to have none.
fn refused(server: &Server, line: &[u8], id: &Value) -> i64 {
    server.send_bytes(line);
    server.send_bytes(b"\n");
    let answer = server.receive();
    assert_sound(&answer);
    assert_eq!(answer.get("id").unwrap_or(&Value::Null), id, "{answer}");
    let message = answer["error"]["message"].as_str().unwrap_or_else(|| panic!("no error: {answer}"));
    assert!(!message.is_empty());
    answer["error"]["code"].as_i64().expect("a code")
}

/// A server without a gateway: what is not a good call needs none.
fn without_gateway() -> Server {
    Start::bare().serve()
}

/// A server that has been opened in this version.
fn opened_with(start: Start, version: Version) -> Server {
    let server = start.serve();
    if let Version::Legacy(version) = version {
        assert_eq!(ask(&server, &initialize(version))["result"]["protocolVersion"], version);
    }
    server
}

/// A gateway with a mapping of alice's, and a server on it that has been opened in this version.
fn opened(version: Version) -> (Gateway, Server) {
    let gateway = Gateway::start();
    gateway.insert(NewMapping::owned_by("alice", "mine"));
    let server = opened_with(Start::on(&gateway, "alice"), version);
    (gateway, server)
}

/// Does this with a server without a gateway that has been opened, in one version after the other.
fn in_every_version(check: impl Fn(&Server)) {
    for version in VERSIONS {
        // Shown if the check fails.
        eprintln!("{version:?}");
        check(&opened_with(Start::bare(), version));
    }
}

/// A request in this version.
fn request(version: Version, id: impl Into<Value>, method: &str, mut params: Value) -> Value {
    if version == MODERN {
        params["_meta"] = modern_meta();
    }
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": params })
}

/// A call of a tool in this version.
fn call(version: Version, id: impl Into<Value>, tool: &str, arguments: Value) -> Value {
    request(version, id, "tools/call", json!({ "name": tool, "arguments": arguments }))
}

/// A call that makes one request to begin with.
fn update(version: Version, id: impl Into<Value>) -> Value {
    call(version, id, "update_mapping", json!({ "alias": "mine", "model_name": "glm-4" }))
}

/// Sends a call of which the first request goes wrong in this way, and waits until it does.
fn start_call(gateway: &Gateway, server: &Server, call: &Value, what: What) {
    let before = gateway.requests().len();
    gateway.fault(Fault::new(When::get("/api/v1/model-mappings/"), what));
    server.send(call);
    gateway.wait_until("the call is under way", |gateway| gateway.requests().len() > before);
}

/// A request that any server answers at once, in the way of this version.
fn sign_of_life(version: Version, id: impl Into<Value>) -> Value {
    match version {
        Version::Legacy(_) => json!({ "jsonrpc": "2.0", "id": id.into(), "method": "ping" }),
        Version::Modern => request(version, id, "server/discover", json!({})),
    }
}

/// The server still answers, and nothing came before its answer.
fn assert_lives(server: &Server) {
    let answer = ask(server, &sign_of_life(LEGACY, "alive"));
    assert_eq!(answer["result"], json!({}));
}
