//! Any JSON as arguments of any function: what is accepted says the same as WIT values, and what they say in JSON is
//! what the schema wants.

#![no_main]

use std::sync::LazyLock;

use component::value::{read_fields, to_json};
use component::schema::{is_representable, object_schema};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Type, Val};
use wasmtime::Engine;
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

#[allow(dead_code, unreachable_pub, reason = "the host's own")]
#[path = "../../../host/src/component"]
mod component {
    pub(crate) mod schema;
    pub(crate) mod value;
}
#[path = "tool_arguments/conform.rs"]
mod conform;

const WORLDS: [&str; 2] = [include_str!("../../../wit/world.wit"), include_str!("../every_type.wit")];

/// A function's parameters, and the schema of its arguments.
struct Function {
    parameters: Vec<(String, Type)>,
    schema: Value,
}

static FUNCTIONS: LazyLock<Vec<Function>> = LazyLock::new(|| WORLDS.iter().flat_map(|wit| functions(wit)).collect());

/// The functions of a component that has this world, and nothing in it.
fn functions(wit: &str) -> Vec<Function> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("world.wit", wit).expect("the WIT is valid");
    let world = resolve.select_world(&[package], None).expect("there is one world");
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("the world can be embedded");
    let encoder = ComponentEncoder::default().module(&module).expect("the module has a world");
    let component = { encoder }.encode().expect("the module can be a component");
    let engine = Engine::default();
    let component = Component::new(&engine, component).expect("the component compiles");
    let functions = component.component_type().exports(&engine).filter_map(|(_, item)| match item.ty {
        ComponentItem::ComponentFunc(function) => Some(function),
        _ => None,
    }).collect::<Vec<_>>();
    functions.iter().map(|function| {
        let parameters: Vec<_> = function.params().map(|(name, ty)| (name.to_owned(), ty)).collect();
        assert!(parameters.iter().all(|(_, ty)| is_representable(ty)));
        Function { schema: object_schema(parameters.clone().into_iter()), parameters }
    }).collect()
}

// The first byte says which function, the rest is JSON.
fuzz_target!(|bytes: &[u8]| {
    let Some((which, json)) = bytes.split_first() else { return };
    let function = &FUNCTIONS[usize::from(which.wrapping_sub(b'0')) % FUNCTIONS.len()];
    let Ok(arguments) = serde_json::from_slice::<Map<String, Value>>(json) else { return };
    let Ok(values) = read_fields(None, &function.parameters, &arguments) else { return };
    let said = to_json(Val::Record(values.clone()));
    conform::check(&function.schema, &said).unwrap_or_else(|wrong| panic!("{wrong} in {said}"));
    let Value::Object(again) = said else { panic!("a record is an object") };
    assert_eq!(read_fields(None, &function.parameters, &again).as_ref(), Ok(&values));
});
