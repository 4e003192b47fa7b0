//! The benchmark: the server beside the floor (the bare requests from a pooled native client) and beside the twin (the
//! same tool on the same SDK without a sandbox), all in one run against the reference gateway.
//!
//! `cargo bench --locked --package benchmark` measures everything, prints a table, and writes `bench/results.json` and
//! `bench/results.svg`. `-- --short` measures a little of everything and writes nothing. `bench/compare` puts any other
//! stdio MCP server beside.

#![allow(clippy::print_stdout, reason = "the table is what this program has to say")]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

mod audit;
mod chart;
mod client;
mod native;
mod other;
mod process;
mod row;
mod samples;
mod sandbox;
mod scale;
mod setup;
mod table;
mod through_stdio;

use row::{Goal, Row, Unit};
use setup::{Setup, Size};

/// The largest binary that is wanted, in MiB.
const BINARY: f64 = 14.0;

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    if let Some(comparison) = other::Comparison::parse(arguments)? {
        return comparison.run(&Setup::new(server()?, Size::FULL)?);
    }
    ensure!(arguments.iter().all(|argument| argument == "--short"), "unknown argument; there is only `--short`");
    let is_short = !arguments.is_empty();
    let setup = Setup::new(server()?, if is_short { Size::SHORT } else { Size::FULL })?;
    let mut rows = through_stdio::rows(&setup)?;
    rows.extend(sandbox::rows(&setup)?);
    rows.extend(scale::rows(&setup)?);
    rows.extend(audit::rows(&setup)?);
    rows.push(binary(&setup.server.path)?);
    println!("{}", table::markdown(&rows));
    if is_short {
        println!("A short run: the figures say that everything works, and nothing more.");
    } else {
        write(&rows)?;
    }
    Ok(())
}

/// The server, built as a release is.
fn server() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let build = ["build", "--release", "--locked", "--package", "aigateway-mcp", "--bin", "aigateway-mcp"];
    let built = Command::new(cargo).args(build).current_dir(root()).status().context("cannot run cargo")?;
    ensure!(built.success(), "the server does not build");
    let twin = Path::new(env!("CARGO_BIN_EXE_twin"));
    let server = twin.with_file_name("aigateway-mcp");
    ensure!(server.is_file(), "there is no `{}`", server.display());
    Ok(server)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn binary(path: &Path) -> Result<Row> {
    let size = std::fs::metadata(path)?.len() as f64 / f64::from(1 << 20);
    Ok(Row::new("the binary, stripped", Unit::Mebibytes, size).goal(Goal::AtMost(BINARY)))
}

fn write(rows: &[Row]) -> Result<()> {
    let folder = root().join("bench");
    let json = serde_json::to_string_pretty(&table::json(rows, false))? + "\n";
    std::fs::write(folder.join("results.json"), json)?;
    std::fs::write(folder.join("results.svg"), chart::svg(rows))?;
    println!("Written: bench/results.json, bench/results.svg");
    Ok(())
}
