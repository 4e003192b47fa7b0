//! Any bytes as an audit log, and as a change of a good one: nothing panics, nothing that is shown acts on a terminal,
//! what verifies can be continued, and what was changed does not verify.

#![no_main]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use audit::{Audit, Filter, Head, Verdict};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

#[allow(dead_code, unused_imports, unreachable_pub, reason = "the host's own")]
#[path = "../../host/src/audit/mod.rs"]
mod audit;
#[allow(dead_code, reason = "the host's own")]
#[path = "../../host/src/digest.rs"]
mod digest;
#[allow(dead_code, reason = "the host's own")]
#[path = "../../host/src/text.rs"]
mod text;

/// What the host's modules want of its log.
mod log {
    pub(crate) use crate::text::{excerpt, one_line};

    pub(crate) fn warn(_text: &str) {}
}

const NO_ROTATION: u64 = 1 << 40;

/// A log as it is written, and the head that a witness of it keeps.
static GOOD: LazyLock<(Vec<u8>, Head)> = LazyLock::new(|| {
    let file = file("good");
    let audit = Audit::open(&file, false, NO_ROTATION).expect("a log can be begun");
    let mut head = None;
    for (kind, fields) in records() {
        head = audit.record_at_the_start(kind, fields).expect("a record can be written");
    }
    (std::fs::read(&file).expect("the log can be read"), head.expect("the log is on"))
});

fn records() -> [(&'static str, Value); 5] {
    let call = json!({ "call": 1, "gen_ai.tool.name": "list_models" });
    let request = json!({ "egress": 1, "gen_ai.tool.name": "list_models", "http.request.method": "GET" });
    let denial = json!({ "gen_ai.tool.name": "list_models", "check": "path", "reason": "no rule" });
    [
        ("tool.call", call.clone()),
        ("egress.intent", request.clone()),
        ("egress.outcome", request),
        ("denied", denial),
        ("tool.result", call),
    ]
}

/// A file of this process in the folder that cargo builds into.
fn file(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/audit_reader");
    std::fs::create_dir_all(&folder).expect("the build's folder is writable");
    let file = folder.join(format!("{name}-{}.jsonl", std::process::id()));
    _ = std::fs::remove_file(&file);
    file
}

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    let changed = change(&GOOD.0, bytes);
    if changed != GOOD.0 {
        let verdict = verdict(&written("changed", &changed), Some(&GOOD.1.hash));
        assert!(!matches!(verdict, Verdict::Verified(_)), "{}", String::from_utf8_lossy(&changed));
    }
});

fn read(bytes: &[u8]) {
    let log = written("any", bytes);
    let mut shown = Vec::new();
    audit::show(&log, &Filter::default(), false, &mut shown).expect("what can be read can be shown");
    let shown = String::from_utf8(shown).expect("what is shown is UTF-8");
    assert!(!shown.chars().any(|character| character.is_control() && character != '\n'), "{shown:?}");
    for as_json in [false, true] {
        audit::summary(std::slice::from_ref(&log), as_json).expect("what can be read can be counted");
    }
    if let Verdict::Verified(before) = verdict(&log, None) {
        let audit = Audit::open(&log, false, NO_ROTATION).expect("what verifies can be continued");
        audit.record_at_the_start("tool.call", json!({})).expect("a record can be written");
        let Verdict::Verified(after) = verdict(&log, None) else { panic!("what was continued does not verify") };
        assert_eq!(after.records, before.records + 1);
    }
}

fn verdict(log: &Path, witness: Option<&str>) -> Verdict {
    audit::verify(&[log.to_owned()], witness).expect("the log can be read")
}

fn written(name: &str, bytes: &[u8]) -> PathBuf {
    let file = file(name);
    std::fs::write(&file, bytes).expect("the build's folder is writable");
    file
}

/// Replaces some bytes by others, once or more often: at which place, how many, how many by.
fn change(log: &[u8], mut script: &[u8]) -> Vec<u8> {
    let mut changed = log.to_vec();
    while let [high, low, length, by, rest @ ..] = script {
        let at = usize::from(u16::from_be_bytes([*high, *low])) % (changed.len() + 1);
        let end = (at + usize::from(*length)).min(changed.len());
        let (by, rest) = rest.split_at(usize::from(*by).min(rest.len()));
        changed.splice(at..end, by.iter().copied());
        script = rest;
    }
    changed
}
