//! The same load on any other stdio MCP server.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::client::{Call, Client, Program};
use crate::process;
use crate::row::{Row, Unit};
use crate::samples::{Samples, milliseconds};
use crate::setup::Setup;
use crate::table;
use crate::through_stdio::WIDTH;

/// How often another server is started, and how many of its calls count: some take a second to start.
const STARTS: usize = 5;
const CALLS: usize = 100;
const CALLS_AT_ONCE: usize = 320;

/// Another server, and which of its tools is called.
pub(crate) struct Comparison {
    program: PathBuf,
    arguments: Vec<String>,
    call: Call,
}

impl Comparison {
    /// Reads `--compare [--tool NAME] [--arguments JSON] PROGRAM [ARGUMENT…]`; none without `--compare`.
    pub(crate) fn parse(arguments: &[String]) -> Result<Option<Self>> {
        let Some((first, rest)) = arguments.split_first().filter(|(first, _)| *first == "--compare") else {
            return Ok(None);
        };
        let mut call = Setup::list_models();
        let mut rest = rest.iter();
        loop {
            let word = rest.next().with_context(|| format!("{first} needs a program"))?;
            let mut value = || rest.next().with_context(|| format!("{word} needs a value"));
            match word.as_str() {
                "--tool" => call.tool.clone_from(value()?),
                "--arguments" => call.arguments = object(value()?)?,
                program => {
                    let arguments = rest.cloned().collect();
                    return Ok(Some(Self { program: program.into(), arguments, call }));
                }
            }
        }
    }

    /// Measures it, the server and the twin, and prints the table.
    pub(crate) fn run(&self, setup: &Setup) -> Result<()> {
        let other = self.program(setup);
        let compared =
            [("aigateway-mcp", &setup.server, Setup::list_models()), ("twin", &setup.twin, Setup::list_models())];
        let mut rows = rows("the other", &other, &self.call)?;
        for (name, program, call) in compared {
            rows.extend(self::rows(name, program, &call)?);
        }
        println!("{}", table::markdown(&rows));
        Ok(())
    }

    /// It gets the gateway's address and a key as the server does, and what an interpreter needs to be found.
    fn program(&self, setup: &Setup) -> Program {
        let mut environment = setup.server.environment.clone();
        let inherited =
            ["PATH", "HOME"].into_iter().filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)));
        environment.extend(inherited);
        let arguments = self.arguments.iter().map(Into::into).collect();
        Program { path: self.program.clone(), arguments, environment }
    }
}

fn object(text: &str) -> Result<Value> {
    let value: Value = serde_json::from_str(text).context("--arguments is not JSON")?;
    ensure!(value.is_object(), "--arguments is not an object");
    Ok(value)
}

fn rows(name: &str, program: &Program, call: &Call) -> Result<Vec<Row>> {
    let mut starts = Samples::default();
    for _ in 0..STARTS {
        let (client, took) = Client::start_timed(program)?;
        starts.add([took]);
        client.end()?;
    }
    let mut client = Client::start(program)?;
    client.one_at_a_time(call, CALLS / 10)?;
    let calls: Samples = client.one_at_a_time(call, CALLS)?.into_iter().collect();
    let at_once = client.at_once(call, CALLS_AT_ONCE, WIDTH)?;
    let row = |what: &str, samples: &Samples| {
        Row::new(format!("{name}: {what}"), Unit::Milliseconds, milliseconds(samples.p50()))
            .p95(milliseconds(samples.p95()))
    };
    Ok(vec![
        row("start → initialize answered", &starts),
        row(&format!("{}, one at a time", call.tool), &calls),
        Row::new(
            format!("{name}: {}, {WIDTH} at a time", call.tool),
            Unit::CallsPerSecond,
            CALLS_AT_ONCE as f64 / at_once.as_secs_f64(),
        ),
        Row::new(format!("{name}: peak memory"), Unit::Mebibytes, process::peak_memory(client.id())?),
    ])
}
