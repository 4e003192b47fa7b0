//! What a component is, read from its bytes: nothing is compiled, and nothing of it runs.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType, ComponentItem};
use wasmparser::types::Types;
use wasmparser::{FuncValidatorAllocations, Parser, Payload, ProducersSectionReader, ValidPayload, Validator};

use super::types::{Names, Used};
use crate::component::{function_docs, snake_case};
use crate::digest::sha256;

/// The most producers that are kept: whoever made the component wrote them.
const MOST_PRODUCERS: usize = 64;

/// What a component's bytes say.
pub(super) struct Anatomy {
    /// Their SHA-256.
    pub(super) digest: String,
    /// How many they are.
    pub(super) size: usize,
    /// What built it, as it says itself.
    pub(super) producers: BTreeSet<Producer>,
    /// The imports that can be called or used; mere types are no imports.
    pub(super) imports: Vec<String>,
    /// The functions at the level of its world.
    pub(super) tools: Vec<ToolExport>,
    /// The named types of those functions, and their definitions.
    pub(super) types: Vec<(String, String)>,
    /// Other exports, which are never called.
    pub(super) other_exports: Vec<String>,
}

/// One entry of a `producers` section.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Producer {
    /// `language`, `sdk` or `processed-by`.
    pub(super) field: String,
    /// Such as `rustc`.
    pub(super) name: String,
    /// Its version, which may be empty.
    pub(super) version: String,
}

/// One exported function.
pub(super) struct ToolExport {
    /// Its name as a tool.
    pub(super) name: String,
    /// Its name in WIT.
    pub(super) export: String,
    /// What the docs say.
    pub(super) description: String,
    /// Its type.
    pub(super) function: super::types::Function,
}

impl Anatomy {
    /// Reads a component.
    ///
    /// # Errors
    ///
    /// When it is none, or is not valid: where, and what is wrong.
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        let mut found = Found::default();
        let types = found.validate(bytes).context("not a valid component")?;
        let mut anatomy = Self {
            digest: sha256(bytes),
            size: bytes.len(),
            producers: found.producers,
            imports: Vec::new(),
            tools: Vec::new(),
            types: Vec::new(),
            other_exports: Vec::new(),
        };
        let imports = with_types(&found.imports, |name| types.component_item_for_import(name))?;
        let exports = with_types(&found.exports, |name| types.component_item_for_export(name))?;
        let behaving = imports.iter().filter(|(_, item)| is_behaviour(&types, item));
        anatomy.imports = behaving.map(|(name, _)| (*name).to_owned()).collect();
        let names = Names::new(&types, &[imports.clone(), exports.clone()].concat());
        anatomy.read_exports(bytes, &names, &exports);
        Ok(anatomy)
    }

    fn read_exports(&mut self, bytes: &[u8], names: &Names<'_>, exports: &[(&str, ComponentEntityType)]) {
        let mut docs = function_docs(bytes);
        let mut used = Used::default();
        for (export, item) in exports {
            match item {
                ComponentEntityType::Func(id) => self.tools.push(ToolExport {
                    name: snake_case(export),
                    export: (*export).to_owned(),
                    description: docs.remove(*export).unwrap_or_default().description,
                    function: names.function(*id, &mut used),
                }),
                ComponentEntityType::Type { .. } => {}
                _ => self.other_exports.push((*export).to_owned()),
            }
        }
        self.types = names.definitions(used);
    }
}

/// Names, and what each of them is.
fn with_types<'n, 't>(
    names: &[&'n str],
    item: impl Fn(&str) -> Option<&'t ComponentItem>,
) -> Result<Vec<(&'n str, ComponentEntityType)>> {
    let with_type = |name: &&'n str| Ok((*name, item(name).with_context(|| format!("`{name}` has no type"))?.ty));
    names.iter().map(with_type).collect()
}

/// What is found on the way through the bytes.
#[derive(Default)]
struct Found<'a> {
    depth: usize,
    imports: Vec<&'a str>,
    exports: Vec<&'a str>,
    producers: BTreeSet<Producer>,
}

impl<'a> Found<'a> {
    /// Validates a component, and looks at each of its sections on the way.
    fn validate(&mut self, bytes: &'a [u8]) -> Result<Types> {
        ensure!(Parser::is_component(bytes), "it does not begin as a component does");
        let mut validator = Validator::new();
        let mut bodies = FuncValidatorAllocations::default();
        let mut last = None;
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload?;
            match validator.payload(&payload)? {
                ValidPayload::End(types) => last = Some(types),
                ValidPayload::Func(function, body) => {
                    let mut function = function.into_validator(bodies);
                    function.validate(&body)?;
                    bodies = function.into_allocations();
                }
                _ => {}
            }
            self.look_at(payload)?;
        }
        last.context("it ends too early")
    }

    fn look_at(&mut self, payload: Payload<'a>) -> Result<()> {
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => self.depth += 1,
            Payload::End(_) => self.depth = self.depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if self.depth == 0 => {
                for import in section {
                    self.imports.push(import?.name.name);
                }
            }
            Payload::ComponentExportSection(section) if self.depth == 0 => {
                for export in section {
                    self.exports.push(export?.name.name);
                }
            }
            Payload::CustomSection(section) if section.name() == "producers" => {
                // A custom section may hold anything: what cannot be read says nothing.
                _ = self.read_producers(section.data());
            }
            _ => {}
        }
        Ok(())
    }

    fn read_producers(&mut self, data: &[u8]) -> Result<()> {
        for field in ProducersSectionReader::new(wasmparser::BinaryReader::new(data, 0))? {
            let field = field?;
            for value in field.values {
                let value = value?;
                if self.producers.len() < MOST_PRODUCERS {
                    let [field, name, version] = [field.name, value.name, value.version].map(str::to_owned);
                    self.producers.insert(Producer { field, name, version });
                }
            }
        }
        Ok(())
    }
}

/// Whether an import is something that can be called or held, and not only a type: the same question as the sandbox
/// asks when it links.
fn is_behaviour(types: &Types, item: &ComponentEntityType) -> bool {
    let is_type = |item: &ComponentEntityType| match item {
        ComponentEntityType::Type { created, .. } => !matches!(created, ComponentAnyTypeId::Resource(_)),
        _ => false,
    };
    match item {
        ComponentEntityType::Instance(id) => types[*id].exports.values().any(|item| !is_type(&item.ty)),
        item => !is_type(item),
    }
}
