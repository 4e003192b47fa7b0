//! A log as a readable timeline.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::log::one_line;

/// How often a followed file is looked at.
const FOLLOW_EVERY: Duration = Duration::from_millis(200);

/// Which records are shown.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    /// Only those of this tool.
    pub(crate) tool: Option<String>,
    /// Only denials (true), or only what was not denied (false).
    pub(crate) denied: Option<bool>,
    /// Not before this time: RFC 3339, or the beginning of one.
    pub(crate) since: Option<String>,
    /// Not from this time on.
    pub(crate) until: Option<String>,
}

/// Writes the records of a file that pass the filter, one a line; with `follow`, goes on with what is appended.
///
/// # Errors
///
/// When the file cannot be read, or `output` cannot be written.
pub(crate) fn show(file: &Path, filter: &Filter, follow: bool, output: &mut impl Write) -> Result<()> {
    let name = || format!("cannot read `{}`", file.display());
    let mut input = BufReader::new(File::open(file).with_context(name)?);
    let mut line = Vec::new();
    loop {
        let read = input.read_until(b'\n', &mut line).with_context(name)?;
        if line.last() == Some(&b'\n') {
            show_line(&line, filter, output)?;
            line.clear();
        } else if read == 0 {
            if !follow {
                return Ok(());
            }
            output.flush()?;
            std::thread::sleep(FOLLOW_EVERY);
        }
    }
}

fn show_line(line: &[u8], filter: &Filter, output: &mut impl Write) -> Result<()> {
    match serde_json::from_slice::<Value>(line) {
        Ok(record) if filter.passes(&record) => Ok(writeln!(output, "{}", readable(&record))?),
        Ok(_) => Ok(()),
        Err(_) => Ok(writeln!(output, "{:>35}  (a line that is no record)", "")?),
    }
}

impl Filter {
    fn passes(&self, record: &Value) -> bool {
        let time = record["time"].as_str().unwrap_or_default();
        let tool = record["gen_ai.tool.name"].as_str();
        self.tool.as_deref().is_none_or(|wanted| tool == Some(wanted))
            && self.denied.is_none_or(|wanted| wanted == (record["type"] == "denied"))
            && self.since.as_deref().is_none_or(|since| time >= since)
            && self.until.as_deref().is_none_or(|until| time < until)
    }
}

fn readable(record: &Value) -> String {
    let text = |key: &str| record[key].as_str().map(one_line).unwrap_or_default();
    let call = record["call"].as_u64().map_or_else(String::new, |call| format!(" call {call}"));
    let head = format!("{} #{:<6} {:<16}{call}", text("time"), record["seq"], text("type"));
    format!("{head} {}", details(record, text)).trim_end().to_owned()
}

fn details(record: &Value, text: impl Fn(&str) -> String) -> String {
    let number = |key: &str| record[key].as_u64().map_or_else(|| "-".to_owned(), |number| number.to_string());
    let tool = text("gen_ai.tool.name");
    match record["type"].as_str().unwrap_or_default() {
        "tool.call" => tool,
        "tool.result" => {
            let outcome = if record["error.type"].is_null() { "answered".to_owned() } else { text("error.type") };
            let more = match record["denials_not_recorded"].as_u64() {
                Some(more) => format!(", {more} denials more than are shown"),
                None => String::new(),
            };
            format!("{tool}: {outcome} in {} ms{more}", record["duration_ms"])
        }
        "egress.intent" => {
            let key = if record["key"] == true { ", with the key" } else { "" };
            let observed = if record["observed"] == true { ", OBSERVED: no rule allows it" } else { "" };
            let target = format!("{} {}{}", text("http.request.method"), text("server.address"), text("url.path"));
            format!("{tool}: {target}, {} bytes{key}{observed}", number("http.request.body.size"))
        }
        "egress.outcome" => match record["error.type"].as_str() {
            Some(error) => format!("{tool}: {}", one_line(error)),
            None => format!(
                "{tool}: {} from {}, {} bytes, {} ms, {} redactions",
                record["http.response.status_code"],
                text("network.peer.address"),
                number("http.response.body.size"),
                record["duration_ms"],
                number("redactions"),
            ),
        },
        "denied" => format!("{tool}: by the check `{}`: {}", text("check"), text("reason")),
        "checkpoint" | "session.end" => format!(
            "{} calls, {} requests, {} denials",
            number("tool_calls"),
            number("egress_intents"),
            number("denials")
        ),
        "component.loaded" | "grants.loaded" => text("digest"),
        _ => String::new(),
    }
}
