//! JSON Schema, as far as the host writes it; a keyword that is not known here is an error.

use serde_json::{Map, Value};

/// Why a value does not conform, or that it does.
pub(crate) fn check(schema: &Value, value: &Value) -> Result<(), String> {
    let schema = schema.as_object().ok_or("a schema is an object")?;
    schema.iter().try_for_each(|(keyword, wanted)| {
        let holds = holds(schema, keyword, wanted, value)?;
        if holds { Ok(()) } else { Err(format!("{value} is against `{keyword}`: {wanted}")) }
    })
}

fn holds(schema: &Map<String, Value>, keyword: &str, wanted: &Value, value: &Value) -> Result<bool, String> {
    let number = |value: &Value| value.as_number().and_then(|number| number.as_i128());
    let length = value.as_str().map(|text| text.chars().count() as u64);
    let items = value.as_array();
    Ok(match keyword {
        "type" => is_of_type(wanted.as_str().ok_or("`type` is a name")?, value),
        "const" => value == wanted,
        "enum" => wanted.as_array().is_some_and(|names| names.contains(value)),
        "minimum" => number(value) >= number(wanted),
        "maximum" => number(value) <= number(wanted),
        "minLength" => length >= wanted.as_u64(),
        "maxLength" => length <= wanted.as_u64(),
        "minItems" => items.is_some_and(|items| items.len() as u64 >= wanted.as_u64().unwrap_or(0)),
        "maxItems" => items.is_some_and(|items| items.len() as u64 <= wanted.as_u64().unwrap_or(0)),
        "uniqueItems" => items.is_some_and(|items| (1..items.len()).all(|at| !items[..at].contains(&items[at]))),
        "items" => return all(items.into_iter().flatten().map(|item| (wanted, item))),
        "prefixItems" => return all(wanted.as_array().into_iter().flatten().zip(items.into_iter().flatten())),
        "required" => {
            wanted.as_array().into_iter().flatten().all(|name| value.get(name.as_str().unwrap_or("")).is_some())
        }
        "properties" => return all(given(wanted, value).filter_map(|(property, value)| Some((property?, value)))),
        "additionalProperties" => given(&schema["properties"], value).all(|(property, _)| property.is_some()),
        "anyOf" => alternatives(wanted).any(|schema| check(schema, value).is_ok()),
        "oneOf" => alternatives(wanted).filter(|schema| check(schema, value).is_ok()).count() == 1,
        other => return Err(format!("the keyword `{other}` is not known")),
    })
}

fn is_of_type(name: &str, value: &Value) -> bool {
    match name {
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => false,
    }
}

fn all<'a>(mut pairs: impl Iterator<Item = (&'a Value, &'a Value)>) -> Result<bool, String> {
    pairs.try_for_each(|(schema, value)| check(schema, value)).map(|()| true)
}

/// The properties that an object has, each with its schema if there is one.
fn given<'a>(properties: &'a Value, object: &'a Value) -> impl Iterator<Item = (Option<&'a Value>, &'a Value)> {
    object.as_object().into_iter().flatten().map(|(name, value)| (properties.get(name), value))
}

fn alternatives(wanted: &Value) -> impl Iterator<Item = &Value> {
    wanted.as_array().into_iter().flatten()
}
