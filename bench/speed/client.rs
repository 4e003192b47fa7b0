//! An MCP client over a pipe, as thin as one can be: what it measures is the server.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

/// How a server is started: with nothing of this process's environment but what is given.
#[derive(Clone)]
pub(crate) struct Program {
    /// The binary.
    pub(crate) path: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<OsString>,
    /// Its environment.
    pub(crate) environment: Vec<(String, String)>,
}

impl Program {
    /// The same with more arguments.
    pub(crate) fn with(&self, arguments: &[&str]) -> Self {
        let mut program = self.clone();
        program.arguments.extend(arguments.iter().map(OsString::from));
        program
    }
}

/// A tool and its arguments, the same in each call.
#[derive(Clone)]
pub(crate) struct Call {
    /// The tool's name.
    pub(crate) tool: String,
    /// An object.
    pub(crate) arguments: Value,
}

/// A running server, and a client of it.
pub(crate) struct Client {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    line: String,
    next: u64,
}

/// What is read of an answer; the rest of it is skipped.
#[derive(Deserialize)]
struct Answer {
    id: Option<u64>,
    result: Option<Ending>,
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Ending {
    #[serde(rename = "isError")]
    is_error: Option<bool>,
}

impl Client {
    /// Starts a server and opens the session.
    pub(crate) fn start(program: &Program) -> Result<Self> {
        Ok(Self::start_timed(program)?.0)
    }

    /// Starts a server, and tells how long it took from its start to its first answer.
    pub(crate) fn start_timed(program: &Program) -> Result<(Self, Duration)> {
        let started = Instant::now();
        let mut child = Command::new(&program.path)
            .args(&program.arguments)
            .env_clear()
            .envs(program.environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start `{}`", program.path.display()))?;
        let input = child.stdin.take().context("stdin is piped")?;
        let output = BufReader::with_capacity(1 << 20, child.stdout.take().context("stdout is piped")?);
        let mut client = Self { child, input, output, line: String::new(), next: 1 };
        client.send(&json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "speed", "version": "1" }
        } }))?;
        client.receive()?;
        let took = started.elapsed();
        client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))?;
        Ok((client, took))
    }

    /// The server's process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn send(&mut self, message: &Value) -> Result<()> {
        self.send_line(&format!("{message}\n"))
    }

    fn send_line(&mut self, line: &str) -> Result<()> {
        self.input.write_all(line.as_bytes()).context("the server does not read any more")
    }

    /// Waits for an answer, and gives its request's id.
    fn receive(&mut self) -> Result<u64> {
        let (id, failed) = self.receive_any()?;
        ensure!(!failed, "a call failed: {}", self.line.trim_end());
        Ok(id)
    }

    /// The id of an answer, and whether it is a failure.
    fn receive_any(&mut self) -> Result<(u64, bool)> {
        loop {
            self.line.clear();
            ensure!(self.output.read_line(&mut self.line)? > 0, "the server ended");
            let answer: Answer = serde_json::from_str(&self.line)?;
            let failed = answer.error.is_some() || answer.result.is_some_and(|result| result.is_error == Some(true));
            // Without an id it is a notification.
            if let Some(id) = answer.id {
                return Ok((id, failed));
            }
        }
    }

    fn request(&mut self, call: &Call) -> (u64, String) {
        let id = self.next;
        self.next += 1;
        let params = json!({ "name": call.tool, "arguments": call.arguments });
        (id, format!("{}\n", json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })))
    }

    /// Makes one call, and tells how long its answer took.
    pub(crate) fn call(&mut self, call: &Call) -> Result<Duration> {
        let (id, line) = self.request(call);
        let started = Instant::now();
        self.send_line(&line)?;
        let answered = self.receive()?;
        let took = started.elapsed();
        ensure!(answered == id, "the answer to {id} was to come, not that to {answered}");
        Ok(took)
    }

    /// Makes calls one after the other.
    pub(crate) fn one_at_a_time(&mut self, call: &Call, count: usize) -> Result<Vec<Duration>> {
        (0..count).map(|_| self.call(call)).collect()
    }

    /// Makes calls that fail, one after the other.
    pub(crate) fn refused(&mut self, call: &Call, count: usize) -> Result<()> {
        for _ in 0..count {
            let (id, line) = self.request(call);
            self.send_line(&line)?;
            ensure!(self.receive_any()? == (id, true), "a call was to fail: {}", self.line.trim_end());
        }
        Ok(())
    }

    /// Makes calls, so many at a time, and tells how long all of them took.
    pub(crate) fn at_once(&mut self, call: &Call, count: usize, width: usize) -> Result<Duration> {
        let started = Instant::now();
        let (mut open, mut left) = (HashMap::new(), count);
        while left > 0 || !open.is_empty() {
            while left > 0 && open.len() < width {
                let (id, line) = self.request(call);
                self.send_line(&line)?;
                open.insert(id, ());
                left -= 1;
            }
            let answered = self.receive()?;
            ensure!(open.remove(&answered).is_some(), "{answered} was answered twice");
        }
        Ok(started.elapsed())
    }

    /// Starts a call that is slow, waits until it is under way, then makes others, and tells how long those took: pings
    /// and calls.
    pub(crate) fn beside(
        &mut self,
        call: &Call,
        count: usize,
        wait_for_the_slow_one: impl FnOnce(),
    ) -> Result<(Vec<Duration>, Vec<Duration>)> {
        let (slow_id, line) = self.request(call);
        self.send_line(&line)?;
        wait_for_the_slow_one();
        let calls = self.one_at_a_time(call, count)?;
        let pings = (0..count).map(|_| self.ping()).collect::<Result<Vec<_>>>()?;
        ensure!(self.receive()? == slow_id, "the slow call was to be answered last");
        Ok((pings, calls))
    }

    /// Asks whether the server is there, and tells how long the answer took.
    pub(crate) fn ping(&mut self) -> Result<Duration> {
        let id = self.next;
        self.next += 1;
        let started = Instant::now();
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": "ping" }))?;
        match self.receive()? {
            answered if answered == id => Ok(started.elapsed()),
            answered => bail!("the ping {id} was to be answered, not {answered}"),
        }
    }

    /// Ends the input, and waits for the server's end.
    pub(crate) fn end(self) -> Result<()> {
        let Self { mut child, input, .. } = self;
        drop(input);
        let status = child.wait()?;
        ensure!(status.success(), "the server ended with {status}");
        Ok(())
    }
}
