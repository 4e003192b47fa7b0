//! The server as a child process, and every call that is under way.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use reference_gateway::Gateway;
use serde_json::{Value, json};

/// A gateway that does not answer costs a second, and not ten.
const LIMITS: &str = "[limits]\nrequest_seconds = 1\ncall_seconds = 20\n";
const GRANTS: &str = include_str!("../../host/grants/aigateway.toml");

/// How long any answer may take: a call's deadline, and a little for a busy machine.
const DEADLINE: Duration = Duration::from_secs(25);

/// How long the server may take to end once its input has ended.
const LAST: Duration = Duration::from_secs(2);

/// A session with the server.
pub(crate) struct Session {
    child: Mutex<Child>,
    stdin: Mutex<Option<ChildStdin>>,
    calls: Arc<Mutex<Calls>>,
    next: AtomicU64,
}

/// What is known of the calls so far.
#[derive(Default)]
pub(crate) struct Calls {
    waiting: HashMap<u64, Sender<Value>>,
    cancelled: HashSet<u64>,
    /// How many were made, answered, and cancelled without an answer so far.
    pub(crate) made: u64,
    pub(crate) answered: u64,
    /// How often progress was told.
    pub(crate) told: u64,
    /// What must not happen.
    pub(crate) wrong: Vec<String>,
}

/// A call that is under way.
pub(crate) struct Call {
    id: u64,
    answer: Receiver<Value>,
}

impl Session {
    /// Starts the server in this folder, for the gateway, with alice's key.
    pub(crate) fn start(server: &Path, gateway: &Gateway, folder: &Path) -> Result<Self> {
        let grants = folder.join("grants.toml");
        std::fs::write(&grants, format!("{GRANTS}\n{LIMITS}"))?;
        let mut child = Command::new(server)
            .args(["--log-level", "error", "--grants"])
            .arg(&grants)
            .current_dir(folder)
            .env_clear()
            .env("AIGATEWAY_URL", gateway.url())
            .env("AIGATEWAY_API_KEY", gateway.key("alice"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start `{}`", server.display()))?;
        let stdin = Mutex::new(child.stdin.take());
        let stdout = BufReader::new(child.stdout.take().context("stdout is piped")?);
        let calls = Arc::<Mutex<Calls>>::default();
        let read = Arc::clone(&calls);
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).for_each(|line| lock(&read).read(&line)));
        let session = Self { child: Mutex::new(child), stdin, calls, next: AtomicU64::new(0) };
        // From now on there are requests of both eras.
        let client = json!({ "name": "soak", "version": "1" });
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
        session.answer(&session.ask("initialize", params)?)?;
        Ok(session)
    }

    /// The process's id.
    pub(crate) fn id(&self) -> u32 {
        lock(&self.child).id()
    }

    /// What is known of the calls.
    pub(crate) fn calls(&self) -> MutexGuard<'_, Calls> {
        lock(&self.calls)
    }

    /// Calls a tool, in one era after the other, and with progress to be told.
    pub(crate) fn call(&self, tool: &str, arguments: &Value) -> Result<Call> {
        self.ask("tools/call", json!({ "name": tool, "arguments": arguments }))
    }

    fn ask(&self, method: &str, mut params: Value) -> Result<Call> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = channel();
        let mut calls = self.calls();
        calls.made += 1;
        calls.waiting.insert(id, sender);
        drop(calls);
        if id % 2 == 1 {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {}
            });
        }
        if id % 3 == 1 {
            params["_meta"]["progressToken"] = id.into();
        }
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))?;
        Ok(Call { id, answer })
    }

    /// Waits for the answer to a call.
    pub(crate) fn answer(&self, call: &Call) -> Result<Value> {
        call.answer.recv_timeout(DEADLINE).with_context(|| format!("call {} has no answer in time", call.id))
    }

    /// Cancels a call, unless it is answered within this time: then that is its answer.
    pub(crate) fn cancel(&self, call: &Call, after: Duration) -> Result<Option<Value>> {
        if let Ok(answer) = call.answer.recv_timeout(after) {
            return Ok(Some(answer));
        }
        let mut calls = self.calls();
        let is_waiting = calls.waiting.remove(&call.id).is_some();
        if is_waiting {
            calls.cancelled.insert(call.id);
        }
        drop(calls);
        if !is_waiting {
            return self.answer(call).map(Some);
        }
        let params = json!({ "requestId": call.id });
        self.send(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params }))?;
        Ok(None)
    }

    fn send(&self, message: &Value) -> Result<()> {
        let mut stdin = lock(&self.stdin);
        let stdin = stdin.as_mut().context("the input has ended")?;
        stdin.write_all(format!("{message}\n").as_bytes()).context("the server is gone")
    }

    /// Ends the input, and waits until the server has ended well.
    pub(crate) fn end(&self) -> Result<()> {
        lock(&self.stdin).take();
        let start = Instant::now();
        while start.elapsed() < LAST {
            if let Some(status) = lock(&self.child).try_wait()? {
                ensure!(status.success(), "the server ended with {status}");
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("the server does not end");
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        _ = child.kill();
        _ = child.wait();
    }
}

impl Calls {
    /// A line of the server: the answer to exactly one call, or its progress before that.
    fn read(&mut self, line: &str) {
        let answer: Value = serde_json::from_str(line).unwrap_or_default();
        if answer["method"] == "notifications/progress" {
            let token = answer["params"]["progressToken"].as_u64().unwrap_or(u64::MAX);
            if token % 3 != 1 || !(self.waiting.contains_key(&token) || self.cancelled.contains(&token)) {
                self.wrong.push(format!("progress of no call: {line}"));
            }
            self.told += 1;
            return;
        }
        let id = answer["id"].as_u64().unwrap_or(u64::MAX);
        if let Some(sender) = self.waiting.remove(&id) {
            self.answered += 1;
            // Whoever gave up waiting says so.
            _ = sender.send(answer);
        } else if !self.cancelled.remove(&id) {
            self.wrong.push(format!("an answer to no call, or the second one: {line}"));
        }
    }

    /// How many calls were cancelled before their answer.
    pub(crate) fn cancelled(&self) -> u64 {
        self.made - self.answered - self.waiting.len() as u64
    }

    /// How many are still to be answered.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
