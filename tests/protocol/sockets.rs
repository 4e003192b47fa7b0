//! The protocol over sockets: that is what clients on Node give a server for its standard streams, and what takes
//! other ways to be read and written than a pipe does.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use reference_gateway::{Fault, Gateway, What, When};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::ending::{assert_child_ends, signal};
#[cfg(target_os = "linux")]
use super::silent_client::assert_little_memory;
use super::silent_client::{floods, write_until_stalled};
use super::{LEGACY, MODERN, VERSIONS, Version, call, request, sign_of_life, update};
use crate::support::{PATIENCE, Start, initialize};

/// The longest line that is served.
const MOST: usize = 16 << 20;

/// A server between two sockets.
struct Server {
    child: Child,
    input: UnixStream,
    output: BufReader<UnixStream>,
}

impl Server {
    fn start(start: &Start) -> Self {
        let pair = || UnixStream::pair().unwrap();
        let ((input, stdin), (output, stdout)) = (pair(), pair());
        let [stdin, stdout] = [stdin, stdout].map(OwnedFd::from);
        let child = start.command().stdin(stdin).stdout(stdout).stderr(Stdio::null()).spawn().unwrap();
        output.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { child, input, output: BufReader::new(output) }
    }

    fn opened(start: &Start, version: Version) -> Self {
        let mut server = Self::start(start);
        if let Version::Legacy(version) = version {
            server.send(&initialize(version));
            assert_eq!(server.receive()["result"]["protocolVersion"], version);
        }
        server
    }

    fn send(&mut self, message: &Value) {
        self.send_text(format!("{message}\n"));
    }

    fn send_text(&mut self, text: impl AsRef<[u8]>) {
        self.input.write_all(text.as_ref()).unwrap();
    }

    fn receive(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "a whole line: {line:?}");
        serde_json::from_str(&line).unwrap()
    }

    fn ask(&mut self, message: &Value) -> Value {
        self.send(message);
        let answer = self.receive();
        assert_eq!(answer["id"], message["id"], "{answer}");
        answer
    }

    /// What it still writes until its end, which must be a good one, and soon.
    fn end(mut self, since: Instant) -> String {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        assert_child_ends(&mut self.child, since);
        rest
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// The ways in which clients end a server.
const ENDS: [fn(&Server); 4] = [
    |server| server.input.shutdown(Shutdown::Write).unwrap(),
    |server| server.input.shutdown(Shutdown::Both).unwrap(),
    |server| signal(server.child.id(), Signal::INT),
    |server| signal(server.child.id(), Signal::TERM),
];

#[test]
fn every_tool_is_there_and_lines_come_in_any_pieces() {
    let gateway = Gateway::start();
    for version in VERSIONS {
        let mut server = Server::opened(&Start::on(&gateway, "alice"), version);
        let tools = server.ask(&request(version, 1, "tools/list", json!({})));
        assert_eq!(tools["result"]["tools"].as_array().unwrap().len(), 4);
        let listed = server.ask(&call(version, 2, "list_models", json!({})));
        assert_eq!(listed["result"]["structuredContent"]["total"], 21);

        let (third, fourth) = (sign_of_life(version, 3).to_string(), sign_of_life(version, 4).to_string());
        third.as_bytes().chunks(1).for_each(|byte| server.send_text(byte));
        server.send_text(format!("\n{fourth}\r\n\n  \n{}", &fourth[..9]));
        assert_eq!([server.receive()["id"].clone(), server.receive()["id"].clone()], [3, 4]);
        server.send_text(&fourth[9..]);
        server.send_text("\n");
        assert_eq!(server.receive()["id"], 4);
    }
}

#[test]
fn what_is_no_message_is_refused_and_the_longest_line_is_served() {
    let mut server = Server::start(&Start::bare());
    for (line, id, code) in [
        (b"nonsense".to_vec(), Value::Null, -32700),
        (b"\xff".to_vec(), Value::Null, -32700),
        (b"[]".to_vec(), Value::Null, -32600),
        (br#"{"jsonrpc":"2.0","id":"a","method":"ping","params":{"#.to_vec(), json!("a"), -32700),
        (format!(r#"{{"id":"long","x":"{}"#, "x".repeat(MOST)).into_bytes(), json!("long"), -32600),
    ] {
        server.send_text([line.as_slice(), b"\n"].concat());
        let answer = server.receive();
        assert_eq!((answer.get("id").unwrap_or(&Value::Null), &answer["error"]["code"]), (&id, &json!(code)));
    }
    let ping = sign_of_life(LEGACY, 1).to_string();
    server.send_text(format!("{}{ping}\n", " ".repeat(MOST - ping.len())));
    assert_eq!(server.receive()["id"], 1);
}

#[test]
fn a_thousand_calls_at_once_are_each_answered_once() {
    let gateway = Gateway::start();
    let mut server = Server::opened(&Start::on(&gateway, "alice"), MODERN);
    let calls: String = (0..1000).map(|id| format!("{}\n", call(MODERN, id, "list_models", json!({})))).collect();
    let mut input = server.input.try_clone().unwrap();
    let writing = std::thread::spawn(move || input.write_all(calls.as_bytes()));
    let mut ids: Vec<_> = (0..1000).map(|_| server.receive()["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    assert!(ids.into_iter().eq(0..1000));
    writing.join().unwrap().unwrap();
}

#[test]
fn a_call_that_is_cancelled_is_broken_off() {
    let gateway = Gateway::start();
    gateway.fault(Fault::new(When::any(), What::Silence));
    let mut server = Server::opened(&Start::on(&gateway, "alice"), MODERN);
    server.send(&update(MODERN, "slow"));
    gateway.wait_until("the call is under way", |gateway| gateway.requests().len() == 1);
    let params = json!({ "requestId": "slow" });
    server.send(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params }));
    server.ask(&sign_of_life(MODERN, 1));
    gateway.wait_until("its connection is closed", |gateway| gateway.open_connections() == 0);
}

#[test]
fn half_a_line_before_the_end_is_refused_to_its_id() {
    let mut server = Server::start(&Start::bare());
    server.send_text(br#"{"jsonrpc":"2.0","id":"half","method":"tools/call","params":{"name":"list_mo"#);
    server.input.shutdown(Shutdown::Write).unwrap();
    let since = Instant::now();
    let answer = server.receive();
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!("half"), &json!(-32700)));
    assert_eq!(server.end(since), "");
}

#[test]
fn a_call_in_flight_at_the_end_is_answered_if_it_finishes_and_dropped_if_not() {
    for (end, what) in
        ENDS.into_iter().flat_map(|end| [(end, What::Delay(Duration::from_millis(300))), (end, What::Silence)])
    {
        let gateway = Gateway::start();
        let finishes = matches!(what, What::Delay(_));
        gateway.fault(Fault::new(When::any(), what));
        let mut server = Server::opened(&Start::on(&gateway, "alice"), MODERN);
        server.send(&update(MODERN, "slow"));
        gateway.wait_until("the call is under way", |gateway| gateway.requests().len() == 1);

        let since = Instant::now();
        end(&server);

        let said = server.end(since);
        assert_eq!(said.lines().count(), usize::from(finishes), "{said}");
        gateway.wait_until("its connection is closed", |gateway| gateway.open_connections() == 0);
    }
}

#[test]
fn a_client_that_closes_what_it_reads_or_vanishes_ends_the_server() {
    for vanishes in [false, true] {
        let gateway = Gateway::start();
        gateway.fault(Fault::new(When::any(), What::Silence));
        let mut server = Server::opened(&Start::on(&gateway, "alice"), LEGACY);
        server.send(&update(LEGACY, 1));
        gateway.wait_until("the call is under way", |gateway| gateway.requests().len() == 1);

        let since = Instant::now();
        server.output.get_ref().shutdown(Shutdown::Both).unwrap();
        if vanishes {
            server.input.shutdown(Shutdown::Both).unwrap();
        }

        assert_child_ends(&mut server.child, since);
        gateway.wait_until("its connection is closed", |gateway| gateway.open_connections() == 0);
    }
}

/// Does this with a server that each of the floods has stalled, all at the same time.
fn with_each_stalled(check: impl Fn(&mut Server, usize) + Sync) {
    let check = &check;
    std::thread::scope(|scope| {
        for flood in floods() {
            scope.spawn(move || {
                let mut server = Server::start(&Start::bare());
                let written = write_until_stalled(&server.input, &flood);
                check(&mut server, written);
            });
        }
    });
}

#[test]
fn a_server_that_nobody_reads_from_ends_by_a_signal_and_with_its_input() {
    for end in ENDS {
        with_each_stalled(|server, _| {
            let since = Instant::now();
            end(server);
            assert_child_ends(&mut server.child, since);
        });
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_that_nobody_reads_from_stops_reading_and_takes_little_memory() {
    with_each_stalled(|server, written| assert_little_memory(&mut server.child, written));
}
