//! The component as a file: what it imports, exports and says about itself, for whoever loads it elsewhere.

use serde_json::{Value, json};
use wasmparser::{Parser, Payload};

use crate::support::{Era, Start, assert_golden};

fn component() -> Vec<u8> {
    let start = Start::bare().args(["component", "-o", "component.wasm"]);
    let ran = start.run();
    assert!(ran.status.success(), "{ran:?}");
    std::fs::read(start.path("component.wasm")).unwrap()
}

#[test]
fn the_component_imports_outgoing_http_and_what_rust_needs() {
    let bytes = component();
    let mut depth = 0;
    let mut imports = Vec::new();
    for payload in Parser::new(0).parse_all(&bytes) {
        match payload.unwrap() {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                imports.extend(section.into_iter().map(|import| import.unwrap().name.name.to_owned()));
            }
            _ => {}
        }
    }
    imports.sort();
    assert_golden("imports.txt", &format!("{}\n", imports.join("\n")));
}

#[test]
fn the_component_documents_its_functions_as_readers_expect_it() {
    let bytes = component();
    let section = Parser::new(0).parse_all(&bytes).find_map(|payload| match payload.unwrap() {
        Payload::CustomSection(section) if section.name() == "package-docs" => Some(section.data().to_vec()),
        _ => None,
    });

    let data = section.expect("there is a package-docs section");

    assert_eq!(data[0], 0, "the section's version");
    let docs: Value = serde_json::from_slice(&data[1..]).unwrap();
    let functions = docs["worlds"]["root"]["func_exports"].as_object().unwrap();
    let names: Vec<&String> = functions.keys().collect();
    assert_eq!(names, ["list-models", "create-mapping", "update-mapping", "delete-mapping"]);
    assert!(functions.values().all(|docs| docs["docs"].as_str().unwrap().contains("- `api-key`: ")));
}

#[test]
fn the_component_holds_no_path_of_the_machine_that_built_it() {
    let bytes = component();
    let text = String::from_utf8_lossy(&bytes);
    for variable in ["HOME", "CARGO_MANIFEST_DIR"] {
        if let Ok(path) = std::env::var(variable) {
            assert!(path == "/" || !text.contains(&path), "`{path}` is in the component");
        }
    }
}

/// A tool with types that the product's own tools do not have. It answers with the two levels of `c`: 11 is a value.
const ODD_TYPES: &str = r#"
(component
  (core module $module
    (func (export "odd") (param f32 i32 i32 i32 i32 i32 i32) (result i32)
      (i32.add (i32.mul (i32.const 10) (local.get 2)) (local.get 3))))
  (core instance $instance (instantiate $module))
  (type $rights' (flags "read" "write-all"))
  (export $rights "rights" (type $rights'))
  (func (export "odd")
    (param "a" f32) (param "b" $rights) (param "c" (option (option u32))) (param "d" (tuple (option u8)))
    (result u32)
    (canon lift (core func $instance "odd"))))
"#;

const ODD_GRANTS: &str = "version = 1\nbase_url = \"http://localhost:1\"\n[tools]\nodd = [\"GET /\"]\n";

#[test]
fn arguments_of_any_type_are_accepted_only_if_they_say_the_same_as_wit_values() {
    let start = Start::bare().file("odd.wasm", wat::parse_str(ODD_TYPES).unwrap()).file("odd.toml", ODD_GRANTS);
    let mut client = start.args(["--component", "odd.wasm", "--grants", "odd.toml"]).connect(Era::Modern);
    let mut call = |a: Value, b: Value, c: Value| {
        client.call("odd", json!({ "a": a, "b": b, "c": c, "d": [null] })).result.clone()
    };

    let infinite = call(json!(1e300), json!([]), json!(1));
    let doubled = call(json!(1), json!(["read", "read"]), json!(1));
    let nothing = [Value::Null, json!("null")].map(|none| call(json!(1), json!(["read"]), none));
    let something = call(json!(1), json!([]), json!("5"));

    assert!(infinite.to_string().contains("`a` must be a number that 32 bits can hold"), "{infinite}");
    assert!(doubled.to_string().contains("a list of any of `read`, `write-all`, each once"), "{doubled}");
    // JSON has one null: it is the outer none, however it is written.
    assert_eq!(nothing.map(|result| result["structuredContent"]["result"].clone()), [json!(0), json!(0)]);
    assert_eq!(something["structuredContent"]["result"], 11);
}

#[test]
fn an_option_that_cannot_be_left_out_may_be_null_and_a_field_may_not() {
    let start = Start::bare().file("odd.wasm", wat::parse_str(ODD_TYPES).unwrap()).file("odd.toml", ODD_GRANTS);
    let mut client = start.args(["--component", "odd.wasm", "--grants", "odd.toml"]).connect(Era::Modern);

    let schema = client.tools()[0]["inputSchema"]["properties"].clone();

    let byte = json!({ "type": "integer", "minimum": 0, "maximum": 255 });
    assert_eq!(schema["d"]["prefixItems"], json!([{ "anyOf": [byte, { "type": "null" }] }]));
    assert_eq!(schema["c"], json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }));
}
