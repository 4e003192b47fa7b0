//! The comparison as a picture.

use std::fmt::Write;

use crate::row::Row;

const WIDTH: f64 = 860.0;
const LABELS: f64 = 390.0;
const BARS: f64 = 300.0;
const BAR: f64 = 16.0;
const GROUP: f64 = 62.0;

/// The rows that have somebody else's figure beside them, as pairs of bars; each pair to its own scale.
pub(crate) fn svg(rows: &[Row]) -> String {
    let compared: Vec<&Row> = rows
        .iter()
        .filter(|row| {
            row.beside.as_ref().is_some_and(|beside| matches!(beside.what, "twin" | "floor" | "one round trip"))
        })
        .collect();
    let height = 48.0 + GROUP * compared.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\" role=\"img\" aria-label=\"aigateway-mcp compared\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    legend(&mut svg);
    for (at, row) in compared.iter().enumerate() {
        group(&mut svg, row, 44.0 + GROUP * at as f64);
    }
    svg.push_str("</svg>\n");
    svg
}

const OURS: &str = "#2f6fde";
const BESIDE: &str = "#9aa5b1";

fn legend(svg: &mut String) {
    for (x, colour, text) in [(LABELS, OURS, "aigateway-mcp"), (LABELS + 140.0, BESIDE, "compared with")] {
        _ = writeln!(svg, "<rect x=\"{x}\" y=\"12\" width=\"12\" height=\"12\" fill=\"{colour}\"/>");
        _ = writeln!(svg, "<text x=\"{}\" y=\"23\" fill=\"#1f2933\">{text}</text>", x + 18.0);
    }
}

fn group(svg: &mut String, row: &Row, y: f64) {
    let Some(beside) = &row.beside else { return };
    let most = row.figure.max(beside.figure);
    let unit = row.unit;
    let label = escaped(&row.what);
    _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#1f2933\">{label}</text>",
        LABELS - 10.0,
        y + 13.0
    );
    if !row.goals.is_empty() {
        let goals = escaped(&row.goals_text());
        _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#616e7c\" font-size=\"11\">goal {goals}</text>",
            LABELS - 10.0,
            y + 30.0
        );
    }
    let bars = [(OURS, "", row.figure), (BESIDE, beside.what, beside.figure)];
    for (at, (colour, name, figure)) in bars.into_iter().enumerate() {
        let top = y + (BAR + 4.0) * at as f64;
        let width = (BARS * figure / most).max(1.0);
        _ = writeln!(
            svg,
            "<rect x=\"{LABELS}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>"
        );
        let text = format!("{} {} {name}", unit.text(figure), unit.name());
        _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"#1f2933\" font-size=\"12\">{}</text>",
            LABELS + width + 6.0,
            top + 12.5,
            escaped(text.trim_end())
        );
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
