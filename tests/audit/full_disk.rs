//! A disk that fills up and has room again, within one session.

use std::fs;
use std::path::Path;

use reference_gateway::Gateway;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};

use super::{audit, of_type, recorded, records, text};
use crate::support::{Client, Era, Start};

/// A server to which a file that may not grow is a full disk: without its signal, the limit is an error of writing.
fn start(gateway: &Gateway) -> Start {
    recorded(gateway).after("trap '' XFSZ")
}

/// Lets the files of a running server have so many bytes at most.
fn limit_files(client: &Client, most: Option<u64>) {
    let process = Pid::from_raw(client.server.id().try_into().unwrap());
    prlimit(process, Resource::Fsize, Rlimit { current: most, maximum: None }).expect("the limit can be set");
}

fn size(log: &Path) -> u64 {
    fs::metadata(log).unwrap().len()
}

fn verified(log: &Path) {
    let ran = audit(["verify", text(log)]);
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
}

/// The records of a session, without what the chain adds.
fn kinds(records: &[Value]) -> Vec<&str> {
    let kinds = records.iter().map(|record| record["type"].as_str().unwrap());
    kinds.filter(|kind| *kind != "checkpoint").collect()
}

#[test]
fn a_full_disk_denies_while_it_is_full_and_nothing_is_lost() {
    let gateway = Gateway::start();
    let start = start(&gateway);
    let log = start.path("audit.jsonl");
    let mut client = start.connect(Era::Legacy);
    client.call("list_models", json!({})).answer();
    let before = fs::read(&log).unwrap();
    gateway.clear_requests();

    limit_files(&client, Some(size(&log)));
    for _ in 0..3 {
        let failed = client.call("list_models", json!({}));
        assert!(failed.failure().contains("What is not on record is not done"), "{}", failed.failure());
    }

    assert!(gateway.requests().is_empty());
    assert_eq!(fs::read(&log).unwrap(), before, "what is on record stays");
    verified(&log);

    limit_files(&client, None);
    client.call("list_models", json!({})).answer();

    verified(&log);
    assert!(fs::read(&log).unwrap().starts_with(&before));
    let records = records(&log);
    let denied = of_type(&records, "denied");
    assert_eq!(denied.len(), 3, "the refused calls are on record afterwards: {records:?}");
    assert!(denied.iter().all(|record| record["check"] == "audit" && record["happened"].is_string()), "{denied:?}");
    assert_eq!(of_type(&records, "tool.result").len(), 2);
}

#[test]
fn a_disk_that_fills_up_at_any_moment_of_a_call_denies_what_is_not_on_record() {
    let gateway = Gateway::start();
    // What a whole call leaves: the disk fills up somewhere in it, also in the middle of a line.
    for room in (0..2800).step_by(150) {
        let start = start(&gateway);
        let log = start.path("audit.jsonl");
        let mut client = start.connect(Era::Legacy);
        client.call("list_models", json!({})).answer();
        gateway.clear_requests();

        limit_files(&client, Some(size(&log) + room));
        client.call("list_models", json!({}));
        limit_files(&client, None);
        let requests = gateway.requests().len();
        client.call("list_models", json!({})).answer();

        verified(&log);
        let records = records(&log);
        let second = |kind: &str| of_type(&records, kind).iter().filter(|record| record["call"] == 1).count();
        assert!(requests <= second("egress.intent"), "{room}: {requests} requests: {:?}", kinds(&records));
        assert_eq!(second("egress.intent"), second("egress.outcome"), "{room}: {:?}", kinds(&records));
        assert_eq!(second("tool.call"), second("tool.result"), "{room}: {:?}", kinds(&records));
        assert!(second("tool.result") + second("denied") > 0, "{room}: {:?}", kinds(&records));
    }
}

#[test]
fn a_line_that_another_process_left_torn_is_closed_once_there_is_room() {
    let gateway = Gateway::start();
    let start = start(&gateway);
    let log = start.path("audit.jsonl");
    let mut client = start.connect(Era::Legacy);
    client.call("list_models", json!({})).answer();
    let mut file = fs::OpenOptions::new().append(true).open(&log).unwrap();
    std::io::Write::write_all(&mut file, b"{\"v\":1,\"seq\":99,\"pr").unwrap();

    // Room for the line break, and for less than a record.
    limit_files(&client, Some(size(&log) + 100));
    client.call("list_models", json!({})).failure();
    limit_files(&client, None);
    client.call("list_models", json!({})).answer();

    let ran = audit(["verify", text(&log)]);
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    assert!(ran.stdout.contains("1 torn lines closed"), "{}", ran.stdout);
}

#[test]
fn a_disk_that_is_full_when_the_file_is_rotated_denies_and_recovers() {
    let gateway = Gateway::start();
    let start = start(&gateway).args(["--audit-rotate", "1"]);
    let folder = start.path(".");
    let log = start.path("audit.jsonl");
    let mut client = start.connect(Era::Legacy);
    // Another server that does not rotate so soon fills the file.
    let mut other = Start::on(&gateway, "alice").args(["--audit-log", text(&log)]).connect(Era::Legacy);
    while size(&log) <= 1 << 20 {
        other.call("list_models", json!({})).answer();
    }
    let before = fs::read(&log).unwrap();

    limit_files(&client, Some(0));
    client.call("list_models", json!({})).failure();
    assert_eq!(fs::read(&log).unwrap(), before);
    limit_files(&client, None);
    client.call("list_models", json!({})).answer();

    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 2, "{files:?}");
    assert_eq!(audit(["verify", text(&files[1]), text(&files[0])]).status.code(), Some(0));
}

/// The device takes every write and refuses every sync.
#[test]
fn what_cannot_be_synced_is_not_done() {
    let gateway = Gateway::start();
    let start = Start::on(&gateway, "alice").args(["--audit-sync", "--audit-log", "/dev/null", "call", "list_models"]);

    let ran = start.run();

    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    assert!(ran.stderr.contains("cannot continue `/dev/null`: Invalid argument"), "{}", ran.stderr);
    assert!(gateway.requests().is_empty());
}
