//! The lock: what it holds, and what is refused because of it.

use serde_json::{Value, json};

use super::{GRANTS, SMALL, code, inspect, sha256, small_with, small_with_docs, wat, with_section};
use crate::support::{ERAS, Ran, Start, keys};

/// What serves the small component with its grants, held to a lock that was written for it.
fn locked() -> Start {
    locked_with(&small_with_docs("Ping it."))
}

fn locked_with(component: &[u8]) -> Start {
    let start = Start::bare().file("x.wasm", component).file("grants.toml", GRANTS);
    let start = start.args(["--component", "x.wasm", "--grants", "grants.toml", "--lock", "lock.json"]);
    let mut inspect = start.command();
    let ran: Ran = inspect.arg("inspect").output().expect("the program runs").into();
    assert!(ran.stderr.contains("lock written to `lock.json`"), "{ran:?}");
    start
}

/// What serving says after this change; it must refuse to start.
fn refused(start: Start) -> String {
    let ran = start.run();
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    ran.stderr
}

#[test]
fn a_lock_that_was_just_written_holds_with_and_without_the_word_serve() {
    for era in ERAS {
        assert_eq!(locked().connect(era).tools().len(), 2);
    }
    let ran = locked().arg("serve").run();
    assert!(ran.status.success(), "{ran:?}");
    let lock: Value = serde_json::from_slice(&std::fs::read(locked().path("lock.json")).unwrap()).unwrap();
    assert_eq!(keys(&lock), ["version", "component", "tools", "grants"]);
    assert_eq!(lock["tools"][0]["description"], "Ping it.");
    assert_eq!(lock["tools"][1]["input_schema"]["required"], json!(["times"]));
    assert_eq!(lock["component"]["sha256"], sha256(&small_with_docs("Ping it.")));
}

#[test]
fn the_built_in_component_can_be_locked() {
    let start = Start::bare().args(["inspect", "--lock", "lock.json"]);
    let ran = start.run();
    assert_eq!(code(&ran), Some(0), "{ran:?}");
    let lock = std::fs::read(start.path("lock.json")).unwrap();

    let same = Start::bare().file("lock.json", &lock).args(["serve", "--lock", "lock.json"]);
    assert_eq!(same.connect(ERAS[0]).tools().len(), 4);
    let other = Start::bare().file("lock.json", &lock).args(["--lock", "lock.json", "--url", "https://other.example"]);
    let said = refused(other);
    assert!(
        said.contains("changed: the destination from `http://localhost:8088` to `https://other.example`"),
        "{said}"
    );
    let read_only = Start::bare().file("lock.json", &lock).args(["--lock", "lock.json", "--read-only"]);
    let said = refused(read_only);
    assert!(said.contains("lost: delete_mapping may DELETE /api/v1/model-mappings/{alias}"), "{said}");
}

#[test]
fn another_component_is_refused_with_the_capabilities_that_it_gained_and_lost() {
    let sockets = r#"(import "wasi:sockets/tcp@0.2.0" (instance (export "connect" (func))))"#;
    let random = r#"(import "wasi:random/random@0.2.3" (instance (export "get-random-u64" (func (result u64)))))"#;
    for (component, expected) in [
        (small_with(sockets), vec!["gained: import wasi:sockets/tcp@0.2.0", "it cannot be served: "]),
        (small_with(random), vec!["gained: import wasi:random/random@0.2.3", "changed: the description of ping"]),
        (small_with_docs("Ping it, and send the answer to me."), vec!["changed: the description of ping"]),
        (wat(&SMALL.replace(r#"(export "count" (func $count))"#, "")), vec!["lost: tool count"]),
        (
            wat(&SMALL.replace(r#"(param "times" u32)"#, r#"(param "often" s32)"#)),
            vec!["gained: the parameter often of count", "lost: the parameter times of count"],
        ),
        (
            wat(&SMALL.replace(r#"(param "times" u32)"#, r#"(param "times" s32)"#)),
            vec!["changed: the parameter times of count"],
        ),
        (
            wat(&SMALL
                .replace("(param i32)", "(param i32) (result i32) i32.const 1")
                .replace(r#"(param "times" u32)"#, r#"(param "times" u32) (result u32)"#)),
            vec!["changed: the result of count"],
        ),
        (with_section(small_with_docs("Ping it."), "more", b""), vec![]),
    ] {
        let said = refused(locked().file("x.wasm", &component));
        for expected in
            expected.iter().chain(&["changed: the component's code (sha256 ", "not what is locked in `lock.json`"])
        {
            assert!(said.contains(expected), "{expected}: {said}");
        }
    }
}

#[test]
fn a_tool_that_was_not_there_is_gained() {
    let less = wat(&SMALL.replace(r#"(export "count" (func $count))"#, ""));

    let said = refused(locked_with(&less).file("x.wasm", wat(SMALL)));

    assert!(said.contains("gained: tool count"), "{said}");
}

#[test]
fn other_grants_are_refused_with_what_they_allow_and_no_longer_allow() {
    let secret = "[secrets.k]\nenv = \"K\"\nheader = \"X-K\"\n";
    for (grants, expected) in [
        (GRANTS.replace("ping = [", "ping = [\"POST /x\", "), vec!["gained: ping may POST /x"]),
        (GRANTS.replace(", \"GET /y\"", ""), vec!["lost: count may GET /y"]),
        (GRANTS.replace("ping = [\"GET /x\"]", ""), vec!["lost: tool ping", "lost: ping may GET /x"]),
        (
            GRANTS.replace(":1\"", ":2\""),
            vec!["changed: the destination from `http://localhost:1` to `http://localhost:2`"],
        ),
        (GRANTS.replace("[tools]", "allow_plaintext = true\n[tools]"), vec!["gained: plain text to other machines"]),
        (format!("{GRANTS}\n{secret}"), vec!["gained: the secret k from K may go into the header x-k"]),
        (format!("{GRANTS}\n[limits]\nmemory_mib = 128\n"), vec!["changed: the limit memory_mib from 64 to 128"]),
        (GRANTS.replace("\"GET /x\", \"GET /y\"", "\"GET /y\", \"GET /x\""), vec!["changed: the order of the grants"]),
    ] {
        let said = refused(locked().file("grants.toml", &grants));
        for expected in expected {
            assert!(said.contains(expected), "{expected}: {said}");
        }
        assert!(!said.contains("the component's code"), "{said}");
    }
}

#[test]
fn every_command_that_runs_the_component_holds_to_the_lock() {
    for command in [&["tools"][..], &["call", "ping"], &["serve"]] {
        let start = locked().file("grants.toml", GRANTS.replace(":1\"", ":2\""));
        let said = refused(command.iter().fold(start, |start, argument| start.arg(*argument)));
        assert!(said.contains("changed: the destination"), "{said}");
    }
}

#[test]
fn what_is_no_lock_is_refused_with_the_reason() {
    let start = locked();
    let lock = std::fs::read_to_string(start.path("lock.json")).unwrap();
    for (text, expected) in [
        ("garbage".to_owned(), "`lock.json` is not a lock: expected value at line 1 column 1"),
        ("{}".to_owned(), "`lock.json` is not a lock: missing field `version`"),
        ("[1]".to_owned(), "`lock.json` is not a lock: "),
        (String::new(), "`lock.json` is not a lock: "),
        (lock.replace("\"version\": 1", "\"version\": 2"), "is a lock of version 2; this program reads 1"),
        (lock.replace("GET /y", "GET /z"), "`lock.json` was edited: its grants do not have its digest"),
        (lock.replace("\"tools\"", "\"tolls\""), "`lock.json` is not a lock: unknown field `tolls`"),
    ] {
        let said = refused(locked().file("lock.json", &text));
        assert!(said.contains(expected), "{expected}: {said}");
        assert!(said.contains("write one with `aigateway-mcp inspect --lock lock.json`"), "{said}");
    }
    let said = refused(Start::bare().args(["--lock", "nothing.json"]));
    assert!(said.contains("the lock cannot be used") && said.contains("cannot read `nothing.json`"), "{said}");
}

#[test]
fn no_lock_is_written_of_what_cannot_be_served_or_has_no_grants() {
    let component = small_with(r#"(import "wasi:sockets/tcp@0.2.0" (instance (export "connect" (func))))"#);
    let start = Start::bare().file("x.wasm", component).file("grants.toml", GRANTS);
    let start = start.args(["inspect", "x.wasm", "--grants", "grants.toml", "--lock", "lock.json"]);
    let ran = start.run();
    assert_eq!(code(&ran), Some(1), "{ran:?}");
    assert!(ran.stderr.contains("no lock is written"), "{}", ran.stderr);
    assert!(!start.path("lock.json").exists());

    let ran = inspect("x.wasm", wat(SMALL), &["--lock", "lock.json"]);
    assert_eq!(code(&ran), Some(2), "{ran:?}");
    assert!(ran.stderr.contains("name a grant file with --grants"), "{}", ran.stderr);
}
