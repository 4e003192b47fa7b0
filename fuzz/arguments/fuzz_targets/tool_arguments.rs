//! Any JSON as arguments of any function: what is accepted says the same as WIT values, and what they say in JSON is
//! what the schema wants.

#![no_main]

use std::sync::LazyLock;

use component::schema::{is_representable, object_schema};
use component::value::{read_fields, to_json};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use wasmtime::Engine;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, Type, Val};

#[allow(dead_code, unreachable_pub, reason = "the host's own")]
#[path = "../../../host/src/component"]
mod component {
    pub(crate) mod schema;
    pub(crate) mod value;
}
#[path = "tool_arguments/conform.rs"]
mod conform;

/// The compiled components that the build script made, each with a world and nothing in it.
static COMPONENTS: [&[u8]; 2] = [
    include_bytes!(concat!(env!("OUT_DIR"), "/world.cwasm")),
    include_bytes!(concat!(env!("OUT_DIR"), "/every_type.cwasm")),
];

/// A function's parameters, and the schema of its arguments.
struct Function {
    parameters: Vec<(String, Type)>,
    schema: Value,
}

static FUNCTIONS: LazyLock<Vec<Function>> = LazyLock::new(|| COMPONENTS.into_iter().flat_map(functions).collect());

fn functions(code: &'static [u8]) -> Vec<Function> {
    let engine = Engine::default();
    // SAFETY: the build script of this very crate compiled it.
    let component = unsafe { Component::deserialize(&engine, code) }.expect("the component can be loaded");
    let exports = component.component_type();
    let functions = exports.exports(&engine).filter_map(|(_, item)| match item.ty {
        ComponentItem::ComponentFunc(function) => Some(Function::new(&function)),
        _ => None,
    });
    functions.collect()
}

impl Function {
    fn new(function: &ComponentFunc) -> Self {
        let parameters: Vec<_> = function.params().map(|(name, ty)| (name.to_owned(), ty)).collect();
        assert!(parameters.iter().all(|(_, ty)| is_representable(ty)));
        Self { schema: object_schema(parameters.clone().into_iter()), parameters }
    }
}

// The first byte says which function, the rest is JSON.
fuzz_target!(|bytes: &[u8]| {
    let Some((which, json)) = bytes.split_first() else { return };
    let function = &FUNCTIONS[usize::from(which.wrapping_sub(b'0')) % FUNCTIONS.len()];
    let Ok(arguments) = serde_json::from_slice::<Map<String, Value>>(json) else { return };
    let Ok(values) = read_fields(None, &function.parameters, &arguments) else { return };
    let json = to_json(&Val::Record(values.clone()));
    let said = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error} in {json}"));
    conform::check(&function.schema, &said).unwrap_or_else(|wrong| panic!("{wrong} in {said}"));
    let Value::Object(again) = said else { panic!("a record is an object") };
    assert_eq!(read_fields(None, &function.parameters, &again).as_ref(), Ok(&values));
});
