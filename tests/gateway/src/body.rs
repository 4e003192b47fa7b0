//! The body of a create or an update, decoded and validated as Go's `encoding/json` and the gateway's
//! validator do it, down to the texts of their errors.

use serde_json::error::Category;
use serde_json::{Deserializer, Map, Value};

/// The gateway's name for the type that it decodes into. It shows in every error.
const TYPE: &str = "CreateMappingRequest";

/// What a client asked to store. A zero value may mean that the field was absent: Go does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Submitted {
    pub(crate) alias: String,
    pub(crate) provider_id: String,
    pub(crate) model_name: String,
    pub(crate) description: String,
    pub(crate) enabled: Option<bool>,
    pub(crate) priority: i64,
}

/// Decodes and validates. The error is the gateway's text.
pub(crate) fn decode(body: &[u8]) -> Result<Submitted, String> {
    let submitted = match first_value(&String::from_utf8_lossy(body))? {
        Value::Object(fields) => Submitted::from_fields(&fields)?,
        Value::Null => Submitted::default(),
        other => return Err(format!("json: cannot unmarshal {} into Go value of type handlers.{TYPE}", kind(&other))),
    };
    submitted.require_fields()?;
    Ok(submitted)
}

impl Submitted {
    /// Field names match whatever their case, unknown ones are ignored, `null` leaves a field as it is.
    /// A wrong type does not stop the decoding, but the first one is its result.
    fn from_fields(fields: &Map<String, Value>) -> Result<Self, String> {
        let mut submitted = Submitted::default();
        let mut first_error = None;
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            if let Err(error) = submitted.set(&name.to_lowercase(), value) {
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(submitted), Err)
    }

    fn set(&mut self, name: &str, value: &Value) -> Result<(), String> {
        match name {
            "alias" => self.alias = text(name, value)?,
            "provider_id" => self.provider_id = text(name, value)?,
            "model_name" => self.model_name = text(name, value)?,
            "description" => self.description = text(name, value)?,
            "enabled" => self.enabled = Some(value.as_bool().ok_or_else(|| mismatch(name, value, "bool"))?),
            "priority" => self.priority = value.as_i64().ok_or_else(|| mismatch(name, value, "int"))?,
            _ => {}
        }
        Ok(())
    }

    fn require_fields(&self) -> Result<(), String> {
        let required = [("Alias", &self.alias), ("ProviderID", &self.provider_id), ("ModelName", &self.model_name)];
        let missing: Vec<String> = required
            .iter()
            .filter(|(_, value)| value.is_empty())
            .map(|(field, _)| {
                format!("Key: '{TYPE}.{field}' Error:Field validation for '{field}' failed on the 'required' tag")
            })
            .collect();
        if missing.is_empty() { Ok(()) } else { Err(missing.join("\n")) }
    }
}

fn text(name: &str, value: &Value) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| mismatch(name, value, "string"))
}

fn mismatch(name: &str, value: &Value, wanted: &str) -> String {
    let found = match value {
        Value::Number(number) if wanted == "int" => format!("number {number}"),
        other => kind(other).to_owned(),
    };
    format!("json: cannot unmarshal {found} into Go struct field {TYPE}.{name} of type {wanted}")
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The first JSON value; what follows it is not read.
fn first_value(text: &str) -> Result<Value, String> {
    match Deserializer::from_str(text).into_iter::<Value>().next() {
        None => Err("EOF".to_owned()),
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) if error.classify() == Category::Eof => Err("unexpected EOF".to_owned()),
        Some(Err(error)) => Err(syntax_error(text, &error)),
    }
}

fn syntax_error(text: &str, error: &serde_json::Error) -> String {
    let message = error.to_string();
    if message.starts_with("recursion limit") {
        return "exceeded max depth".to_owned();
    }
    let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
    let before = line.get(..error.column().saturating_sub(1)).unwrap_or_default();
    match line[before.len()..].chars().next() {
        Some(character) => format!("invalid character {} {}", quoted(character), context(&message)),
        None => format!("invalid character '\\n' {}", context(&message)),
    }
}

/// Where Go says that a character is wrong, for what serde says about it.
fn context(message: &str) -> &'static str {
    const CONTEXTS: [(&str, &str); 7] = [
        ("key must be a string", "looking for beginning of object key string"),
        ("trailing comma", "looking for beginning of object key string"),
        ("expected `:`", "after object key"),
        ("expected `,` or `}`", "after object key:value pair"),
        ("expected `,` or `]`", "after array element"),
        ("control character", "in string literal"),
        ("invalid escape", "in string escape code"),
    ];
    let known = CONTEXTS.iter().find(|(start, _)| message.starts_with(start));
    known.map_or("looking for beginning of value", |(_, context)| context)
}

fn quoted(character: char) -> String {
    match character {
        '\'' => r"'\''".to_owned(),
        '"' => "'\"'".to_owned(),
        other if other.is_control() => format!("'{}'", other.escape_default()),
        other => format!("'{other}'"),
    }
}
