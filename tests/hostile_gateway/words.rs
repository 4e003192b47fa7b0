//! The words in which a tool says what went wrong, and that the README quotes them as they are.

use reference_gateway::Gateway;
use serde_json::Value;

use crate::support::{Called, tests_folder};

/// The README's section with a table of faults and of what is said then.
const SECTION: &str = "## What happens when…";

/// What was said about a fault: the failure or the warnings, with a stand-in for the gateway's address.
pub(super) fn of(called: &Called, gateway: &Gateway) -> String {
    let said = if called.result["isError"] == true {
        called.failure().to_owned()
    } else {
        let warnings = called.answer()["warnings"].as_array().cloned().unwrap_or_default();
        warnings.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
    };
    said.replace(&gateway.url(), "…")
}

/// Each text in asterisks in the README's section must have been said, word for word but for what `…` stands for.
pub(super) fn assert_readme_quotes(said: &[String]) {
    let readme = std::fs::read_to_string(tests_folder().join("../README.md")).expect("there is a README");
    let (_, section) = readme.split_once(SECTION).expect("the README has that section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let quotes: Vec<&str> = section.split('*').skip(1).step_by(2).collect();
    assert!(quotes.len() > 10, "the section quotes what is said: {quotes:?}");
    for quote in quotes {
        assert!(said.iter().any(|said| contains(said, quote)), "the README says `{quote}`, and nothing else does");
    }
}

/// Whether the parts of a quote come one after the other.
fn contains(said: &str, quote: &str) -> bool {
    let mut rest = said;
    quote.split('…').all(|part| {
        let found = rest.find(part);
        rest = found.map_or("", |at| &rest[at + part.len()..]);
        found.is_some()
    })
}
