//! What verification finds.

use std::fs;

use reference_gateway::Gateway;
use serde_json::json;

use super::{audit, of_type, recorded, records, session, text};
use crate::support::Era;

/// The exit code of verifying these bytes as a log.
fn verdict(bytes: &[u8]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    fs::write(&log, bytes).unwrap();
    let ran = audit(["verify", text(&log)]);
    (ran.status.code().unwrap(), ran.stdout)
}

#[test]
fn a_log_verifies_and_sha256sum_can_check_it() {
    let gateway = Gateway::start();
    let (_folder, log) = session(&gateway);

    let ran = audit(["verify", text(&log)]);

    let records = records(&log);
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    assert!(ran.stdout.starts_with(&format!("verified: {} records", records.len())), "{}", ran.stdout);
    let line =
        std::process::Command::new("sh").arg("-c").arg("sed -n 5p \"$1\" | sha256sum").arg("sh").arg(&log).output();
    let sum = String::from_utf8(line.unwrap().stdout).unwrap();
    assert_eq!(sum.split(' ').next(), records[5]["prev"].as_str());
}

#[test]
fn every_changed_byte_is_found() {
    let gateway = Gateway::start();
    let (folder, log) = session(&gateway);
    let whole = fs::read(&log).unwrap();
    // Every byte of the first and the last record, and some of each in between: one process is started for each.
    let ends = [whole.iter().position(|b| *b == b'\n').unwrap(), whole.len()];
    let last = whole[..whole.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() + 1;
    let places = (0..=ends[0]).chain(last..ends[1]).step_by(7).chain((0..whole.len()).step_by(97));
    for at in places {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        let file = folder.path().join("changed");
        fs::write(&file, changed).unwrap();
        let ran = audit(["verify", text(&file)]);
        assert!(matches!(ran.status.code(), Some(1 | 2)), "byte {at}: {}", ran.stdout);
    }
}

#[test]
fn deleted_swapped_inserted_and_cut_lines_are_found() {
    let gateway = Gateway::start();
    let (_folder, log) = session(&gateway);
    let whole = fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    for at in 0..lines.len() - 1 {
        let without = [&lines[..at], &lines[at + 1..]].concat().concat();
        assert_eq!(verdict(without.as_bytes()).0, 1, "without line {}", at + 1);
        let mut swapped = lines.clone();
        swapped.swap(at, at + 1);
        assert_eq!(verdict(swapped.concat().as_bytes()).0, 1, "lines {} and {} swapped", at + 1, at + 2);
        let mut doubled = lines.clone();
        doubled.insert(at, lines[at]);
        assert_eq!(verdict(doubled.concat().as_bytes()).0, 1, "line {} twice", at + 1);
    }
    let (code, said) = verdict(&whole.as_bytes()[..whole.len() - 10]);
    assert_eq!(code, 2, "{said}");
    let first = format!("{}{{\"a\":1}}\n{}", lines[0], lines[1..].concat());
    let (code, said) = verdict(first.as_bytes());
    assert_eq!(code, 1);
    assert!(said.contains("line 3"), "{said}");
}

#[test]
fn a_restart_continues_the_chain() {
    let gateway = Gateway::start();
    let start = recorded(&gateway).args(["call", "list_models"]);
    for _ in 0..3 {
        assert!(start.run().status.success());
    }

    let records = records(&start.path("audit.jsonl"));

    assert_eq!(of_type(&records, "chain.start").len(), 1);
    assert_eq!(of_type(&records, "session.start").len(), 3);
    assert_eq!(audit(["verify", text(&start.path("audit.jsonl"))]).status.code(), Some(0));
}

#[test]
fn a_torn_line_is_closed_by_a_record_that_accounts_for_it() {
    let gateway = Gateway::start();
    let start = recorded(&gateway).args(["call", "list_models"]);
    let log = start.path("audit.jsonl");
    start.run();
    let mut torn = fs::read(&log).unwrap();
    torn.truncate(torn.len() - 30);
    fs::write(&log, &torn).unwrap();
    assert_eq!(audit(["verify", text(&log)]).status.code(), Some(2));

    start.run();

    let ran = audit(["verify", text(&log)]);
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    assert!(ran.stdout.contains("1 torn lines closed"), "{}", ran.stdout);
    // The torn bytes count, too.
    let text_of_log = fs::read_to_string(&log).unwrap();
    let changed = text_of_log.replacen("\"type\":\"checkpoint\"", "\"type\":\"checkpoinT\"", 1);
    assert_ne!(changed, text_of_log);
    assert_eq!(verdict(changed.as_bytes()).0, 1);
}

#[test]
fn a_log_with_a_broken_tail_is_not_continued() {
    let gateway = Gateway::start();
    let start = recorded(&gateway).args(["call", "list_models"]);
    let log = start.path("audit.jsonl");
    start.run();
    let changed =
        fs::read_to_string(&log).unwrap().replace("\"check\":", "\"chck\":").replace("list-models", "list-model");
    fs::write(&log, changed).unwrap();

    let ran = start.run();

    assert_eq!(ran.status.code(), Some(1));
    assert!(ran.stderr.contains("does not follow the one before"), "{}", ran.stderr);
    for other in ["not a log\n", "{}\n"] {
        fs::write(&log, other).unwrap();
        assert_eq!(start.run().status.code(), Some(1), "{other}");
    }
}

#[test]
fn a_rotated_log_verifies_as_a_whole_and_tells_when_a_part_is_missing() {
    let gateway = Gateway::start();
    let start = recorded(&gateway).args(["--audit-rotate", "1"]);
    let folder = start.path(".");
    let mut client = start.connect(Era::Legacy);
    let mut calls = 0;
    while fs::read_dir(&folder).unwrap().count() < 3 {
        client.call("list_models", json!({ "search": "nothing" })).answer();
        calls += 1;
        assert!(calls < 5000, "it is never rotated");
    }

    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    // The file without a number is the last one.
    files.rotate_left(1);
    let names: Vec<&str> = files.iter().map(|file| text(file)).collect();
    assert_eq!(audit(["verify", names[0], names[1], names[2]]).status.code(), Some(0));
    assert_eq!(audit(["verify", names[1], names[2]]).status.code(), Some(2));
    assert_eq!(audit(["verify", names[0], names[2]]).status.code(), Some(1));
}

#[test]
fn show_and_summary_read_a_log() {
    let gateway = Gateway::start();
    let (_folder, log) = session(&gateway);

    let shown = audit(["show", text(&log), "--tool", "create_mapping"]);
    let summary = audit(["summary", text(&log), "--json"]).json();

    assert!(shown.stdout.lines().all(|line| line.contains("create_mapping")), "{}", shown.stdout);
    assert_eq!(shown.stdout.lines().filter(|line| line.contains("tool.call")).count(), 2);
    assert_eq!(audit(["show", text(&log), "--denied"]).stdout, "");
    assert_eq!(audit(["show", text(&log), "--since", "9999"]).stdout, "");
    assert_eq!(summary["calls"], json!({ "create_mapping": 2, "list_models": 1 }));
    assert_eq!(summary["failed"], json!({ "create_mapping": 1 }));
    let post = summary["routes"].as_array().unwrap().iter().find(|row| row["route"] == "POST /api/v1/model-mappings");
    assert_eq!(post.unwrap()["allowed"], 2);
    let unused = summary["unused_grants"].as_array().unwrap();
    assert!(unused.contains(&json!({ "tool": "delete_mapping", "rule": "DELETE /api/v1/model-mappings/{alias}" })));
    assert!(!unused.iter().any(|rule| rule["tool"] == "list_models"));
    assert!(audit(["summary", text(&log)]).stdout.contains("never used: delete_mapping"));
}
