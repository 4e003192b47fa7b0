//! What the tests share: the server as a child process with a clean environment, and a client of either era.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reference_gateway::Gateway;
use serde_json::{Map, Value, json};

pub(crate) mod form;
pub(crate) mod grants;
pub(crate) mod long_log;

/// How long a test waits for what must come: far longer than it takes, and short enough to be told.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The eras of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Era {
    /// `initialize`, then bare requests.
    Legacy,
    /// No handshake; each request brings its metadata.
    Modern,
}

pub(crate) const ERAS: [Era; 2] = [Era::Legacy, Era::Modern];

/// How to start the program: with nothing from the environment that the tests run in.
pub(crate) struct Start {
    directory: tempfile::TempDir,
    arguments: Vec<String>,
    environment: HashMap<String, String>,
    /// Shell commands that come before it, in the same process.
    prelude: Option<String>,
}

impl Start {
    /// In an empty directory, without a gateway and without a key.
    pub(crate) fn bare() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self { directory, arguments: Vec::new(), environment: HashMap::new(), prelude: None }
    }

    /// For a gateway, with the key of one of its users.
    pub(crate) fn on(gateway: &Gateway, user: &str) -> Self {
        Self::bare().env("AIGATEWAY_URL", gateway.url()).env("AIGATEWAY_API_KEY", gateway.key(user))
    }

    pub(crate) fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub(crate) fn args<const N: usize>(mut self, arguments: [&str; N]) -> Self {
        self.arguments.extend(arguments.map(str::to_owned));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.environment.remove(name);
        self
    }

    /// Runs shell commands first, in the process that becomes the program's.
    pub(crate) fn after(mut self, prelude: &str) -> Self {
        self.prelude = Some(prelude.to_owned());
        self
    }

    /// Writes a file into the working directory.
    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.path(name), content).expect("the temporary directory is writable");
        self
    }

    /// A path in the working directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The program with these settings, not yet started.
    pub(crate) fn command(&self) -> Command {
        let program = env!("CARGO_BIN_EXE_aigateway-mcp");
        let mut command = Command::new(if self.prelude.is_some() { "sh" } else { program });
        if let Some(prelude) = &self.prelude {
            command.args(["-c", &format!("{prelude}; exec \"$0\" \"$@\""), program]);
        }
        command.args(&self.arguments).current_dir(self.directory.path()).env_clear().envs(&self.environment);
        command
    }

    /// Runs it to its end, with nothing on stdin.
    pub(crate) fn run(&self) -> Ran {
        self.command().stdin(Stdio::null()).output().expect("the program runs").into()
    }

    /// Starts it as a server.
    pub(crate) fn serve(self) -> Server {
        Server::start(self)
    }

    /// Starts it as a server and opens it as a client of this era does.
    pub(crate) fn connect(self, era: Era) -> Client {
        let server = self.serve();
        if era == Era::Legacy {
            server.send(&initialize("2025-11-25"));
            server.receive();
            server.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        }
        Client { server, era, next: 1 }
    }
}

/// The handshake of the older versions.
pub(crate) fn initialize(version: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": "init", "method": "initialize", "params": {
        "protocolVersion": version, "capabilities": {}, "clientInfo": { "name": "tests", "version": "1" }
    } })
}

/// The metadata that a request of the modern era brings.
pub(crate) fn modern_meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": { "name": "tests", "version": "1" }
    })
}

/// What a program printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("what is printed is UTF-8");
        Self { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Ran {
    /// What it printed on stdout, as JSON; it must have succeeded.
    pub(crate) fn json(&self) -> Value {
        assert!(self.status.success(), "{self:?}");
        serde_json::from_str(&self.stdout).expect("stdout is JSON")
    }
}

/// A running server, line by line. Dropping it kills it; if a test fails, what it said on stderr is shown.
pub(crate) struct Server {
    start: Start,
    child: Mutex<Child>,
    stdin: Mutex<Option<ChildStdin>>,
    lines: Mutex<Receiver<String>>,
    stderr: Arc<Mutex<String>>,
}

impl Server {
    fn start(start: Start) -> Self {
        let mut child = start
            .command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let stdin = Mutex::new(child.stdin.take());
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let stderr = Arc::<Mutex<String>>::default();
        let mut pipe = child.stderr.take().expect("stderr is piped");
        let said = stderr.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                said.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        });
        Self { start, child: Mutex::new(child), stdin, lines: Mutex::new(lines), stderr }
    }

    /// The process's id.
    pub(crate) fn id(&self) -> u32 {
        self.child.lock().unwrap().id()
    }

    /// How it was started.
    pub(crate) fn settings(&self) -> &Start {
        &self.start
    }

    /// A path in its working directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.start.path(name)
    }

    /// How often its threads have waited for something.
    #[cfg(target_os = "linux")]
    pub(crate) fn context_switches(&self) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.id())).expect("the server runs");
        let switches = |task: std::io::Result<std::fs::DirEntry>| {
            let status = std::fs::read_to_string(task.ok()?.path().join("status")).ok()?;
            status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?.trim().parse::<u64>().ok()
        };
        tasks.filter_map(switches).sum()
    }

    /// Sends a message.
    pub(crate) fn send(&self, message: &Value) {
        self.send_bytes(format!("{message}\n").as_bytes());
    }

    /// Sends bytes as they are. A server that is gone does not read them: that shows in what it answers.
    pub(crate) fn send_bytes(&self, bytes: &[u8]) {
        let mut stdin = self.stdin.lock().unwrap();
        let stdin = stdin.as_mut().expect("stdin is open");
        _ = stdin.write_all(bytes).and_then(|()| stdin.flush());
    }

    /// The next line that it writes.
    pub(crate) fn receive(&self) -> Value {
        self.try_receive(PATIENCE).expect("an answer in time")
    }

    /// The next line that it writes within this time, if there is one.
    pub(crate) fn try_receive(&self, patience: Duration) -> Option<Value> {
        match self.lines.lock().unwrap().recv_timeout(patience) {
            Ok(line) => Some(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }

    /// Sends a request and waits for its answer; answers to others must not come in between.
    pub(crate) fn ask(&self, request: &Value) -> Value {
        self.send(request);
        let answer = self.receive();
        assert_eq!(answer["id"], request["id"], "{answer}");
        answer
    }

    /// Ends its input.
    pub(crate) fn close_stdin(&self) {
        self.stdin.lock().unwrap().take();
    }

    /// Waits for its end.
    pub(crate) fn wait(&self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.lock().unwrap().try_wait().expect("the child can be waited for") {
                return status;
            }
            assert!(Instant::now() < deadline, "the server does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// What it said on stderr so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// Waits until it has said this on stderr.
    pub(crate) fn wait_for_stderr(&self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = self.stderr();
            if said.contains(text) {
                return said;
            }
            assert!(Instant::now() < deadline, "`{text}` is not on stderr: {said}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap();
        _ = child.kill();
        _ = child.wait();
        if std::thread::panicking() {
            eprintln!("--- the server's stderr:\n{}---", self.stderr());
        }
    }
}

/// A client of one era.
pub(crate) struct Client {
    pub(crate) server: Server,
    pub(crate) era: Era,
    next: u64,
}

/// How a tool call ended.
#[derive(Debug)]
pub(crate) struct Called {
    /// The whole result.
    pub(crate) result: Value,
}

impl Called {
    /// The structured answer of a call that succeeded; its text must be the same JSON.
    pub(crate) fn answer(&self) -> Value {
        assert_ne!(self.result["isError"], true, "{}", self.result);
        let answer = self.result["structuredContent"].clone();
        assert_eq!(serde_json::from_str::<Value>(self.text()).expect("the text is JSON"), answer);
        answer
    }

    /// The message of a call that failed, after `Error: `.
    pub(crate) fn failure(&self) -> &str {
        assert_eq!(self.result["isError"], true, "{}", self.result);
        assert!(self.result.get("structuredContent").is_none(), "{}", self.result);
        let failure = self.text().strip_prefix("Error: ").expect("a failure begins with `Error: `");
        form::assert_form(failure);
        failure
    }

    fn text(&self) -> &str {
        self.result["content"][0]["text"].as_str().expect("there is a text")
    }
}

impl Client {
    /// A request of this era, with an id of its own.
    pub(crate) fn request(&mut self, method: &str, params: Value) -> Value {
        let mut params = if params.is_null() { json!({}) } else { params };
        if self.era == Era::Modern {
            params["_meta"] = modern_meta();
        }
        self.next += 1;
        json!({ "jsonrpc": "2.0", "id": self.next, "method": method, "params": params })
    }

    /// Makes a request and waits for its answer.
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> Value {
        let request = self.request(method, params);
        self.server.ask(&request)
    }

    /// The tools, as the server lists them.
    pub(crate) fn tools(&mut self) -> Vec<Value> {
        let answer = self.ask("tools/list", Value::Null);
        answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
    }

    /// Calls a tool.
    pub(crate) fn call(&mut self, tool: &str, arguments: Value) -> Called {
        let answer = self.ask("tools/call", json!({ "name": tool, "arguments": arguments }));
        assert!(answer.get("error").is_none(), "{answer}");
        Called { result: answer["result"].clone() }
    }
}

/// Whether a JSON value has exactly these keys, in this order.
pub(crate) fn keys(value: &Value) -> Vec<&str> {
    value.as_object().map(Map::keys).into_iter().flatten().map(String::as_str).collect()
}

/// The folder of the tests, for golden files.
pub(crate) fn tests_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests")
}

/// Compares text with a golden file. `BLESS=1` writes it instead.
pub(crate) fn assert_golden(name: &str, actual: &str) {
    let path = tests_folder().join("golden").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, actual).expect("the golden file can be written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(actual, expected, "{} differs; if that is meant, run the test with BLESS=1", path.display());
}
