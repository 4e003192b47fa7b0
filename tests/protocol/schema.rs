//! As much of JSON Schema as the tools use: a lint for what clients cannot take, and whether a value matches.

use serde_json::{Map, Value};

/// What makes a client refuse a tool, or lose the whole list.
pub(super) fn lint_root(schema: &Value) {
    assert_eq!(schema["type"], "object", "{schema}");
    for keyword in ["oneOf", "anyOf", "allOf", "enum", "not"] {
        assert!(schema.get(keyword).is_none(), "`{keyword}` at the root: {schema}");
    }
    lint(schema);
}

fn lint(schema: &Value) {
    let fields = schema.as_object().unwrap_or_else(|| panic!("not a schema: {schema}"));
    assert!(!fields.contains_key("$ref") && !fields.contains_key("$defs"), "{schema}");
    if schema["type"] == "array" {
        lint(schema.get("items").unwrap_or_else(|| panic!("an array without items: {schema}")));
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        assert!((1..=64).contains(&name.len()) && name.chars().all(allowed), "{name}");
        lint(property);
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(schema["properties"].get(name.as_str().unwrap()).is_some(), "{name} is required and not there");
    }
}

/// Why a value does not match a schema. A keyword that is not known here is refused, not skipped.
pub(super) fn mismatch(schema: &Value, value: &Value) -> Option<String> {
    for (keyword, wanted) in schema.as_object()? {
        let fits = match keyword.as_str() {
            "type" => has_type(wanted.as_str()?, value),
            "enum" => wanted.as_array()?.contains(value),
            "minimum" => value.as_f64() >= wanted.as_f64(),
            "maximum" => value.as_f64() <= wanted.as_f64(),
            "required" => wanted.as_array()?.iter().all(|name| value.get(name.as_str().unwrap()).is_some()),
            "additionalProperties" => value.as_object()?.keys().all(|name| schema["properties"].get(name).is_some()),
            "items" => return value.as_array()?.iter().find_map(|item| mismatch(wanted, item)),
            "properties" => match wrong_property(wanted.as_object()?, value) {
                None => true,
                wrong => return wrong,
            },
            "description" => true,
            other => return Some(format!("unknown keyword `{other}`")),
        };
        if !fits {
            return Some(format!("`{keyword}` = {wanted}, but the value is {value}"));
        }
    }
    None
}

fn wrong_property(properties: &Map<String, Value>, value: &Value) -> Option<String> {
    properties.iter().find_map(|(name, schema)| {
        let wrong = mismatch(schema, value.get(name)?)?;
        Some(format!("{name}: {wrong}"))
    })
}

fn has_type(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => false,
    }
}
