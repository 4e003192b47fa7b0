//! The subcommands. What they print on stdout is data; talk goes to stderr.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use crate::audit::{self, Filter, Verdict, Verified};
use crate::cli::AuditCommand;
use crate::component::{EMBEDDED, Tool};
use crate::config::{Config, read_text};
use crate::grants::Grants;
use crate::log;
use crate::mcp;
use crate::sandbox::{Outcome, Sandbox};
use crate::signals;

/// Tells what is about to be served.
pub(crate) fn announce(config: &Config) {
    log::info(&format!("{} starting", env!("CARGO_PKG_VERSION")));
    log::info(&format!("gateway: {}", config.grants.base_url));
    for secret in &config.grants.secrets {
        log::info(&match config.secrets.get(&secret.name) {
            Some(value) => format!("API key: configured ({})", value.preview()),
            None => format!("API key: not configured; set {}, or pass a key with each call", secret.env),
        });
    }
}

/// Serves MCP over stdin and stdout, before what is served is loaded.
pub(crate) async fn serve_at_once(config: Config) -> Result<ExitCode> {
    let server = mcp::Server::later(|| crate::sandbox(config).map(Arc::new));
    let offer = server.offer();
    mcp::serve(server).await?;
    Ok(if offer.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Serves MCP over stdin and stdout.
pub(crate) async fn serve(sandbox: Arc<Sandbox>) -> Result<ExitCode> {
    mcp::serve(mcp::Server::new(sandbox)).await?;
    Ok(ExitCode::SUCCESS)
}

/// Ends the session on record, and tells what a component that was observed needed.
pub(crate) fn end(sandbox: &Sandbox) {
    sandbox.end();
    let Some(observed) = sandbox.observed() else { return };
    let count = observed.let_through();
    log::insist(&format!(
        "observed: {count} requests were let through that no rule allows. The smallest grant file that allows the \
         requests of this session:"
    ));
    match observed.grant_file(sandbox.grants()) {
        Ok(file) => log::copyable(&format!("{file}# the end of the grant file")),
        Err(error) => log::error(&format!("the grant file cannot be written: {error}")),
    }
}

/// Lists the tools.
pub(crate) fn tools(sandbox: &Sandbox, as_json: bool) -> Result<ExitCode> {
    if as_json {
        let tools: Vec<_> = sandbox.tools().map(|tool| mcp::describe(sandbox, tool)).collect();
        return print(&serde_json::to_string_pretty(&json!({ "tools": tools }))?);
    }
    let text: Vec<String> = sandbox.tools().map(tool_text).collect();
    print(&text.join("\n\n"))
}

fn tool_text(tool: &Tool) -> String {
    let parameter = |(name, required)| if required { name } else { format!("[{name}]") };
    let parameters: Vec<String> = tool.parameters().map(parameter).collect();
    format!("{} {}\n  {}", tool.name, parameters.join(" "), tool.description.replace('\n', "\n  "))
}

/// Calls one tool and prints its result.
pub(crate) async fn call(sandbox: &Sandbox, name: &str, arguments: &[String], json: Option<&str>) -> Result<ExitCode> {
    let arguments = call_arguments(arguments, json)?;
    let Some(tool) = sandbox.tool(name) else {
        let known: Vec<&str> = sandbox.tools().map(|tool| tool.name.as_str()).collect();
        bail!("unknown tool `{name}`; there are: {}", known.join(", "));
    };
    let outcome = tokio::select! {
        outcome = sandbox.call(tool, arguments) => outcome,
        // Dropping the call drops its instance, and with it its request.
        () = signals::told_to_stop() => Outcome::Failure(format!(
            "Failed to call {name}: it was interrupted. Whatever it was about to change may or may not have changed: \
             look before calling it again."
        )),
    };
    match outcome {
        Outcome::Answer(answer) => print(&serde_json::to_string_pretty(&serde_json::from_str::<Value>(&answer)?)?),
        Outcome::Failure(text) => {
            log::error(&text);
            Ok(ExitCode::FAILURE)
        }
    }
}

fn call_arguments(pairs: &[String], json: Option<&str>) -> Result<Map<String, Value>> {
    let mut arguments: Map<String, Value> = match json {
        Some(text) => {
            serde_json::from_str(text).context("--json wants a JSON object, such as '{\"alias\":\"my-gpt\"}'")?
        }
        None => Map::new(),
    };
    for pair in pairs {
        let (key, value) = pair.split_once('=').with_context(|| format!("`{pair}` is not of the form KEY=VALUE"))?;
        arguments.insert(key.to_owned(), value.into());
    }
    Ok(arguments)
}

/// Shows the effective grants.
pub(crate) fn grants(config: &Config) -> Result<ExitCode> {
    print(config.grants.table().trim_end())
}

/// Says what would become of a request.
pub(crate) fn explain(config: &Config, tool: Option<&str>, method: &str, url: &str) -> Result<ExitCode> {
    let grants = &config.grants;
    let tools: Vec<&str> = match tool {
        Some(tool) => vec![tool],
        None => grants.tools.iter().map(|grant| grant.tool.as_str()).collect(),
    };
    let verdicts: Vec<_> = tools.iter().map(|tool| (*tool, grants.explain(tool, method, url))).collect();
    let allowed = verdicts.iter().any(|(_, verdict)| verdict.is_ok());
    let lines: Vec<String> = verdicts
        .into_iter()
        .map(|(tool, verdict)| match verdict {
            Ok(rule) => format!("{tool}: allowed by the rule `{rule}`"),
            Err(denial) => format!("{tool}: {denial}"),
        })
        .collect();
    print(&lines.join("\n"))?;
    Ok(if allowed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Checks a grant file.
pub(crate) fn check(file: &Path) -> Result<ExitCode> {
    let grants = Grants::parse(&read_text(file)?, |name| std::env::var(name).ok())
        .map_err(|error| anyhow::anyhow!("`{}`, {error}", file.display()))?;
    print(&format!("{}: valid\nsha256 {}", file.display(), grants.digest()))
}

/// Verifies and reads audit logs.
pub(crate) fn audit(command: &AuditCommand) -> Result<ExitCode> {
    match command {
        AuditCommand::Verify { files, head } => verify(files, head.as_deref()),
        AuditCommand::Show { file, tool, denied, allowed, since, until, follow } => {
            let denied = if *denied { Some(true) } else { allowed.then_some(false) };
            let filter = Filter { tool: tool.clone(), denied, since: since.clone(), until: until.clone() };
            match audit::show(file, &filter, *follow, &mut io::BufWriter::new(io::stdout().lock())) {
                Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
                shown => shown.map(|()| ExitCode::SUCCESS),
            }
        }
        AuditCommand::Summary { files, json } => print(audit::summary(files, *json)?.trim_end()),
    }
}

fn verify(files: &[PathBuf], head: Option<&str>) -> Result<ExitCode> {
    let told = |verified: &Verified| {
        let head = verified.head.as_ref().map_or_else(String::new, |head| format!("\nhead {} {}", head.seq, head.hash));
        let torn = if verified.torn > 0 { format!(", {} torn lines closed", verified.torn) } else { String::new() };
        let Verified { records, chain, from, to, .. } = verified;
        format!("{records} records{torn}, {from} to {to}\nchain {chain}{head}")
    };
    match audit::verify(files, head)? {
        Verdict::Verified(verified) => print(&format!("verified: {}", told(&verified))),
        Verdict::Incomplete(verified, reason) => {
            print(&format!("incomplete: {reason}\n{}", told(&verified)))?;
            Ok(ExitCode::from(2))
        }
        Verdict::Broken { file, line, reason } => {
            print(&format!("broken: `{}`, line {line}: {reason}", file.display()))?;
            Ok(ExitCode::FAILURE)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Writes the embedded component to a file.
pub(crate) fn component(output: &Path) -> Result<ExitCode> {
    std::fs::write(output, EMBEDDED).with_context(|| format!("cannot write `{}`", output.display()))?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn print(text: &str) -> Result<ExitCode> {
    match writeln!(io::stdout().lock(), "{text}") {
        // `aigateway-mcp tools | head` is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error).context("cannot write to stdout"),
        Ok(()) => Ok(ExitCode::SUCCESS),
    }
}
