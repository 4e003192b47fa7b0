//! Several servers that write one log.

use reference_gateway::Gateway;
use serde_json::json;

use super::{audit, of_type, records, text};
use crate::support::{Client, Era, Start};

/// Calls of both servers together.
const CALLS: usize = 10_000;

/// Calls of one server that are under way at the same time.
const IN_FLIGHT: usize = 16;

fn start_call(client: &mut Client) {
    let request = client.request("tools/call", json!({ "name": "list_models", "arguments": {} }));
    client.server.send(&request);
}

/// Makes the calls, so many at a time, and ends the session.
fn call_many(client: &mut Client, calls: usize) {
    (0..IN_FLIGHT).for_each(|_| start_call(client));
    for answered in 1..=calls {
        let answer = client.server.receive();
        assert!(answer["result"]["structuredContent"]["total"].is_u64(), "{answer}");
        if answered + IN_FLIGHT <= calls {
            start_call(client);
        }
    }
    client.server.close_stdin();
    assert!(client.server.wait().success());
}

#[test]
fn two_servers_write_ten_thousand_calls_into_one_file() {
    let gateway = Gateway::builder().without_recording().start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit.jsonl");
    let key = gateway.key("alice");
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let start = Start::bare().env("AIGATEWAY_URL", gateway.url()).env("AIGATEWAY_API_KEY", key);
            let start = start.args(["--audit-log", text(&log)]);
            scope.spawn(|| call_many(&mut start.connect(Era::Legacy), CALLS / 2));
        }
    });

    let ran = audit(["verify", text(&log)]);

    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    let records = records(&log);
    for kind in ["tool.call", "tool.result"] {
        assert_eq!(of_type(&records, kind).len(), CALLS, "{kind}");
    }
    assert_eq!(of_type(&records, "egress.intent").len(), of_type(&records, "egress.outcome").len());
    assert!(of_type(&records, "egress.intent").len() >= 2 * CALLS);
    // Both wrote at the same time: their records are mixed.
    let sessions: Vec<_> = records.iter().map(|record| &record["session"]).collect();
    let changes = sessions.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(changes > 100, "{changes} changes of the writer in {} records", records.len());
}
