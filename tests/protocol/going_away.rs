//! Clients that go away without a word.

use std::io::{Read, Write};
use std::time::Instant;

use reference_gateway::{Fault, Gateway, What, When};
use rustix::process::Signal;
use serde_json::json;

use super::ending::{assert_child_ends, signal, spawn};
use super::{LEGACY, MODERN, ask, call, opened, sign_of_life, update};
use crate::support::{Start, initialize};

#[test]
fn a_client_that_closes_its_end_of_stdout_ends_the_server_even_if_nothing_is_to_be_written() {
    for under_way in [false, true] {
        let gateway = Gateway::start();
        let mut child = spawn(&Start::on(&gateway, "alice"));
        let mut stdin = child.stdin.take().unwrap();
        writeln!(stdin, "{}", sign_of_life(LEGACY, 1)).unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        if under_way {
            gateway.fault(Fault::new(When::any(), What::Silence));
            writeln!(stdin, "{}", update(MODERN, 2)).unwrap();
            gateway.wait_until("the call is under way", |gateway| gateway.requests().len() == 1);
        }

        let since = Instant::now();
        drop(child.stdout.take());

        // With a code: a signal would have ended it without one.
        assert_child_ends(&mut child, since);
        gateway.wait_until("its connection is closed", |gateway| gateway.open_connections() == 0);
    }
}

#[test]
fn sigpipe_is_no_matter() {
    for version in [LEGACY, MODERN] {
        let (_gateway, server) = opened(version);
        ask(&server, &sign_of_life(version, "started"));
        signal(server.id(), Signal::PIPE);
        assert!(ask(&server, &call(version, 1, "list_models", json!({})))["result"]["structuredContent"].is_object());
        server.close_stdin();
        assert!(server.wait().success());
    }
}

#[test]
fn a_client_that_vanishes_with_a_call_in_flight_takes_the_server_and_its_request_along() {
    for version in [LEGACY, MODERN] {
        let gateway = Gateway::start();
        gateway.fault(Fault::new(When::any(), What::Silence));
        let mut child = spawn(&Start::on(&gateway, "alice"));
        let mut stdin = child.stdin.take().unwrap();
        write!(stdin, "{}\n{}\n", initialize("2025-11-25"), update(version, 1)).unwrap();
        gateway.wait_until("the call is under way", |gateway| gateway.requests().len() == 1);

        let since = Instant::now();
        drop(child.stdout.take());
        drop(stdin);

        assert_child_ends(&mut child, since);
        gateway.wait_until("its connection is closed", |gateway| gateway.open_connections() == 0);
    }
}
