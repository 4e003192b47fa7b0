//! The rows as a table for people and as JSON for machines.

use serde_json::{Value, json};

use crate::row::Row;

/// The rows as a Markdown table.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text = String::from(
        "| what | median | p95 | beside | ratio | goal | |\n| --- | ---: | ---: | --- | ---: | --- | --- |\n",
    );
    for row in rows {
        text.push_str(&line(row));
    }
    text
}

fn line(row: &Row) -> String {
    let unit = row.unit;
    let p95 = row.p95.map_or_else(String::new, |p95| unit.text(p95));
    let beside = row.beside.as_ref();
    let beside = beside.map_or_else(String::new, |beside| format!("{}: {}", beside.what, unit.text(beside.figure)));
    let ratio = row.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}"));
    let verdict = match row.is_met() {
        Some(true) => "met",
        Some(false) => "NOT MET",
        None => "",
    };
    let figure = format!("{} {}", unit.text(row.figure), unit.name());
    format!("| {} | {figure} | {p95} | {beside} | {ratio} | {} | {verdict} |\n", row.what, row.goals_text())
}

/// The rows, and on what machine they were measured.
pub(crate) fn json(rows: &[Row], is_short: bool) -> Value {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "machine": { "os": std::env::consts::OS, "arch": std::env::consts::ARCH, "cores": cores },
        "short": is_short,
        "rows": rows.iter().map(Row::json).collect::<Vec<_>>(),
    })
}
