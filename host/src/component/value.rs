//! JSON values as WIT values and back; the mapping is described in [`super::schema`].

use std::borrow::Cow;

use serde_json::{Map, Number, Value};
use wasmtime::component::{Type, Val};

use super::schema::{integer_range, snake_case};

/// What the JSON of an answer usually fits into.
const USUAL_LENGTH: usize = 4 << 10;

/// Why an argument does not fit its type: where, and what is wanted there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` must be {wanted}, not {found}")]
pub(crate) struct Mismatch {
    path: String,
    wanted: String,
    found: String,
}

/// Reads a JSON value as a value of this type.
///
/// Models and command lines send strings where the schema wants something else: `"5"`, `"true"` and `"{…}"` are read
/// as what is wanted. Nothing else is converted; a number is no string.
pub(crate) fn to_wit(path: &str, ty: &Type, value: &Value) -> Result<Val, Mismatch> {
    match read(path, ty, value) {
        Err(mismatch) => match value.as_str().and_then(|text| serde_json::from_str(text).ok()) {
            Some(inner) if !matches!(inner, Value::String(_)) => read(path, ty, &inner).map_err(|_| mismatch),
            _ => Err(mismatch),
        },
        read => read,
    }
}

fn read(path: &str, ty: &Type, value: &Value) -> Result<Val, Mismatch> {
    let mismatch = |wanted: &str| Mismatch { path: path.to_owned(), wanted: wanted.to_owned(), found: found(value) };
    match ty {
        Type::Bool => value.as_bool().map(Val::Bool).ok_or_else(|| mismatch("true or false")),
        Type::String => value.as_str().map(|s| Val::String(s.to_owned())).ok_or_else(|| mismatch("a string")),
        Type::Char => single_char(value).map(Val::Char).ok_or_else(|| mismatch("a string of one character")),
        Type::Float32 => {
            single_float(value).map(Val::Float32).ok_or_else(|| mismatch("a number that 32 bits can hold"))
        }
        Type::Float64 => value.as_f64().map(Val::Float64).ok_or_else(|| mismatch("a number")),
        Type::Enum(names) => match value.as_str().filter(|s| names.names().any(|name| name == *s)) {
            Some(name) => Ok(Val::Enum(name.to_owned())),
            None => Err(mismatch(&format!("one of {}", listed(names.names())))),
        },
        Type::Flags(flags) => {
            let names = value.as_array().map(|items| items.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
            let known = |names: &Vec<&str>| names.iter().all(|name| flags.names().any(|flag| flag == *name));
            let once = |names: &Vec<&str>| (1..names.len()).all(|at| !names[..at].contains(&names[at]));
            let names = names.flatten().filter(known).filter(once);
            let names =
                names.ok_or_else(|| mismatch(&format!("a list of any of {}, each once", listed(flags.names()))))?;
            Ok(Val::Flags(names.into_iter().map(str::to_owned).collect()))
        }
        Type::Option(option) => match value {
            Value::Null => Ok(Val::Option(None)),
            // A none within an option is none: JSON cannot tell them apart.
            value => {
                Ok(Val::Option(Some(to_wit(path, &option.ty(), value)?).filter(|inner| !is_none(inner)).map(Box::new)))
            }
        },
        Type::List(list) => {
            let items = value.as_array().ok_or_else(|| mismatch("an array"))?.iter().enumerate();
            let items = items.map(|(at, item)| to_wit(&format!("{path}[{at}]"), &list.ty(), item));
            Ok(Val::List(items.collect::<Result<_, _>>()?))
        }
        Type::Tuple(tuple) => {
            let count = tuple.types().len();
            let items = value.as_array().filter(|items| items.len() == count);
            let items = items.ok_or_else(|| mismatch(&format!("an array of {count} items")))?;
            let items = tuple.types().zip(items).enumerate();
            let items = items.map(|(at, (ty, item))| to_wit(&format!("{path}[{at}]"), &ty, item));
            Ok(Val::Tuple(items.collect::<Result<_, _>>()?))
        }
        Type::Record(record) => {
            let object = value.as_object().ok_or_else(|| mismatch("an object"))?;
            let fields = record.fields().map(|field| (field.name.to_owned(), field.ty)).collect::<Vec<_>>();
            Ok(Val::Record(read_fields(Some(path), &fields, object)?))
        }
        Type::Variant(variant) => {
            let cases = variant.cases().map(|case| (case.name.to_owned(), case.ty));
            let (name, payload) = read_case(path, cases.collect(), value)?;
            Ok(Val::Variant(name, payload))
        }
        Type::Result(result) => {
            let cases = vec![("ok".to_owned(), result.ok()), ("error".to_owned(), result.err())];
            let (name, payload) = read_case(path, cases, value)?;
            Ok(Val::Result(if name == "ok" { Ok(payload) } else { Err(payload) }))
        }
        integer => read_integer(integer, value).ok_or_else(|| match integer_range(integer) {
            Some((least, most)) => mismatch(&format!("a whole number from {least} to {most}")),
            None => mismatch("something that JSON cannot say"),
        }),
    }
}

/// Reads an object's fields, in the order of the types. An absent or null optional field is none; a field that the
/// type does not have is a mismatch.
pub(crate) fn read_fields(
    path: Option<&str>,
    fields: &[(String, Type)],
    object: &Map<String, Value>,
) -> Result<Vec<(String, Val)>, Mismatch> {
    let inner = |name: &str| path.map_or_else(|| name.to_owned(), |path| format!("{path}.{name}"));
    if let Some(extra) = object.keys().find(|key| !fields.iter().any(|(name, _)| snake_case(name) == **key)) {
        let known: Vec<String> = fields.iter().map(|(name, _)| snake_case(name)).collect();
        let wanted = format!("left out: there is only {}", listed(known.iter().map(String::as_str)));
        return Err(Mismatch { path: inner(extra), wanted, found: found(&object[extra]) });
    }
    let field = |(name, ty): &(String, Type)| {
        let key = snake_case(name);
        let value = match (object.get(&key), ty) {
            (None | Some(Value::Null), Type::Option(_)) => Val::Option(None),
            (None, _) => {
                return Err(Mismatch { path: inner(&key), wanted: "given".to_owned(), found: "absent".to_owned() });
            }
            (Some(value), ty) => to_wit(&inner(&key), ty, value)?,
        };
        Ok((name.clone(), value))
    };
    fields.iter().map(field).collect()
}

type Case = (String, Option<Box<Val>>);

fn read_case(path: &str, cases: Vec<(String, Option<Type>)>, value: &Value) -> Result<Case, Mismatch> {
    let wanted = || {
        let names: Vec<String> = cases.iter().map(|(name, _)| snake_case(name)).collect();
        let wanted = format!("an object with one key of {}", listed(names.iter().map(String::as_str)));
        Mismatch { path: path.to_owned(), wanted, found: found(value) }
    };
    let entries = value.as_object().filter(|object| object.len() == 1).ok_or_else(wanted)?;
    let (key, value) = entries.iter().next().ok_or_else(wanted)?;
    let (name, ty) = cases.iter().find(|(name, _)| snake_case(name) == *key).ok_or_else(wanted)?;
    let payload = ty.as_ref().map(|ty| to_wit(&format!("{path}.{key}"), ty, value)).transpose()?;
    Ok((name.clone(), payload.map(Box::new)))
}

fn read_integer(ty: &Type, value: &Value) -> Option<Val> {
    let (least, most) = integer_range(ty)?;
    let number = whole(value.as_number()?)?;
    if number < i128::from(least) || number > i128::from(most) {
        return None;
    }
    Some(match ty {
        Type::S8 => Val::S8(number as i8),
        Type::U8 => Val::U8(number as u8),
        Type::S16 => Val::S16(number as i16),
        Type::U16 => Val::U16(number as u16),
        Type::S32 => Val::S32(number as i32),
        Type::U32 => Val::U32(number as u32),
        Type::S64 => Val::S64(number as i64),
        _ => Val::U64(number as u64),
    })
}

/// A number as an integer, if it is one: `5.0` is, `5.5` is not.
fn whole(number: &Number) -> Option<i128> {
    let float =
        || number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 9e15).map(|float| float as i128);
    number.as_i128().or_else(float)
}

/// A number that is finite as a float of 32 bits, too.
fn single_float(value: &Value) -> Option<f32> {
    value.as_f64().map(|float| float as f32).filter(|float| float.is_finite())
}

fn single_char(value: &Value) -> Option<char> {
    let mut chars = value.as_str()?.chars();
    chars.next().filter(|_| chars.next().is_none())
}

fn found(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        // What was given may be a key in the wrong place: it is not repeated.
        Value::String(text) => format!("a string of {} characters", text.chars().count()),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// A WIT value as compact JSON.
pub(crate) fn to_json(value: &Val) -> String {
    to_json_with(value, |text| Cow::Borrowed(text))
}

/// The same, with every text in it changed. The names of fields and cases come from the types: they stay.
pub(crate) fn to_json_with(value: &Val, change: impl Fn(&str) -> Cow<'_, str>) -> String {
    let mut json = Vec::with_capacity(USUAL_LENGTH);
    write(&mut json, value, &change);
    String::from_utf8(json).expect("texts and what JSON has around them are UTF-8")
}

fn write(json: &mut Vec<u8>, value: &Val, change: &impl Fn(&str) -> Cow<'_, str>) {
    match value {
        Val::Bool(value) => write_scalar(json, *value),
        Val::S8(number) => write_scalar(json, *number),
        Val::U8(number) => write_scalar(json, *number),
        Val::S16(number) => write_scalar(json, *number),
        Val::U16(number) => write_scalar(json, *number),
        Val::S32(number) => write_scalar(json, *number),
        Val::U32(number) => write_scalar(json, *number),
        Val::S64(number) => write_scalar(json, *number),
        Val::U64(number) => write_scalar(json, *number),
        Val::Float32(number) => write_scalar(json, *number),
        Val::Float64(number) => write_scalar(json, *number),
        Val::Char(char) => write_text(json, &change(&char.to_string())),
        Val::String(text) | Val::Enum(text) => write_text(json, &change(text)),
        Val::Flags(names) => write_all(json, *b"[]", names, |json, name| write_text(json, &change(name))),
        Val::List(items) | Val::Tuple(items) => {
            write_all(json, *b"[]", items, |json, item| write(json, item, change));
        }
        Val::Option(Some(inner)) => write(json, inner, change),
        Val::Record(fields) => {
            // An absent field is absent, never null.
            let fields = fields.iter().filter(|(_, value)| !is_none(value));
            write_all(json, *b"{}", fields, |json, (name, value)| {
                write_name(json, name);
                write(json, value, change);
            });
        }
        Val::Variant(name, payload) => write_case(json, name, payload.as_deref(), change),
        Val::Result(Ok(payload)) => write_case(json, "ok", payload.as_deref(), change),
        Val::Result(Err(payload)) => write_case(json, "error", payload.as_deref(), change),
        // Functions with other types are refused when the component is loaded.
        _ => write_scalar(json, Value::Null),
    }
}

fn write_case(json: &mut Vec<u8>, name: &str, payload: Option<&Val>, change: &impl Fn(&str) -> Cow<'_, str>) {
    json.push(b'{');
    write_name(json, name);
    match payload {
        Some(value) => write(json, value, change),
        None => write_scalar(json, true),
    }
    json.push(b'}');
}

fn write_all<T>(
    json: &mut Vec<u8>,
    [open, close]: [u8; 2],
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    json.push(open);
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            json.push(b',');
        }
        write(json, item);
    }
    json.push(close);
}

/// A name of WIT in the form of MCP, as the key of an object.
fn write_name(json: &mut Vec<u8>, name: &str) {
    json.push(b'"');
    json.extend(name.bytes().map(|byte| if byte == b'-' { b'_' } else { byte }));
    json.extend_from_slice(b"\":");
}

fn write_text(json: &mut Vec<u8>, text: &str) {
    if text.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        write_scalar(json, text);
    } else {
        json.push(b'"');
        json.extend_from_slice(text.as_bytes());
        json.push(b'"');
    }
}

fn write_scalar(json: &mut Vec<u8>, value: impl Into<Value>) {
    // Writing to memory does not fail.
    _ = serde_json::to_writer(json, &value.into());
}

fn is_none(value: &Val) -> bool {
    matches!(value, Val::Option(inner) if inner.as_ref().is_none_or(|inner| is_none(inner)))
}
