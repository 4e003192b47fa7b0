//! A session with the server, as an MCP client would have it: `cargo run --locked --release --example demo`.
//!
//! It starts the reference gateway on a free port of this machine, runs the server on it over stdio, and prints what
//! goes back and forth. Nothing else is contacted, and nothing is left behind.

#![allow(clippy::print_stdout, reason = "printing is what a demo does")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};
use reference_gateway::{Gateway, NewMapping};
use serde_json::{Value, json};

/// With this variable, this program is the server: one binary is enough to show both sides.
const SERVER: &str = "AIGATEWAY_MCP_DEMO_SERVER";

fn main() -> ExitCode {
    if std::env::var_os(SERVER).is_some() {
        return aigateway_mcp::main();
    }
    match demo() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn demo() -> Result<()> {
    let started = Instant::now();
    let gateway = Gateway::start();
    gateway.insert(NewMapping { model_name: "gpt-4o-mini".into(), ..NewMapping::global("fast") });
    println!("A reference gateway runs at {}, and alice has a key for it.", gateway.url());
    let folder = tempfile::tempdir()?;
    manage_models(&gateway, folder.path())?;
    break_out(&gateway, folder.path())?;
    println!("\nDone in {:.1} s.", started.elapsed().as_secs_f64());
    Ok(())
}

fn manage_models(gateway: &Gateway, folder: &Path) -> Result<()> {
    heading("An MCP client starts the server and asks what it can do");
    let mut session = Session::start(gateway, folder, &[])?;
    for tool in session.ask("tools/list", json!({}))?["tools"].as_array().context("a list of tools")? {
        println!("  {:<15} {}", text(&tool["name"]), first_sentence(text(&tool["description"])));
    }

    heading("Which models are there?");
    let models = session.call("list_models", json!({ "search": "gpt-4o" }))?;
    for (kind, list) in [("built in", "built_in_models"), ("mapping", "custom_mappings")] {
        for model in models["structuredContent"][list].as_array().into_iter().flatten() {
            let scope = model["scope"].as_str().map_or_else(String::new, |scope| format!(" ({scope})"));
            let model = [&model["alias"], &model["provider_id"], &model["model_name"]].map(text);
            println!("  {kind}: {} → {} / {}{scope}", model[0], model[1], model[2]);
        }
    }

    heading("An alias of her own");
    session
        .show("create_mapping", json!({ "alias": "my-gpt", "provider_id": "openai", "model_name": "gpt-4-turbo" }))?;
    heading("… which shall stand for another model");
    session
        .show("update_mapping", json!({ "alias": "my-gpt", "model_name": "gpt-4o", "description": "for drafts" }))?;
    heading("A change that the gateway accepts and does not store is reported as what it is");
    session.show("update_mapping", json!({ "alias": "my-gpt", "enabled": false }))?;
    heading("What is not hers stays as it is");
    session.show("delete_mapping", json!({ "alias": "fast" }))?;
    heading("And away with it");
    session.show("delete_mapping", json!({ "alias": "my-gpt" }))
}

/// A component that somebody else wrote, granted one route.
fn break_out(gateway: &Gateway, folder: &Path) -> Result<()> {
    heading("Another component, granted `GET /v1/models` and nothing else, tries to get out");
    let evil = TcpListener::bind("127.0.0.1:0")?;
    let port = evil.local_addr()?.port();
    std::fs::write(folder.join("probe.wasm"), hostile_components::PROBE)?;
    std::fs::write(folder.join("probe.toml"), GRANTS)?;
    let mut session = Session::start(gateway, folder, &["--component", "probe.wasm", "--grants", "probe.toml"])?;
    let host = gateway.url().replace("http://", "");
    let attempt = |host: &str, path: &str| json!({ "attempt": { "method": "GET", "scheme": "http", "authority": host, "path": path } });

    let allowed = session.call("fetch", attempt(&host, "/v1/models"))?;
    println!("  GET {}/v1/models: {}", gateway.url(), allowed["structuredContent"]["status"]);
    for (host, path) in [(host.as_str(), "/api/v1/model-mappings"), (&format!("127.0.0.1:{port}"), "/v1/models")] {
        let denied = session.call("fetch", attempt(host, path))?;
        println!("  GET http://{host}{path}:\n    {}", text(&denied["content"][0]["text"]));
    }
    evil.set_nonblocking(true)?;
    println!("  Connections that the other server accepted: {}", usize::from(evil.accept().is_ok()));
    let environment = session.call("environment", json!({}))?;
    println!("  What the component sees of the key: {}", environment["structuredContent"]["result"][1][1]);
    Ok(())
}

const GRANTS: &str = r#"
version  = 1
base_url = "${AIGATEWAY_URL}"

[tools]
fetch       = ["GET /v1/models"]
environment = ["GET /v1/models"]

[secrets.api_key]
env    = "AIGATEWAY_API_KEY"
header = "X-API-Key"
"#;

/// A client's session with the server.
struct Session {
    server: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    next: u32,
}

impl Session {
    fn start(gateway: &Gateway, folder: &Path, arguments: &[&str]) -> Result<Self> {
        let mut server = Command::new(std::env::current_exe()?)
            .args(["--log-level", "error"])
            .args(arguments)
            .current_dir(folder)
            .env(SERVER, "1")
            .env("AIGATEWAY_URL", gateway.url())
            .env("AIGATEWAY_API_KEY", gateway.key("alice"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = server.stdin.take().context("stdin is piped")?;
        let stdout = BufReader::new(server.stdout.take().context("stdout is piped")?);
        let mut session = Self { server, stdin, stdout, next: 0 };
        let client = json!({ "name": "demo", "version": "1" });
        session
            .ask("initialize", json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client }))?;
        Ok(session)
    }

    fn ask(&mut self, method: &str, params: Value) -> Result<Value> {
        self.next += 1;
        let request = json!({ "jsonrpc": "2.0", "id": self.next, "method": method, "params": params });
        writeln!(self.stdin, "{request}")?;
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        let mut answer: Value = serde_json::from_str(&line).context("the server's answer")?;
        Ok(answer["result"].take())
    }

    fn call(&mut self, tool: &str, arguments: Value) -> Result<Value> {
        self.ask("tools/call", json!({ "name": tool, "arguments": arguments }))
    }

    /// Calls a tool and prints both sides.
    fn show(&mut self, tool: &str, arguments: Value) -> Result<()> {
        println!("  → {tool} {arguments}");
        let result = self.call(tool, arguments)?;
        println!("  ← {}", text(&result["content"][0]["text"]));
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        _ = self.server.kill();
        _ = self.server.wait();
    }
}

fn heading(text: &str) {
    println!("\n{text}");
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn first_sentence(text: &str) -> &str {
    text.split_once([':', '.']).map_or(text, |(sentence, _)| sentence)
}
