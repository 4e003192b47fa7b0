//! `audit show --follow`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};

use crate::support::{PATIENCE, Start};

/// A follower of the file `log` in a directory, and the lines that it shows. Dropping it ends it.
struct Follower {
    start: Start,
    child: Child,
    lines: Receiver<String>,
}

impl Follower {
    fn start(content: &str) -> Self {
        let start = Start::bare().file("log", content).args(["audit", "show", "log", "--follow"]);
        let mut child = start.command().stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { start, child, lines }
    }

    fn append(&self, text: &str) {
        let mut file = fs::OpenOptions::new().append(true).open(self.start.path("log")).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// The file gets another name, and its own names another one, as a rotation does it.
    fn rotate(&self, content: &str) {
        let [log, next] = ["log", "log.next"].map(|name| self.start.path(name));
        fs::write(&next, content).unwrap();
        fs::hard_link(&log, self.start.path("log.000000000001")).unwrap();
        fs::rename(next, log).unwrap();
    }

    fn assert_shows(&self, text: &str) {
        let line = self.lines.recv_timeout(PATIENCE).expect("a line in time");
        assert!(line.contains(text), "`{text}` is not in: {line}");
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn record(seq: u64) -> String {
    format!("{{\"seq\":{seq},\"time\":\"t\",\"type\":\"tool.call\",\"gen_ai.tool.name\":\"tool-{seq}\"}}\n")
}

#[test]
fn a_followed_log_is_shown_as_it_grows_line_by_line() {
    let follower = Follower::start(&record(1));
    follower.assert_shows("tool-1");

    let two = record(2);
    follower.append(&two[..20]);
    follower.append(&two[20..]);

    follower.assert_shows("tool-2");
}

#[test]
fn a_followed_log_is_followed_into_the_next_file() {
    let follower = Follower::start(&record(1));
    follower.assert_shows("tool-1");

    follower.append(&record(2));
    follower.rotate(&record(3));
    follower.assert_shows("tool-2");
    follower.assert_shows("tool-3");

    follower.append(&record(4));
    follower.assert_shows("tool-4");
}
