//! The component as a file: what it imports, exports and says about itself, for whoever loads it elsewhere.

use serde_json::Value;
use wasmparser::{Parser, Payload};

use crate::support::{Start, assert_golden};

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
