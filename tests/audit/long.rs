//! A long log: read in constant memory.

use std::fs;
use std::io::Write;
use std::process::{Child, Stdio};

use crate::support::{Ran, Start, long_log};

/// Records of the log: some 45 MB.
const RECORDS: u64 = 100_000;

/// The memory that reading it may take, in KiB: a half of what it has itself, and three times what it takes.
#[cfg(target_os = "linux")]
const MOST_KIB: u64 = 24 << 10;

/// Runs `audit …` with the log on its stdin; looks at the process when all of the log was written and hardly more than
/// a pipe's worth of it is still to be read.
fn with_log_on_stdin(arguments: &[&str], look: impl FnOnce(&Child)) -> Ran {
    let start = arguments.iter().fold(Start::bare().arg("audit"), |start, argument| start.arg(*argument));
    let mut command = start.command();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = std::io::BufWriter::new(child.stdin.take().unwrap());
    long_log::write(&mut stdin, RECORDS).unwrap();
    stdin.flush().unwrap();
    look(&child);
    drop(stdin);
    child.wait_with_output().unwrap().into()
}

/// The most memory that a process ever had, in KiB.
#[cfg(target_os = "linux")]
fn peak_memory(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("the system tells the peak");
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn a_long_log_is_verified_and_summed_up_without_being_held_in_memory() {
    let verified = with_log_on_stdin(&["verify", "/dev/stdin"], |child| {
        let peak = peak_memory(child);
        assert!(peak < MOST_KIB, "verifying took {peak} KiB");
    });

    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    assert!(verified.stdout.starts_with("verified: 100000 records, "), "{}", verified.stdout);

    let summary = with_log_on_stdin(&["summary", "/dev/stdin", "--json"], |child| {
        let peak = peak_memory(child);
        assert!(peak < MOST_KIB, "summing up took {peak} KiB");
    });
    assert_eq!(summary.json()["calls"]["list_models"], 16_667);
}

#[test]
fn the_last_record_of_a_long_log_is_a_witness_and_the_first_bad_line_is_named() {
    let start = Start::bare().args(["audit", "verify", "log", "--head"]);
    let mut file = fs::File::create(start.path("log")).unwrap();
    let head = long_log::write(&mut std::io::BufWriter::new(&mut file), 2000).unwrap();

    let witnessed = start.arg(head);
    assert_eq!(witnessed.run().status.code(), Some(0));
    let changed = fs::read_to_string(witnessed.path("log")).unwrap().replacen("\"call\":250,", "\"call\":251,", 1);
    fs::write(witnessed.path("log"), changed).unwrap();
    let ran = witnessed.run();
    assert_eq!(ran.status.code(), Some(1));
    assert!(ran.stdout.contains("line 1503"), "the record after the changed one: {}", ran.stdout);
}
