//! A client that writes and never reads.

use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::Signal;

use super::ending::signal;
use crate::support::Start;

/// How long a server may take for the next bytes before it counts as one that reads no more.
const STALLED: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// A server that nobody reads from, after it was written to until it read no more; with how much that was.
fn stalled(line: &[u8]) -> (Child, ChildStdin, usize) {
    let start = Start::bare();
    let mut command = start.command();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let stdin = child.stdin.take().unwrap();
    fcntl_setfl(&stdin, fcntl_getfl(&stdin).unwrap() | OFlags::NONBLOCK).unwrap();
    let mut written = 0;
    while is_writable(&stdin) {
        let left = &line[written % line.len()..];
        written += rustix::io::write(&stdin, left).unwrap_or(0);
        assert!(written < 1 << 30, "the server reads on and on");
    }
    (child, stdin, written)
}

fn is_writable(pipe: &impl AsFd) -> bool {
    let mut descriptors = [PollFd::new(pipe, PollFlags::OUT)];
    poll(&mut descriptors, Some(&STALLED)).unwrap() > 0
}

fn assert_ends(mut child: Child, since: Instant) {
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(since.elapsed() < Duration::from_secs(2), "it took {:?}", since.elapsed());
}

/// A request that is answered at once; one that is refused before it gets to the SDK; a line that is no message.
fn lines() -> [Vec<u8>; 3] {
    let list = super::request(crate::support::Era::Modern, 1, "tools/list", serde_json::json!({}));
    let ping = br#"{"jsonrpc":"2.0","id":"PING","method":"ping"}"#.repeat(1);
    [format!("{list}\n").into_bytes(), [ping.as_slice(), b"\n"].concat(), b"nonsense\n".to_vec()]
}

#[test]
fn a_signal_ends_a_server_that_nobody_reads_from() {
    for line in lines() {
        let (child, _stdin, _) = stalled(&line);
        let since = Instant::now();
        signal(child.id(), Signal::TERM);
        assert_ends(child, since);
    }
}

#[test]
fn the_end_of_input_ends_a_server_that_nobody_reads_from() {
    for line in lines() {
        let (child, stdin, _) = stalled(&line);
        let since = Instant::now();
        drop(stdin);
        assert_ends(child, since);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_that_nobody_reads_from_stops_reading_and_takes_little_memory() {
    let mut big = br#"{"jsonrpc":"2.0","id":"#.to_vec();
    big.extend_from_slice(br#""x","method":"ping","params":{"a":""#);
    big.resize(512 << 10, b'x');
    big.extend_from_slice(b"\"}}\n");
    for line in lines().into_iter().chain([big]) {
        let (mut child, _stdin, written) = stalled(&line);
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let peak_kib: usize = peak.trim().trim_end_matches(" kB").parse().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        println!("{written} bytes written, {peak_kib} KiB at most");
        assert!(peak_kib < 128 << 10, "{peak_kib} KiB after {written} bytes");
    }
}
