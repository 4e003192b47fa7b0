//! `inspect`: what a component is, what it asks for and what it is granted; and the lock, which holds all of it fast.
//!
//! The component is read, not run, and not compiled either, with two exceptions: `--verify` compiles the embedded
//! component again, and `--lock` compiles another component than the embedded one, because tools are described from
//! what is compiled.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};

mod anatomy;
mod capability;
mod difference;
mod lock;
mod report;
mod standing;
mod types;
mod verify;

use crate::cli::{Inspect, Options};
use crate::commands;
use crate::component::{EMBEDDED, read_component};
use crate::config::{Config, Stop};
use crate::egress::{Egress, SystemResolver};
use crate::grants::Grants;
use crate::log;
use crate::sandbox::Sandbox;
use crate::secret::Scrubber;
use anatomy::Anatomy;
use lock::Lock;
use report::Report;
use standing::Standing;
use verify::Verified;

/// The exit code of what is no component, or cannot be inspected: 1 says that a component asks for too much.
const TROUBLE: u8 = 2;

/// Inspects a component.
pub(crate) fn run(options: &Options, arguments: &Inspect) -> ExitCode {
    inspect(options, arguments).unwrap_or_else(|error| {
        log::error(&format!("{error:#}"));
        ExitCode::from(TROUBLE)
    })
}

fn inspect(options: &Options, arguments: &Inspect) -> Result<ExitCode> {
    let file = arguments.file.clone().or_else(|| options.component.clone());
    let anatomy = read(file.as_deref())?;
    let config = configuration(options, file.as_deref())?;
    let grants = config.as_ref().map(|config| &config.grants);
    let standing = Standing::of(&anatomy, grants);
    let verified = arguments.verify.then(Verified::compile).transpose()?;
    let name =
        file.as_deref().map_or_else(|| "built into aigateway-mcp".to_owned(), |file| format!("`{}`", file.display()));
    let report = Report { name, anatomy: &anatomy, grants, standing: &standing, verified: verified.as_ref() };
    if arguments.json {
        commands::print(&serde_json::to_string_pretty(&report.json())?)?;
    } else {
        commands::print(report.text().trim_end())?;
    }
    let mut passes = standing.is_content() && verified.as_ref().is_none_or(Verified::holds);
    if let Some(lock) = &arguments.lock {
        passes &= write_lock(lock, &anatomy, &standing, config)?;
    }
    Ok(if passes { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Reads a component, or the embedded one.
fn read(file: Option<&Path>) -> Result<Anatomy> {
    match file {
        None => Anatomy::read(EMBEDDED).context("the embedded component"),
        Some(file) => Anatomy::read(&read_component(file)?).with_context(|| format!("`{}`", file.display())),
    }
}

/// What would be served with; none for a file that nothing is granted to.
fn configuration(options: &Options, file: Option<&Path>) -> Result<Option<Config>> {
    if file.is_some() && options.grants.is_none() {
        return Ok(None);
    }
    let options = Options { component: file.map(PathBuf::from), ..options.clone() };
    let config = Config::load(&options, &Stop::default())?;
    log::init(options.log_level, Scrubber::new(config.secrets.values().cloned()));
    Ok(Some(config))
}

/// Writes a lock, unless the component cannot be served. Says whether it did.
fn write_lock(file: &Path, anatomy: &Anatomy, standing: &Standing, config: Option<Config>) -> Result<bool> {
    let config = config.context("a lock is of a component and its grants; name a grant file with --grants")?;
    if !standing.can_be_served() {
        log::error("no lock is written: the component cannot be served");
        return Ok(false);
    }
    let grants = Arc::new(config.grants);
    // Nothing is called: the sandbox is what describes tools.
    let egress = Arc::new(Egress::new(grants.clone(), Arc::new(SystemResolver))?);
    let component = config.component.as_deref();
    let sandbox = Sandbox::new(component, grants.clone(), config.secrets, config.keys_per_call, egress)?;
    ensure_same(&sandbox, anatomy)?;
    Lock::of(anatomy, &grants, Some(&sandbox)).write(file)?;
    log::info(&format!("lock written to `{}`; serve with --lock to hold to it", file.display()));
    Ok(true)
}

/// A file can be replaced between being read and being compiled.
fn ensure_same(sandbox: &Sandbox, anatomy: &Anatomy) -> Result<()> {
    ensure!(sandbox.component()["digest"] == anatomy.digest, "the component was changed while it was read");
    Ok(())
}

/// Holds what is about to be served against a lock, and says what differs as capabilities gained and lost.
///
/// # Errors
///
/// When the lock cannot be read or anything differs, or else the sandbox's own.
pub(crate) fn check_lock(
    lock: Option<&Path>,
    component: Option<&Path>,
    grants: &Grants,
    sandbox: Result<Sandbox>,
) -> Result<Sandbox> {
    let Some(file) = lock else { return sandbox };
    let locked = Lock::read(file)?;
    let anatomy = read(component)?;
    if let Ok(sandbox) = &sandbox {
        ensure_same(sandbox, &anatomy)?;
    }
    let found = Lock::of(&anatomy, grants, sandbox.as_ref().ok());
    let differences = difference::between(&locked, &found);
    if differences.is_empty() {
        return sandbox;
    }
    for difference in &differences {
        log::error(difference);
    }
    if let Err(error) = sandbox {
        log::error(&format!("it cannot be served: {error:#}"));
    }
    let name = file.display();
    bail!(
        "what would be served is not what is locked in `{name}`; if that is meant, write it again: inspect --lock {name}"
    )
}
