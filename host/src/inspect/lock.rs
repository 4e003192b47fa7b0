//! The lock: a component, its tools and its grants at the time when somebody agreed to them.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::anatomy::Anatomy;
use crate::config::read_text;
use crate::digest::sha256;
use crate::grants::Grants;
use crate::mcp;
use crate::sandbox::Sandbox;

/// The version of the file's form.
const VERSION: u64 = 1;

/// What a lock holds.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lock {
    version: u64,
    /// The component.
    pub(super) component: LockedComponent,
    /// The tools that are offered; none if they could not be read.
    pub(super) tools: Option<Vec<LockedTool>>,
    /// The grants.
    pub(super) grants: LockedGrants,
}

/// The component in a lock.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LockedComponent {
    /// The SHA-256 of its bytes.
    pub(super) sha256: String,
    /// What it imports.
    pub(super) imports: Vec<String>,
}

/// A tool in a lock, as clients see it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LockedTool {
    /// Its name.
    pub(super) name: String,
    /// What a model reads about it.
    pub(super) description: Option<String>,
    /// Its arguments' JSON Schema.
    pub(super) input_schema: Value,
    /// Its answer's JSON Schema.
    pub(super) output_schema: Option<Value>,
}

/// The grants in a lock.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LockedGrants {
    /// The SHA-256 of the effective grants.
    pub(super) sha256: String,
    /// The effective grants in their canonical form.
    pub(super) effective: Map<String, Value>,
}

impl Lock {
    /// A lock of what there is now.
    pub(super) fn of(anatomy: &Anatomy, grants: &Grants, sandbox: Option<&Sandbox>) -> Self {
        let tool = |sandbox: &Sandbox, tool: &crate::Tool| {
            let tool = mcp::describe(sandbox, tool);
            LockedTool {
                name: tool.name.into_owned(),
                description: tool.description.map(String::from),
                input_schema: Value::Object(Map::clone(&tool.input_schema)),
                output_schema: tool.output_schema.map(|schema| Value::Object(Map::clone(&schema))),
            }
        };
        let effective = match grants.canonical() {
            Value::Object(effective) => effective,
            other => Map::from_iter([("grants".to_owned(), other)]),
        };
        Self {
            version: VERSION,
            component: LockedComponent { sha256: anatomy.digest.clone(), imports: anatomy.imports.clone() },
            tools: sandbox.map(|sandbox| sandbox.tools().map(|known| tool(sandbox, known)).collect()),
            grants: LockedGrants { sha256: grants.digest(), effective },
        }
    }

    /// Reads a lock.
    ///
    /// # Errors
    ///
    /// When it is missing, not a lock, of another version, or not as it was written.
    pub(super) fn read(file: &Path) -> Result<Self> {
        let name = file.display();
        let hint = || format!("write one with `aigateway-mcp inspect --lock {name}`");
        let text = read_text(file).with_context(|| format!("the lock cannot be used; {}", hint()))?;
        let no_lock = |error| anyhow!("`{name}` is not a lock: {error}; {}", hint());
        let value: Value = serde_json::from_str(&text).map_err(no_lock)?;
        match &value["version"] {
            Value::Null => {}
            version if *version == VERSION => {}
            version => bail!("`{name}` is a lock of version {version}; this program reads {VERSION}; {}", hint()),
        }
        let lock: Self = serde_json::from_value(value).map_err(no_lock)?;
        ensure!(lock.tools.is_some(), "`{name}` is not a lock: it has no tools; {}", hint());
        let digest = sha256(Value::Object(lock.grants.effective.clone()).to_string());
        ensure!(digest == lock.grants.sha256, "`{name}` was edited: its grants do not have its digest; {}", hint());
        Ok(lock)
    }

    /// Writes a lock.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub(super) fn write(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(file, text).with_context(|| format!("cannot write `{}`", file.display()))
    }
}
