//! A log in numbers: per tool and route, and the grants that were never used.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::capped;

/// What was counted of one tool and one route.
#[derive(Default)]
struct Row {
    allowed: u64,
    denied: u64,
    errors: u64,
    bytes: u64,
    /// Milliseconds of each answered request.
    durations: Vec<f64>,
}

/// What was counted of all.
#[derive(Default)]
struct Summary {
    calls: BTreeMap<String, u64>,
    failed: BTreeMap<String, u64>,
    routes: BTreeMap<(String, String), Row>,
    /// Tool and route of each request that is under way, by session and number.
    open: BTreeMap<(String, u64), (String, String)>,
    granted: Vec<(String, String)>,
}

/// Counts the records of the files, and tells it as a table, or as JSON.
///
/// # Errors
///
/// When a file cannot be read.
pub(crate) fn summary(files: &[PathBuf], as_json: bool) -> Result<String> {
    let mut summary = Summary::default();
    for file in files {
        summary.read(file)?;
    }
    if as_json { Ok(serde_json::to_string_pretty(&summary.json())?) } else { Ok(summary.table()) }
}

impl Summary {
    fn read(&mut self, file: &Path) -> Result<()> {
        let name = || format!("cannot read `{}`", file.display());
        for line in BufReader::new(File::open(file).with_context(name)?).split(b'\n') {
            // A line that is no record is for `audit verify` to judge.
            if let Ok(record) = serde_json::from_slice(&line.with_context(name)?) {
                self.count(&record);
            }
        }
        Ok(())
    }

    fn count(&mut self, record: &Value) {
        let text = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
        let tool = text("gen_ai.tool.name");
        let request = (text("session"), record["egress"].as_u64().unwrap_or_default());
        match record["type"].as_str().unwrap_or_default() {
            "tool.call" => *self.calls.entry(tool).or_default() += 1,
            "tool.result" => {
                if let Some(more @ 1..) = record["denials_not_recorded"].as_u64() {
                    let route = (tool.clone(), "(not recorded one by one)".to_owned());
                    self.routes.entry(route).or_default().denied += more;
                }
                if !record["error.type"].is_null() {
                    *self.failed.entry(tool).or_default() += 1;
                }
            }
            "egress.intent" => {
                let rule = match record["missing_rule"].as_str() {
                    Some(rule) => format!("{rule} (observed)"),
                    None => text("rule"),
                };
                let route = (tool, rule);
                self.routes.entry(route.clone()).or_default().allowed += 1;
                self.open.insert(request, route);
            }
            "egress.outcome" => {
                let Some(route) = self.open.remove(&request) else { return };
                self.routes.entry(route).or_default().answered(record);
            }
            "denied" => {
                let route = (tool, format!("({})", text("check")));
                self.routes.entry(route).or_default().denied += 1;
            }
            "grants.loaded" => self.granted = granted(&record["grants"]),
            _ => {}
        }
    }

    /// Rules of the last grant that no request used.
    fn unused(&self) -> impl Iterator<Item = &(String, String)> {
        self.granted.iter().filter(|route| self.routes.get(*route).is_none_or(|row| row.allowed == 0))
    }

    fn table(&mut self) -> String {
        let mut text = String::from("tool             calls  failed\n");
        for (tool, calls) in &self.calls {
            let failed = self.failed.get(tool).copied().unwrap_or_default();
            _ = writeln!(text, "{tool:<15} {calls:>6} {failed:>7}");
        }
        text.push_str("\ntool            route                                     allowed denied errors p50 ms p95 ms    bytes\n");
        for ((tool, route), row) in &mut self.routes {
            let (p50, p95) = (row.percentile(50), row.percentile(95));
            let Row { allowed, denied, errors, bytes, .. } = row;
            let numbers = format!("{allowed:>7} {denied:>6} {errors:>6} {p50:>6.1} {p95:>6.1} {bytes:>8}");
            _ = writeln!(text, "{tool:<15} {route:<41} {numbers}");
        }
        for (tool, route) in self.unused() {
            _ = writeln!(text, "\nnever used: {tool} \"{route}\": take it out of the grant file if it stays so");
        }
        text
    }

    fn json(&mut self) -> Value {
        let unused: Vec<Value> = self.unused().map(|(tool, route)| json!({ "tool": tool, "rule": route })).collect();
        let routes = self.routes.iter_mut().map(|((tool, route), row)| {
            json!({
                "tool": tool, "route": route, "allowed": row.allowed, "denied": row.denied, "errors": row.errors,
                "p50_ms": row.percentile(50), "p95_ms": row.percentile(95), "bytes": row.bytes,
            })
        });
        let routes: Vec<Value> = routes.collect();
        json!({ "calls": self.calls, "failed": self.failed, "routes": routes, "unused_grants": unused })
    }
}

impl Row {
    fn answered(&mut self, record: &Value) {
        if record["error.type"].is_null() {
            self.bytes += record["http.response.body.size"].as_u64().unwrap_or_default();
            self.durations.push(record["duration_ms"].as_f64().unwrap_or_default());
        } else {
            self.errors += 1;
        }
    }

    fn percentile(&mut self, percent: usize) -> f64 {
        self.durations.sort_by(f64::total_cmp);
        let at = (self.durations.len() * percent).div_ceil(100).saturating_sub(1);
        self.durations.get(at).copied().unwrap_or_default()
    }
}

fn granted(grants: &Value) -> Vec<(String, String)> {
    let tools = grants["tools"].as_array().into_iter().flatten();
    // As the records of requests have them.
    let routes = |tool: &Value| {
        let name = capped(tool["tool"].as_str().unwrap_or_default());
        let routes = tool["routes"].as_array().cloned().unwrap_or_default();
        routes.into_iter().filter_map(move |route| Some((name.clone(), capped(route.as_str()?))))
    };
    tools.flat_map(routes).collect()
}
