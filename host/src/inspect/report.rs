//! What `inspect` prints: a report for people, and the same as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use super::anatomy::{Anatomy, ToolExport};
use super::capability::Capability;
use super::standing::{Standing, routes};
use super::verify::Verified;
use crate::grants::Grants;
use crate::log::one_line;
use crate::sandbox::is_offered;

/// Everything that there is to say about a component.
pub(super) struct Report<'a> {
    /// Where it is from.
    pub(super) name: String,
    pub(super) anatomy: &'a Anatomy,
    pub(super) grants: Option<&'a Grants>,
    pub(super) standing: &'a Standing,
    pub(super) verified: Option<&'a Verified>,
}

/// Lines under headings. What a component says of itself never breaks a line or acts on a terminal.
#[derive(Default)]
struct Page(String);

impl Page {
    fn heading(&mut self, text: &str) {
        _ = writeln!(self.0, "{}{}", if self.0.is_empty() { "" } else { "\n" }, one_line(text));
    }

    fn line(&mut self, name: &str, value: &str) {
        _ = writeln!(self.0, "  {:<12} {}", one_line(name), one_line(value));
    }

    fn plain(&mut self, indent: usize, text: &str) {
        // What is written here is ASCII, and a type may be longer than a line of the log.
        let plain = |character: char| character.is_ascii_graphic() || matches!(character, ' ' | '…');
        let text = text.chars().map(|character| if plain(character) { character } else { '?' });
        _ = writeln!(self.0, "{:indent$}{}", "", text.collect::<String>());
    }
}

impl Report<'_> {
    /// The report for people.
    pub(super) fn text(&self) -> String {
        let mut page = Page::default();
        self.write_component(&mut page);
        self.write_imports(&mut page);
        self.write_tools(&mut page);
        self.write_grants(&mut page);
        page.heading(&self.verdict());
        page.0
    }

    fn write_component(&self, page: &mut Page) {
        page.heading(&format!("component {}", self.name));
        page.line("sha256", &self.anatomy.digest);
        page.line("size", &format!("{} bytes", self.anatomy.size));
        for (name, field) in [("language", "language"), ("built by", "processed-by"), ("sdk", "sdk")] {
            let producers = self.anatomy.producers.iter().filter(|producer| producer.field == field);
            let producers: Vec<String> =
                producers.map(|producer| format!("{} {}", producer.name, producer.version).trim().to_owned()).collect();
            if !producers.is_empty() {
                page.line(name, &producers.join(", "));
            }
        }
        if let Some(Verified { target, size, digest, compiled }) = self.verified {
            let verdict = if digest == compiled {
                "compiled again, byte for byte the same".to_owned()
            } else {
                format!("NOT THE SAME when compiled again: sha256 {compiled}")
            };
            page.line("code", &format!("{size} bytes for {target}, sha256 {digest}"));
            page.line("", &verdict);
        }
    }

    fn write_imports(&self, page: &mut Page) {
        page.heading("imports: what it can do at all");
        for capability in Capability::ALL {
            let imports = self.imports(capability);
            if imports.is_empty() {
                page.line(capability.name(), "none");
                continue;
            }
            let requests = imports.iter().any(|import| import.starts_with("wasi:http/outgoing-handler@"));
            let offered = imports.iter().any(|import| is_offered(import));
            page.line(
                capability.name(),
                match capability {
                    Capability::Network if offered && !requests => "the types of HTTP, but no requests",
                    _ if !offered => "not offered to any component",
                    _ => capability.meaning(),
                },
            );
            for import in imports {
                page.line("", &format!("{import}{}", if is_offered(import) { "" } else { "  NOT OFFERED" }));
            }
        }
    }

    fn imports(&self, capability: Capability) -> Vec<&str> {
        let imports = self.anatomy.imports.iter().map(String::as_str);
        imports.filter(|import| Capability::of(import) == capability).collect()
    }

    fn write_tools(&self, page: &mut Page) {
        page.heading("tools: what it exports, and the requests that each may make");
        for tool in &self.anatomy.tools {
            page.plain(2, &tool.name);
            page.plain(4, &signature(tool));
            if !tool.function.is_fit() {
                page.plain(4, "CANNOT BE A TOOL: it is asynchronous, or JSON cannot tell its types");
            }
            let routes = routes(self.grants, &tool.name);
            if routes.is_empty() {
                page.plain(4, "NOT GRANTED: it has no rules, so it is not offered");
            }
            for route in routes {
                page.plain(4, &format!("may {route}"));
            }
        }
        if self.anatomy.tools.is_empty() {
            page.plain(2, "none");
        }
        for export in &self.anatomy.other_exports {
            page.plain(2, &format!("{export}: no function of its world; never called"));
        }
        if !self.anatomy.types.is_empty() {
            page.heading("types");
        }
        for (_, definition) in &self.anatomy.types {
            page.plain(2, definition);
        }
    }

    fn write_grants(&self, page: &mut Page) {
        page.heading("grants");
        match self.grants {
            None => page.line("none", "nothing is granted; name a grant file with --grants"),
            Some(grants) => {
                page.line("destination", &grants.base_url.to_string());
                for secret in &grants.secrets {
                    page.line("secret", &format!("{}: only into the header `{}`", secret.name, secret.header));
                }
                page.line("sha256", &grants.digest());
            }
        }
        let listed = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let Standing { granted, unused, missing_tools, missing_imports, .. } = self.standing;
        page.line("granted", &listed(granted.iter().map(String::as_str).collect()));
        page.line("unused", &listed(unused.iter().map(|grant| grant.tool.as_str()).collect()));
        page.line("missing", &listed(missing_tools.iter().chain(missing_imports).map(String::as_str).collect()));
    }

    /// The last line: what follows from it.
    fn verdict(&self) -> String {
        let Standing { missing_tools, missing_imports, unfit, .. } = self.standing;
        let counts = [
            (missing_imports.len(), "not offered", "import", "imports"),
            (missing_tools.len(), "without rules", "tool", "tools"),
            (unfit.len(), "that cannot be a tool", "function", "functions"),
        ];
        let counts = counts.into_iter().filter(|(count, ..)| *count > 0);
        let counts =
            counts.map(|(count, what, one, many)| format!("{count} {} {what}", if count == 1 { one } else { many }));
        let mut verdict = if self.standing.is_content() {
            "It asks for nothing more than it is granted.".to_owned()
        } else {
            format!("It asks for MORE THAN IT IS GRANTED: {}.", counts.collect::<Vec<_>>().join(", "))
        };
        if self.verified.is_some_and(|verified| !verified.holds()) {
            verdict.push_str(" The code that runs is NOT THE COMPONENT'S.");
        }
        verdict
    }

    /// The report for machines.
    pub(super) fn json(&self) -> Value {
        let Anatomy { digest, size, types, other_exports, .. } = self.anatomy;
        let Standing { granted, unused, missing_tools, missing_imports, unfit } = self.standing;
        let import = |name: &str| json!({ "name": name, "offered": is_offered(name) });
        let imports = Capability::ALL.map(|capability| {
            let imports = self.imports(capability).into_iter().map(import).collect::<Value>();
            (capability.name().to_owned(), imports)
        });
        let producers = self
            .anatomy
            .producers
            .iter()
            .map(|producer| json!({ "field": producer.field, "name": producer.name, "version": producer.version }));
        let code = self.verified.map(
            |code| json!({ "target": code.target, "size": code.size, "sha256": code.digest, "verified": code.holds() }),
        );
        let types = types.iter().map(|(name, definition)| (name.clone(), definition.as_str().into()));
        json!({
            "version": 1,
            "component": {
                "name": self.name, "sha256": digest, "size": size, "producers": producers.collect::<Value>(), "code": code,
            },
            "imports": serde_json::Map::from_iter(imports),
            "tools": self.anatomy.tools.iter().map(|tool| self.tool(tool)).collect::<Value>(),
            "types": types.collect::<serde_json::Map<_, _>>(),
            "other_exports": other_exports,
            "grants": self.grants.map(|grants| json!({ "sha256": grants.digest(), "effective": grants.canonical() })),
            "granted": granted,
            "unused": unused,
            "missing": { "imports": missing_imports, "tools": missing_tools, "unfit": unfit },
            "asks_for_more": !self.standing.is_content(),
        })
    }

    fn tool(&self, tool: &ToolExport) -> Value {
        let parameters = tool.function.parameters.iter().map(|(name, ty)| json!({ "name": name, "type": ty }));
        json!({
            "name": tool.name,
            "export": tool.export,
            "type": tool.function.to_string(),
            "parameters": parameters.collect::<Value>(),
            "result": tool.function.result,
            "description": tool.description,
            "rules": routes(self.grants, &tool.name),
        })
    }
}

/// A function as WIT writes it.
fn signature(tool: &ToolExport) -> String {
    format!("{}: {}", tool.export, tool.function)
}
