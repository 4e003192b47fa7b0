//! How the process ends: the end of input, signals, and closed descriptors.

use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use reference_gateway::{Fault, Gateway, What, When};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value, json};

use super::{LEGACY, MODERN, VERSIONS, ask, call, opened, opened_with, request, sign_of_life, start_call, update};
use crate::support::{PATIENCE, Server, Start, initialize};

/// How soon the process has to end.
pub(super) const SOON: Duration = Duration::from_secs(2);

pub(super) fn signal(process: u32, signal: Signal) {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(process, signal).expect("the process is there");
}

/// Waits for the end, which must be a good one, and soon after `since`.
fn assert_ends(server: &Server, since: Instant) {
    let status = server.wait();
    let taken = since.elapsed();
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(taken < SOON, "it took {taken:?}");
}

/// Waits for a good end soon after `since`, and gives what was on stdout if that is still to be read. A process that
/// does not end is killed: the test fails, it does not hang.
pub(super) fn assert_child_ends(child: &mut Child, since: Instant) -> Vec<u8> {
    let stdout = child.stdout.take();
    let reading = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stdout.map(|mut stdout| stdout.read_to_end(&mut bytes)).transpose().map(|_| bytes)
    });
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if since.elapsed() > PATIENCE {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let taken = since.elapsed();
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(taken < SOON, "it took {taken:?}");
    reading.join().unwrap().unwrap()
}

/// Ends a server in one of the ways in which clients do.
const ENDS: [fn(&Server); 3] =
    [Server::close_stdin, |server| signal(server.id(), Signal::INT), |server| signal(server.id(), Signal::TERM)];

/// A server that waits for a key that does not come, and the process that is asked for it.
fn waiting_for_a_key() -> (Start, impl Fn(&Start) -> Pid) {
    let start = Start::bare().file("ask", "echo $$ > asked; exec sleep 60").args(["--api-key-command", "sh ask"]);
    let asked = |start: &Start| {
        let patience = Instant::now() + PATIENCE;
        loop {
            let asked = std::fs::read_to_string(start.path("asked")).unwrap_or_default();
            if let Some(id) = asked.strip_suffix('\n') {
                return id.parse().ok().and_then(Pid::from_raw).expect("a process id");
            }
            assert!(Instant::now() < patience, "nobody is asked for the key");
            std::thread::sleep(Duration::from_millis(2));
        }
    };
    (start, asked)
}

#[test]
fn a_server_that_waits_for_its_key_ends_with_the_command_as_soon_as_nobody_wants_it() {
    for end in ENDS {
        let (start, asked) = waiting_for_a_key();
        let server = start.serve();
        let command = asked(server.settings());

        let since = Instant::now();
        end(&server);

        assert_ends(&server, since);
        assert!(test_kill_process(command).is_err(), "nobody ends the command");
    }
}

#[test]
fn a_server_that_waits_for_its_key_ends_when_its_client_vanishes_whatever_that_has_sent() {
    let (start, asked) = waiting_for_a_key();
    let mut child = spawn(&start);
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{}", initialize("2025-11-25")).unwrap();
    let command = asked(&start);

    let since = Instant::now();
    drop(stdin);
    drop(child.stdout.take());

    assert_child_ends(&mut child, since);
    assert!(test_kill_process(command).is_err(), "nobody ends the command");
}

#[test]
fn what_was_sent_before_the_key_was_there_is_answered_even_if_the_input_has_ended() {
    let command = "sh -c 'sleep 0.4; echo ak_0123456789ab0123456789ab0123456789ab0123456789ab'";
    for version in VERSIONS {
        let server = Start::bare().args(["--api-key-command", command]).serve();
        server.send(&request(version, 1, if version == MODERN { "server/discover" } else { "ping" }, json!({})));
        server.close_stdin();
        assert_eq!(server.receive()["id"], 1);
        assert_eq!(server.wait().code(), Some(0));
    }
}

#[test]
fn an_idle_server_ends_at_once() {
    for end in ENDS {
        for version in [LEGACY, MODERN] {
            let (_gateway, server) = opened(version);
            ask(&server, &call(version, 1, "list_models", json!({})));

            let since = Instant::now();
            end(&server);

            assert_ends(&server, since);
            assert!(since.elapsed() < Duration::from_secs(1), "it waited for nothing");
            assert_eq!(server.try_receive(SOON), None, "nothing more was written");
        }
    }
}

#[test]
fn a_server_that_was_never_spoken_to_ends_as_well() {
    for end in ENDS {
        let server = Start::bare().serve();
        server.wait_for_stderr("API key");
        // Signals are listened to from when it serves; a ping shows that.
        ask(&server, &sign_of_life(LEGACY, 1));
        let since = Instant::now();
        end(&server);
        assert_ends(&server, since);
    }
    let ran = Start::bare().run();
    assert!(ran.status.success() && ran.stdout.is_empty(), "{ran:?}");
}

#[test]
fn a_call_in_flight_that_finishes_in_time_is_answered() {
    for end in ENDS {
        for version in [LEGACY, MODERN] {
            let (gateway, server) = opened(version);
            start_call(&gateway, &server, &update(version, "slow"), What::Delay(Duration::from_millis(600)));

            let since = Instant::now();
            end(&server);

            let answer = server.receive();
            assert_eq!(answer["id"], "slow");
            assert!(answer["result"]["structuredContent"].is_object(), "{answer}");
            assert_ends(&server, since);
        }
    }
}

#[test]
fn a_call_in_flight_that_does_not_finish_does_not_keep_the_process() {
    std::thread::scope(|scope| {
        for (end, version) in ENDS.into_iter().flat_map(|end| [LEGACY, MODERN].map(|version| (end, version))) {
            scope.spawn(move || {
                let (gateway, server) = opened(version);
                start_call(&gateway, &server, &update(version, "slow"), What::Silence);

                let since = Instant::now();
                end(&server);

                assert_ends(&server, since);
                assert_eq!(server.try_receive(SOON), None);
                gateway.wait_until("its connection is closed", |gateway| gateway.open_connections() == 0);
            });
        }
    });
}

#[test]
fn nothing_is_read_after_a_signal() {
    let (gateway, server) = opened(LEGACY);
    start_call(&gateway, &server, &update(LEGACY, "slow"), What::Silence);
    signal(server.id(), Signal::TERM);
    gateway.close_connections();
    assert_eq!(server.receive()["id"], "slow");
    server.send(&sign_of_life(LEGACY, 1));
    assert_eq!(server.try_receive(SOON), None);
    assert!(server.wait().success());
}

#[test]
fn two_signals_in_a_row_are_one_wish() {
    let (gateway, server) = opened(MODERN);
    start_call(&gateway, &server, &update(MODERN, "slow"), What::Delay(Duration::from_millis(500)));
    let since = Instant::now();
    signal(server.id(), Signal::INT);
    std::thread::sleep(Duration::from_millis(100));
    signal(server.id(), Signal::TERM);
    assert_eq!(server.receive()["id"], "slow", "the call in flight still gets its time");
    assert_ends(&server, since);
}

#[test]
fn a_third_signal_ends_the_server_at_once() {
    let gateway = Gateway::start();
    gateway.fault(Fault::new(When::any(), What::Silence));
    let mut child = spawn(&Start::on(&gateway, "alice"));
    writeln!(child.stdin.as_mut().unwrap(), "{}", update(MODERN, 1)).unwrap();
    gateway.wait_until("the call is under way", |gateway| gateway.requests().len() == 1);

    let since = Instant::now();
    // More than three, as two of a kind may be taken for one.
    while child.try_wait().unwrap().is_none() && since.elapsed() < PATIENCE {
        signal(child.id(), Signal::TERM);
        std::thread::sleep(Duration::from_millis(20));
    }

    assert!(since.elapsed() < Duration::from_secs(1), "the call in flight was waited for");
    assert_eq!(assert_child_ends(&mut child, since), b"");
}

#[test]
fn requests_before_the_end_of_input_are_all_answered_in_whole_lines() {
    let gateway = Gateway::start();
    let mut lines = format!("{}\n", initialize("2025-11-25"));
    for id in 0..60 {
        let request = match id % 2 {
            0 => request(LEGACY, id, "tools/list", json!({})),
            _ => call(LEGACY, id, "list_models", json!({})),
        };
        lines += &format!("{request}\n");
    }
    let mut child = spawn(&Start::on(&gateway, "alice"));
    let mut stdin = child.stdin.take().unwrap();
    let writing = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));

    let stdout = child.stdout.as_mut().unwrap();
    let mut text = String::new();
    stdout.read_to_string(&mut text).unwrap();

    writing.join().unwrap().unwrap();
    assert_child_ends(&mut child, Instant::now());
    assert!(text.ends_with('\n'));
    let answers: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 61);
    assert!(answers.iter().all(|answer| answer.get("result").is_some()));
}

#[test]
fn a_server_that_is_stopped_while_it_writes_leaves_no_half_line() {
    let start = Start::bare();
    for (pause, wish) in [1, 5, 20, 50].into_iter().flat_map(|pause| [(pause, Signal::INT), (pause, Signal::TERM)]) {
        let mut child = spawn(&start);
        let mut stdin = child.stdin.take().unwrap();
        let id = child.id();
        let writing = std::thread::spawn(move || {
            let list = format!("{}\n", request(MODERN, 1, "tools/list", json!({})));
            while stdin.write_all(list.as_bytes()).is_ok() {}
        });
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        std::thread::sleep(Duration::from_millis(pause));

        let since = Instant::now();
        signal(id, wish);

        let text = assert_child_ends(&mut child, since);
        writing.join().unwrap();
        assert_eq!(text.last(), Some(&b'\n'), "half a line of {} bytes", text.len());
    }
}

pub(super) fn spawn(start: &Start) -> Child {
    let mut command = start.command();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_closed_stderr_is_no_matter() {
    let gateway = Gateway::start();
    let (nobody_reads, stderr) = std::io::pipe().unwrap();
    drop(nobody_reads);
    let start = Start::on(&gateway, "alice").args(["--log-level", "debug"]);
    let mut command = start.command();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{}", call(MODERN, 1, "list_models", json!({}))).unwrap();
    drop(stdin);

    let stdout = assert_child_ends(&mut child, Instant::now());

    let answer: Value = serde_json::from_slice(&stdout).unwrap();
    assert!(answer["result"]["structuredContent"].is_object(), "{answer}");
}

#[cfg(target_os = "linux")]
#[test]
fn descriptor_1_is_stderr_so_that_a_stray_print_cannot_break_the_stream() {
    let server = Start::bare().serve();
    ask(&server, &sign_of_life(LEGACY, 1));
    let target = |descriptor: u32| std::fs::read_link(format!("/proc/{}/fd/{descriptor}", server.id())).unwrap();
    assert_eq!(target(1), target(2));
    assert_ne!(target(1), target(0));
}

#[test]
fn a_wrong_start_is_an_exit_code_and_a_line_on_stderr() {
    let ran = Start::bare().env("AIGATEWAY_URL", "no url").run();
    assert_eq!(ran.status.code(), Some(1));
    assert!(ran.stdout.is_empty() && ran.stderr.contains("AIGATEWAY_URL"), "{ran:?}");
    let ran = Start::bare().arg("--no-such-flag").run();
    assert_eq!(ran.status.code(), Some(2));
    assert!(ran.stdout.is_empty(), "{ran:?}");
}

/// An instance's memories are reserved at the start of a pool of them: address space that is never used.
#[cfg(target_os = "linux")]
#[test]
fn a_component_that_cannot_be_loaded_is_told_to_whoever_asks_for_tools_and_by_the_exit_code() {
    for version in [LEGACY, MODERN] {
        let server = opened_with(Start::bare().after("ulimit -v 4000000"), version);
        for method in ["tools/list", "tools/call"] {
            let answer = ask(&server, &request(version, 1, method, json!({ "name": "list_models" })));
            assert_eq!(answer["error"]["code"], -32603, "{answer}");
            assert!(answer["error"]["message"].as_str().unwrap().starts_with("there are no tools: "), "{answer}");
        }
        assert!(ask(&server, &sign_of_life(version, 2))["result"].is_object());
        server.close_stdin();
        assert_eq!(server.wait().code(), Some(1));
    }
    let ran = Start::bare().args(["--audit-log", "a.jsonl"]).after("ulimit -v 4000000").run();
    assert_eq!(ran.status.code(), Some(1), "what has to be known at the start is known then: {ran:?}");
}
