//! A client that writes and never reads.

use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, Stdio};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::Signal;

use reference_gateway::{Gateway, NewMapping};
use serde_json::{Value, json};

use super::ending::{assert_child_ends, signal};
use super::{LEGACY, MODERN, call, request, sign_of_life};
use crate::support::Start;

/// How long a server may take for the next bytes before it counts as one that reads no more.
const STALLED: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// A server that nobody reads from, after it was written to until it read no more; with how much that was.
fn stalled(start: &Start, line: &[u8]) -> (Child, ChildStdin, usize) {
    let mut command = start.command();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let stdin = child.stdin.take().unwrap();
    let written = write_until_stalled(&stdin, line);
    (child, stdin, written)
}

/// Writes lines until no more is read, and says how much that was.
pub(super) fn write_until_stalled(stdin: &impl AsFd, line: &[u8]) -> usize {
    fcntl_setfl(stdin, fcntl_getfl(stdin).unwrap() | OFlags::NONBLOCK).unwrap();
    let mut written = 0;
    while is_writable(stdin) {
        let left = &line[written % line.len()..];
        written += rustix::io::write(stdin, left).unwrap_or(0);
        assert!(written < 1 << 30, "the server reads on and on");
    }
    written
}

fn is_writable(pipe: &impl AsFd) -> bool {
    let mut descriptors = [PollFd::new(pipe, PollFlags::OUT)];
    poll(&mut descriptors, Some(&STALLED)).unwrap() > 0
}

/// Requests that are answered at once, with little, with much, and large ones with much; one whose id is in use, which
/// is refused before it gets to the SDK; and a line that is no message.
pub(super) fn floods() -> [Vec<u8>; 5] {
    let many = |count: u32, line: &dyn Fn(u32) -> Value| (0..count).map(|id| format!("{}\n", line(id))).collect();
    let list = |id: u32, filling: &str| request(MODERN, id, "tools/list", json!({ "filling": filling }));
    let filling = "x".repeat(512 << 10);
    [
        many(5000, &|id| sign_of_life(LEGACY, id)),
        many(2000, &|id| list(id, "")),
        many(300, &|id| list(id, &filling)),
        many(1, &|id| sign_of_life(LEGACY, id)),
        "nonsense\n".to_owned(),
    ]
    .map(String::into_bytes)
}

/// Does this with a server that each of the floods has stalled, all at the same time.
fn with_each_stalled(check: fn(Child, ChildStdin, usize)) {
    std::thread::scope(|scope| {
        for flood in floods() {
            scope.spawn(move || {
                let (child, stdin, written) = stalled(&Start::bare(), &flood);
                check(child, stdin, written);
            });
        }
    });
}

#[test]
fn a_signal_ends_a_server_that_nobody_reads_from() {
    with_each_stalled(|mut child, _stdin, _| {
        let _unread = child.stdout.take();
        let since = Instant::now();
        signal(child.id(), Signal::TERM);
        assert_child_ends(&mut child, since);
    });
}

#[test]
fn the_end_of_input_ends_a_server_that_nobody_reads_from() {
    with_each_stalled(|mut child, stdin, _| {
        let _unread = child.stdout.take();
        let since = Instant::now();
        drop(stdin);
        assert_child_ends(&mut child, since);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_that_nobody_reads_from_stops_reading_and_takes_little_memory() {
    with_each_stalled(|mut child, _stdin, written| assert_little_memory(&mut child, written));
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_whose_progress_nobody_reads_takes_little_memory() {
    let gateway = Gateway::start();
    for number in 0..5000 {
        gateway.insert(NewMapping::owned_by("alice", &format!("m-{number}")));
    }
    let list = |id: u32| {
        let mut call = call(MODERN, id, "list_models", json!({}));
        call["params"]["_meta"]["progressToken"] = id.into();
        format!("{call}\n")
    };
    let calls: String = (0..2000).map(list).collect();
    let (mut child, _stdin, written) = stalled(&Start::on(&gateway, "alice"), calls.as_bytes());
    assert_little_memory(&mut child, written);
    assert!(gateway.requests().len() > 100, "what was asked has many pages to tell of");
}

#[cfg(target_os = "linux")]
pub(super) fn assert_little_memory(child: &mut Child, written: usize) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak_kib: usize = peak.trim().trim_end_matches(" kB").parse().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(peak_kib < 128 << 10, "{peak_kib} KiB after {written} bytes");
}
