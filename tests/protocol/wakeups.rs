//! What a call costs the system.

use serde_json::json;

use super::{MODERN, ask, call, opened};
use crate::support::Server;

/// How often the server has written to a pipe, or to what wakes its own thread. What goes over sockets is not counted.
fn writes(server: &Server) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{}/io", server.id())).unwrap();
    let writes = io.lines().find_map(|line| line.strip_prefix("syscw: ")).unwrap();
    writes.parse().unwrap()
}

#[test]
fn a_call_writes_its_answer_and_does_not_wake_the_thread_that_it_runs_on() {
    let (_gateway, server) = opened(MODERN);
    let list = |id| ask(&server, &call(MODERN, id, "list_models", json!({})));
    (0..10).for_each(|id| drop(list(id)));

    let before = writes(&server);
    (10..210).for_each(|id| drop(list(id)));

    // The timer that calls stand behind is set anew about once a second: more often than that on no machine.
    let count = writes(&server) - before;
    assert!((200..=250).contains(&count), "{count} writes for 200 answers");
}
