//! What a server leaves behind, and who it is left by: as Linux shows it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reference_gateway::{Fault, Gateway, What, When};
use rustix::process::{Pid, WaitOptions, getpid, set_child_subreaper, waitpid};

use super::ending::SOON;
use super::{LEGACY, MODERN, ask, sign_of_life, update};
use crate::support::{PATIENCE, Start, initialize};

/// Starts a server as its parent, sends it some lines, reads one, and waits to be killed.
const PARENT: &str = r#"
    mkfifo to from
    "$0" <to >from 2>/dev/null &
    echo $!
    exec 3>to 4<from
    printf '%s\n' "$LINES" >&3
    read -r answer <&4
    echo "$answer"
    read killed
"#;

/// A parent with a server, and the server's process id.
fn parent(start: &Start, lines: &str) -> (Child, Pid) {
    let server = start.command();
    let mut command = Command::new("sh");
    command.args(["-c", PARENT]).arg(server.get_program()).current_dir(server.get_current_dir().unwrap());
    for (name, value) in server.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let mut parent =
        command.env("LINES", lines).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("there is a shell");
    let mut said = BufReader::new(parent.stdout.take().unwrap()).lines().map_while(Result::ok);
    let id = said.next().and_then(|id| Pid::from_raw(id.parse().ok()?)).expect("a process id");
    assert!(said.next().is_some_and(|answer| answer.contains("protocolVersion")), "it serves");
    (parent, id)
}

#[test]
fn a_server_whose_parent_is_killed_ends_with_its_call_and_a_good_exit_code() {
    // The orphans come here, so that how they end can be seen.
    set_child_subreaper(Some(getpid())).unwrap();
    for under_way in [false, true] {
        let gateway = Gateway::start();
        gateway.fault(Fault::new(When::any(), What::Silence));
        let call = if under_way { update(MODERN, 1).to_string() } else { String::new() };
        let start = Start::on(&gateway, "alice");
        let (mut parent, server) = parent(&start, &format!("{}\n{call}", initialize("2025-11-25")));
        gateway.wait_until("the call is under way", |gateway| gateway.requests().len() == usize::from(under_way));

        let since = Instant::now();
        parent.kill().unwrap();
        parent.wait().unwrap();

        let status = loop {
            match waitpid(Some(server), WaitOptions::NOHANG).unwrap() {
                Some((_, status)) => break status,
                None => assert!(since.elapsed() < PATIENCE, "it does not end"),
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        assert_eq!(status.exit_status(), Some(0));
        assert!(since.elapsed() < SOON, "it took {:?}", since.elapsed());
        gateway.wait_until("its connection is closed", |gateway| gateway.open_connections() == 0);
    }
}

#[test]
fn the_command_that_brings_a_key_leaves_no_zombie() {
    let start = Start::bare().args(["--api-key-command", "echo ak_0123456789ab0123456789ab0123456789ab0123456789ab"]);
    let server = start.serve();
    ask(&server, &sign_of_life(LEGACY, 1));
    let children = format!("/proc/{0}/task/{0}/children", server.id());
    assert_eq!(std::fs::read_to_string(children).unwrap(), "");
}
