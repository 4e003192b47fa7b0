//! Components: the embedded one and others, and the tools that reflection finds in them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use crate::digest::sha256;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};
use wasmtime::Engine;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex, Type, Val};

mod docs;
mod embedded;
mod file;
mod schema;
mod value;

use docs::FunctionDocs;
pub(crate) use docs::function_docs;
pub(crate) use embedded::{EMBEDDED, EMBEDDED_CODE, prepare as prepare_for_embedded};
pub(crate) use file::read_component;
pub(crate) use schema::snake_case;

/// A component that is ready to be linked.
pub(crate) struct Loaded {
    /// Its code.
    pub(crate) component: Component,
    /// Its functions as tools, in the order of its exports.
    pub(crate) tools: Vec<Tool>,
    /// Its digest, imports and exports, for the record.
    pub(crate) description: Value,
}

/// One world-level function as a tool.
pub struct Tool {
    /// Its MCP name: snake_case.
    pub name: String,
    /// What the docs say that it does.
    pub(crate) description: String,
    /// Where its export is.
    pub(crate) export: ComponentExportIndex,
    parameters: Vec<(String, Type)>,
    parameter_docs: HashMap<String, String>,
    result: Option<Type>,
}

impl Loaded {
    /// The embedded component, for an engine that was prepared for it.
    pub(crate) fn embedded(engine: &Engine) -> Result<Self> {
        let docs = docs::section_docs(embedded::EMBEDDED_DOCS);
        Self::new(engine, embedded::load(engine)?, docs, embedded::EMBEDDED_DIGEST.to_owned())
    }

    /// Another component, compiled now. The code is not kept anywhere: a cache that somebody else can write to
    /// would be a way in.
    pub(crate) fn from_file(engine: &Engine, file: &Path) -> Result<Self> {
        let name = file.display();
        let bytes = read_component(file)?;
        let component = Component::from_binary(engine, &bytes)
            .map_err(anyhow::Error::from)
            .with_context(|| format!("`{name}` is not a component that can be compiled"))?;
        Self::new(engine, component, function_docs(&bytes), sha256(&bytes))
            .with_context(|| format!("cannot use `{name}`"))
    }

    fn new(
        engine: &Engine,
        component: Component,
        mut docs: HashMap<String, FunctionDocs>,
        digest: String,
    ) -> Result<Self> {
        let ty = component.component_type();
        let mut tools = Vec::new();
        for (name, item) in ty.exports(engine) {
            let ComponentItem::ComponentFunc(function) = item.ty else { continue };
            let export = component.get_export_index(None, name).with_context(|| format!("no export `{name}`"))?;
            tools.push(Tool::new(name, &function, export, docs.remove(name).unwrap_or_default())?);
        }
        ensure!(!tools.is_empty(), "it exports no function at the level of its world, so it has no tools");
        let imports: Vec<&str> = ty.imports(engine).map(|(name, _)| name).collect();
        let exports: Vec<&str> = ty.exports(engine).map(|(name, _)| name).collect();
        let description = json!({ "digest": digest, "imports": imports, "exports": exports });
        Ok(Self { component, tools, description })
    }
}

/// The outcome of a tool, as its type tells it.
pub(crate) enum Returned {
    /// What it answers.
    Answer(Answered),
    /// Why it failed.
    Failure(String),
}

/// What a tool answers: an object.
pub(crate) struct Answered(Option<Val>);

impl Answered {
    /// It as compact JSON.
    pub(crate) fn json(&self) -> String {
        self.json_with(|text| Cow::Borrowed(text))
    }

    /// The same, with every text in it changed.
    pub(crate) fn json_with(&self, change: impl Fn(&str) -> Cow<'_, str>) -> String {
        match &self.0 {
            None => "{}".to_owned(),
            Some(record @ Val::Record(_)) => value::to_json_with(record, change),
            Some(other) => format!("{{\"result\":{}}}", value::to_json_with(other, change)),
        }
    }
}

impl Tool {
    fn new(name: &str, function: &ComponentFunc, export: ComponentExportIndex, docs: FunctionDocs) -> Result<Self> {
        let parameters: Vec<(String, Type)> = function.params().map(|(name, ty)| (name.to_owned(), ty)).collect();
        let results: Vec<Type> = function.results().collect();
        if let Some((parameter, _)) = parameters.iter().find(|(_, ty)| !schema::is_representable(ty)) {
            bail!("the parameter `{parameter}` of `{name}` has a type that cannot be told in JSON");
        }
        if function.async_() || !results.iter().all(schema::is_representable) {
            bail!("`{name}` is asynchronous, or its result has a type that cannot be told in JSON");
        }
        Ok(Self {
            name: snake_case(name),
            description: docs.description,
            export,
            parameters,
            parameter_docs: docs.parameters,
            result: results.into_iter().next(),
        })
    }

    /// The JSON Schema of its arguments: required ones first, then in their order, those that bring a secret last.
    pub(crate) fn input_schema(&self, is_secret: impl Fn(&str) -> bool) -> Map<String, Value> {
        let mut parameters = self.parameters.clone();
        parameters.sort_by_key(|(name, ty)| (matches!(ty, Type::Option(_)), is_secret(&snake_case(name))));
        let mut schema = schema::object_schema(parameters.into_iter());
        for (name, text) in &self.parameter_docs {
            if let Some(Value::Object(property)) = schema["properties"].get_mut(snake_case(name)) {
                property.insert("description".to_owned(), text.as_str().into());
            }
        }
        into_object(schema)
    }

    /// The JSON Schema of its answer: always an object.
    pub(crate) fn output_schema(&self) -> Map<String, Value> {
        let answer = self.answer_type();
        into_object(match answer.as_deref() {
            Some(record @ Type::Record(_)) => schema::schema_of(record),
            Some(other) => schema::object_schema([("result".to_owned(), other.clone())].into_iter()),
            None => json!({ "type": "object", "properties": {}, "additionalProperties": false }),
        })
    }

    /// The type of what it answers when it does not fail.
    fn answer_type(&self) -> Option<Cow<'_, Type>> {
        match &self.result {
            Some(Type::Result(result)) => result.ok().map(Cow::Owned),
            Some(other) => Some(Cow::Borrowed(other)),
            None => None,
        }
    }

    /// How many results a call of it has: one or none.
    pub(crate) fn result_count(&self) -> usize {
        usize::from(self.result.is_some())
    }

    /// Its parameters by their MCP names, and whether each must be given.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (String, bool)> + '_ {
        self.parameters.iter().map(|(name, ty)| (snake_case(name), !matches!(ty, Type::Option(_))))
    }

    /// Reads a call's arguments.
    ///
    /// # Errors
    ///
    /// A sentence that says which argument does not fit and what is wanted; no argument's text is repeated in it.
    pub(crate) fn arguments(&self, arguments: &Map<String, Value>) -> Result<Vec<Val>, String> {
        let values = value::read_fields(None, &self.parameters, arguments).map_err(|mismatch| mismatch.to_string())?;
        Ok(values.into_iter().map(|(_, value)| value).collect())
    }

    /// Reads what a call returned.
    pub(crate) fn returned(&self, values: Vec<Val>) -> Returned {
        match values.into_iter().next() {
            Some(Val::Result(Err(failure))) => Returned::Failure(failure_text(failure)),
            Some(Val::Result(Ok(answer))) => Returned::Answer(Answered(answer.map(|answer| *answer))),
            answer => Returned::Answer(Answered(answer)),
        }
    }
}

fn into_object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => Map::from_iter([("const".to_owned(), other)]),
    }
}

/// The message of a failure: its field `message` where it has one, or all of it.
fn failure_text(failure: Option<Box<Val>>) -> String {
    let Some(failure) = failure else { return "it gave no reason".to_owned() };
    text_of(&failure).or_else(|| message_of(&failure)).unwrap_or_else(|| value::to_json(&failure))
}

/// The text of a value that JSON says as a string.
fn text_of(value: &Val) -> Option<String> {
    match value {
        Val::String(text) | Val::Enum(text) => Some(text.clone()),
        Val::Char(char) => Some(char.to_string()),
        Val::Option(inner) => text_of(inner.as_deref()?),
        _ => None,
    }
}

/// The field `message` of a value that JSON says as an object, if it is a text.
fn message_of(value: &Val) -> Option<String> {
    match value {
        Val::Record(fields) => text_of(&fields.iter().find(|(name, _)| name == "message")?.1),
        Val::Variant(case, payload) if case == "message" => text_of(payload.as_deref()?),
        Val::Option(inner) => message_of(inner.as_deref()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_by_its_message_wherever_that_is() {
        let text = |text: &str| Val::String(text.to_owned());
        let some = |value: Val| Val::Option(Some(Box::new(value)));
        let record = |message: Val| Val::Record(vec![("kind".into(), text("x")), ("message".into(), message)]);
        for (failure, told) in [
            (text("a\"b"), "a\"b"),
            (some(text("a")), "a"),
            (Val::Enum("no-such-thing".into()), "no-such-thing"),
            (Val::Char('c'), "c"),
            (record(text("why")), "why"),
            (some(record(some(text("why")))), "why"),
            (Val::Variant("message".into(), Some(Box::new(text("why")))), "why"),
            (Val::Variant("other".into(), Some(Box::new(text("why")))), r#"{"other":"why"}"#),
            (record(Val::U8(5)), r#"{"kind":"x","message":5}"#),
        ] {
            assert_eq!(failure_text(Some(Box::new(failure))), told);
        }
    }

    #[test]
    fn the_docs_beside_the_embedded_component_are_those_in_it() {
        assert_eq!(docs::section_docs(embedded::EMBEDDED_DOCS), function_docs(EMBEDDED));
        assert_eq!(function_docs(EMBEDDED).len(), 4);
    }
}
