//! An MCP server whose tools run in a WebAssembly component.
//!
//! A call goes from line to line: stdin → `mcp` → arguments checked against the WIT types (`component`) → a fresh
//! instance ([`sandbox`]) → its requests through the one way out ([`egress`]), where [`grants`] decide and [`audit`]
//! records → typed result → stdout.

use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Result;
use clap::Parser;
use serde_json::json;

#[cfg(not(panic = "unwind"))]
compile_error!("a fault of the host's must fail its call alone: build with panic = \"unwind\"");

pub mod audit;
mod cli;
mod commands;
mod component;
mod config;
mod digest;
pub mod egress;
mod engine;
pub mod grants;
mod inspect;
mod log;
mod mcp;
mod queue;
pub mod sandbox;
mod secret;
mod signals;
mod text;

use audit::Audit;
use cli::{Cli, Command, GrantsCommand};
use config::{AuditLog, Config, Stop};
use egress::{Egress, SystemResolver};
use sandbox::Sandbox;

pub use component::Tool;
pub use config::KeysPerCall;
pub use secret::{SecretError, SecretValue};

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let mut cli = Cli::parse();
    cli.options.forget_unfilled();
    cli.options.exit_on_conflicts();
    match run(&cli) {
        Ok(code) => code,
        Err(error) => {
            log::error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<ExitCode> {
    match &cli.command {
        Some(Command::Component { output }) => return commands::component(output),
        Some(Command::Inspect(arguments)) => return Ok(inspect::run(&cli.options, arguments)),
        Some(Command::Grants { command: Some(GrantsCommand::Check { file }) }) => return commands::check(file),
        Some(Command::Audit { command }) => return commands::audit(command),
        _ => {}
    }
    // One thread: calls wait for the network most of the time, and a second thread costs more in hand-overs than it
    // brings.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut session = None;
    let code = runtime.block_on(obey(cli, &mut session));
    // A call that is still blocked somewhere does not keep the process; what was under way is dropped, and on record.
    runtime.shutdown_background();
    if let Some(sandbox) = session {
        commands::end(&sandbox);
    }
    code
}

/// Does what needs the configuration. If that opens a session, the sandbox of it remains.
async fn obey(cli: &Cli, session: &mut Option<Arc<Sandbox>>) -> Result<ExitCode> {
    let config = match &cli.options.api_key_command {
        Some(_) if cli.serves() || matches!(cli.command, Some(Command::Call { .. })) => {
            match load_while_wanted(cli).await? {
                Some(config) => config,
                None => return Ok(if cli.serves() { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
            }
        }
        // The others watch no signals, which end them as they end any program.
        _ => Config::load(&cli.options, &Stop::default())?,
    };
    log::init(cli.options.log_level, secret::Scrubber::new(config.secrets.values().cloned()));
    let mut open = |config| Ok::<_, anyhow::Error>(session.insert(Arc::new(sandbox(config)?)).clone());
    match &cli.command {
        None | Some(Command::Serve) => {
            commands::announce(&config);
            if config.is_plain() { commands::serve_at_once(config).await } else { commands::serve(open(config)?).await }
        }
        Some(Command::Tools { json }) => {
            let sandbox = sandbox(config)?;
            let code = commands::tools(&sandbox, *json);
            sandbox.end();
            code
        }
        Some(Command::Call { tool, arguments, json }) => {
            commands::call(&*open(config)?, tool, arguments, json.as_deref()).await
        }
        Some(Command::Grants { command: Some(GrantsCommand::Explain { tool, method, request_url }) }) => {
            commands::explain(&config, tool.as_deref(), method, request_url)
        }
        Some(Command::Grants { .. }) => commands::grants(&config),
        // These need no configuration, and were answered before.
        Some(Command::Component { .. } | Command::Audit { .. } | Command::Inspect(_)) => Ok(ExitCode::SUCCESS),
    }
}

/// Loads the configuration while a command is asked for the key, which may take as long as a person does. None if the
/// process is told to stop meanwhile, or its client goes.
async fn load_while_wanted(cli: &Cli) -> Result<Option<Config>> {
    let (options, stop) = (cli.options.clone(), Arc::new(Stop::default()));
    let stopped = stop.clone();
    let mut loading = pin!(async { tokio::task::spawn_blocking(move || Config::load(&options, &stopped)).await });
    tokio::select! {
        // Whoever sees the command run finds the signals watched.
        biased;
        () = signals::told_to_stop() => {}
        () = mcp::client_gone(), if cli.serves() => {}
        config = &mut loading => return config?.map(Some),
    }
    stop.store(true, Ordering::Relaxed);
    _ = loading.await;
    Ok(None)
}

/// The sandbox that a configuration describes, with what it is put on record.
fn sandbox(config: Config) -> Result<Sandbox> {
    let audit = Arc::new(match &config.audit {
        Some(AuditLog { file, sync, rotate_mib }) => Audit::open(file, *sync, rotate_mib << 20)?,
        None => Audit::off(),
    });
    let observe = config.observe.then_some(true);
    audit.record_at_the_start(
        "session.start",
        json!({ "service.version": env!("CARGO_PKG_VERSION"), "observe": observe }),
    )?;
    let grants = Arc::new(config.grants);
    let mut egress = Egress::new(grants.clone(), Arc::new(SystemResolver))?.with_audit(audit.clone());
    if config.observe {
        log::insist(&format!(
            "OBSERVING: requests to {} that no rule allows are let through, without the key; this is for evaluating a \
             component, and for nothing else",
            grants.base_url
        ));
        egress = egress.observing();
    }
    let component = config.component.as_deref();
    let sandbox = Sandbox::new(component, grants.clone(), config.secrets, config.keys_per_call, Arc::new(egress));
    let lock = config.lock.as_deref();
    let sandbox = match inspect::check_lock(lock, component, &grants, sandbox) {
        Ok(sandbox) => sandbox,
        Err(error) => {
            let check = if lock.is_some() { "lock" } else { "import" };
            audit.record_at_the_start("denied", json!({ "check": check, "reason": format!("{error:#}") }))?;
            return Err(error);
        }
    };
    audit.record_at_the_start("component.loaded", sandbox.component().clone())?;
    audit.record_at_the_start("grants.loaded", json!({ "digest": grants.digest(), "grants": grants.canonical() }))?;
    Ok(sandbox)
}
