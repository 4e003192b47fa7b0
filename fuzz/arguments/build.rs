//! Makes a component of each world, with nothing in it, and compiles it: types exist only in a compiled component, and
//! a compiler in the target itself would be built with counters for coverage, which takes minutes.

use std::env;
use std::fs;
use std::path::Path;

use wasmtime::{Config, Engine, Result};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

const WORLDS: [&str; 2] = ["../../wit/world.wit", "every_type.wit"];

fn main() {
    let out = env::var("OUT_DIR").expect("cargo sets it");
    for wit in WORLDS.map(Path::new) {
        println!("cargo::rerun-if-changed={}", wit.display());
        let code = compiled(&component(wit)).expect("a component compiles");
        let name = wit.with_extension("cwasm");
        fs::write(Path::new(&out).join(name.file_name().expect("it is a file")), code).expect("the folder is writable");
    }
}

fn component(wit: &Path) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let text = fs::read_to_string(wit).expect("the WIT can be read");
    let package = resolve.push_str(wit, &text).expect("the WIT is valid");
    let world = resolve.select_world(&[package], None).expect("there is one world");
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("the world can be embedded");
    let mut encoder = ComponentEncoder::default().module(&module).expect("the module has a world");
    encoder.encode().expect("the module can be a component")
}

fn compiled(component: &[u8]) -> Result<Vec<u8>> {
    let mut config = Config::new();
    config.target(&env::var("TARGET").expect("cargo sets it"))?;
    Engine::new(&config)?.precompile_component(component)
}
