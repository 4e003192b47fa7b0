//! WIT types as JSON Schema.
//!
//! The mapping, here and in [`super::value`]: a record is an object (kebab-case becomes snake_case, an optional field
//! is not required), an enum is a string, an option is its value, or absent (where it is no field: null), a variant is an object with one key, a
//! flags type is an array of names, a tuple is an array, a char is a string.

use serde_json::{Map, Value, json};
use wasmtime::component::Type;

/// A WIT name as MCP shows it.
pub(crate) fn snake_case(name: &str) -> String {
    name.replace('-', "_")
}

/// Whether a value of this type can be told in JSON: resources, futures and streams cannot.
pub(crate) fn is_representable(ty: &Type) -> bool {
    match ty {
        Type::List(list) => is_representable(&list.ty()),
        Type::Record(record) => record.fields().all(|field| is_representable(&field.ty)),
        Type::Tuple(tuple) => tuple.types().all(|ty| is_representable(&ty)),
        Type::Variant(variant) => variant.cases().all(|case| case.ty.as_ref().is_none_or(is_representable)),
        Type::Option(option) => is_representable(&option.ty()),
        Type::Result(result) => [result.ok(), result.err()].iter().flatten().all(is_representable),
        Type::Bool | Type::Char | Type::String | Type::Float32 | Type::Float64 | Type::Enum(_) | Type::Flags(_) => true,
        other => integer_range(other).is_some(),
    }
}

/// The schema of a value of this type.
pub(crate) fn schema_of(ty: &Type) -> Value {
    match ty {
        Type::Bool => json!({ "type": "boolean" }),
        Type::String => json!({ "type": "string" }),
        Type::Char => json!({ "type": "string", "minLength": 1, "maxLength": 2 }),
        Type::Float32 | Type::Float64 => json!({ "type": "number" }),
        Type::Enum(names) => json!({ "type": "string", "enum": names.names().collect::<Vec<_>>() }),
        Type::Flags(flags) => json!({
            "type": "array", "items": { "type": "string", "enum": flags.names().collect::<Vec<_>>() }, "uniqueItems": true
        }),
        Type::List(list) => json!({ "type": "array", "items": schema_of(&list.ty()) }),
        Type::Option(option) => nullable(schema_of(&option.ty())),
        Type::Record(record) => object_schema(record.fields().map(|field| (field.name.to_owned(), field.ty))),
        Type::Tuple(tuple) => tuple_schema(tuple.types().collect()),
        Type::Variant(variant) => one_of(variant.cases().map(|case| (case.name.to_owned(), case.ty))),
        Type::Result(result) => {
            one_of([("ok".to_owned(), result.ok()), ("error".to_owned(), result.err())].into_iter())
        }
        integer => match integer_range(integer) {
            Some((least, most)) => json!({ "type": "integer", "minimum": least, "maximum": most }),
            None => json!({}),
        },
    }
}

/// An object with these fields, in this order; those that are options are not required.
pub(crate) fn object_schema(fields: impl Iterator<Item = (String, Type)>) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, ty) in fields {
        let name = snake_case(&name);
        if !matches!(ty, Type::Option(_)) {
            required.push(name.clone());
        }
        properties.insert(name, field_schema(&ty));
    }
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// The schema of a field that is there.
fn field_schema(ty: &Type) -> Value {
    match ty {
        Type::Option(option) => field_schema(&option.ty()),
        other => schema_of(other),
    }
}

/// The schema of an option that cannot be left out: one in a list, for instance.
fn nullable(schema: Value) -> Value {
    if schema["anyOf"][1]["type"] == "null" { schema } else { json!({ "anyOf": [schema, { "type": "null" }] }) }
}

fn tuple_schema(types: Vec<Type>) -> Value {
    let count = types.len();
    // `items` as well as `prefixItems`: some clients refuse an array without the former.
    let items: Vec<Value> = types.iter().map(schema_of).collect();
    json!({ "type": "array", "prefixItems": items, "items": {}, "minItems": count, "maxItems": count })
}

fn one_of(cases: impl Iterator<Item = (String, Option<Type>)>) -> Value {
    let case = |(name, ty): (String, Option<Type>)| {
        let name = snake_case(&name);
        let payload = ty.as_ref().map_or_else(|| json!({ "type": "boolean", "const": true }), schema_of);
        json!({ "type": "object", "properties": { &name: payload }, "required": [name], "additionalProperties": false })
    };
    json!({ "oneOf": cases.map(case).collect::<Vec<_>>() })
}

/// The least and the greatest value of an integer type.
pub(crate) fn integer_range(ty: &Type) -> Option<(i64, u64)> {
    Some(match ty {
        Type::S8 => (i8::MIN.into(), i8::MAX as u64),
        Type::U8 => (0, u8::MAX.into()),
        Type::S16 => (i16::MIN.into(), i16::MAX as u64),
        Type::U16 => (0, u16::MAX.into()),
        Type::S32 => (i32::MIN.into(), i32::MAX as u64),
        Type::U32 => (0, u32::MAX.into()),
        Type::S64 => (i64::MIN, i64::MAX as u64),
        Type::U64 => (0, u64::MAX),
        _ => return None,
    })
}
