//! Builds the guest for wasm32-wasip2, writes the WIT docs back into it, compiles it ahead of time, and leaves the
//! component and its code in `OUT_DIR` for the host to embed.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

#[path = "src/digest.rs"]
mod digest;
#[path = "src/engine.rs"]
mod engine;
mod guest_build;

fn main() -> Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("..");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for input in ["guest", "wit", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    for input in ["src/engine.rs", "src/digest.rs", "guest_build.rs"] {
        println!("cargo::rerun-if-changed={input}");
    }
    strip_release()?;

    let mut component = fs::read(guest_build::build(&root, "aigateway-models", &out.join("guest"))?)?;
    let docs = function_docs(&root.join("wit"))?.to_string();
    append_docs(&mut component, &docs);
    println!("cargo::rustc-env=COMPONENT_DIGEST={}", digest::sha256(&component));
    println!("cargo::rustc-env=COMPONENT_TARGET={}", env::var("TARGET")?);
    fs::write(out.join("component.docs.json"), &docs)?;
    fs::write(out.join("component.wasm"), &component)?;
    fs::write(out.join("component.cwasm"), compile(&component)?)?;
    Ok(())
}

/// Strips the symbols of a release binary. The profile's `strip` would do the same, but it also sets the libraries of
/// the host apart from those of this script, and wasmtime would be compiled twice.
fn strip_release() -> Result<()> {
    if env::var("PROFILE")? == "release" && env::var("CARGO_CFG_TARGET_OS")? == "linux" {
        println!("cargo::rustc-link-arg-bins=-Wl,--strip-all");
    }
    Ok(())
}

/// The docs of the world's functions, in the form of the `package-docs` section.
///
/// The world is called `root`, and only functions appear: that is how a component is decoded, and readers refuse a
/// section that names anything else.
fn function_docs(wit: &Path) -> Result<Value> {
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_path(wit).context("cannot read the WIT folder")?;
    let world = resolve.select_world(&[package], None)?;
    let mut docs = Map::new();
    for item in resolve.worlds[world].exports.values() {
        let wit_parser::WorldItem::Function(function) = item else {
            bail!("the world exports something that is not a function");
        };
        let text = function.docs.contents.as_deref();
        let text = text.with_context(|| format!("`{}` has no docs", function.name))?;
        docs.insert(function.name.clone(), json!({ "docs": text }));
    }
    Ok(json!({ "worlds": { "root": { "func_exports": docs } } }))
}

/// Appends the `package-docs` custom section: a format byte of 0, then JSON.
fn append_docs(component: &mut Vec<u8>, docs: &str) {
    let data = [b"\0", docs.as_bytes()].concat();
    let section = wasm_encoder::CustomSection { name: "package-docs".into(), data: data.into() };
    component.push(wasm_encoder::ComponentSectionId::CoreCustom as u8);
    wasm_encoder::Encode::encode(&section, component);
}

/// Compiles the component for the host's target.
fn compile(component: &[u8]) -> Result<Vec<u8>> {
    let for_windows = env::var("CARGO_CFG_TARGET_OS")? == "windows";
    let mut config = engine::code_settings(for_windows);
    config.target(&env::var("TARGET")?)?;
    Ok(wasmtime::Engine::new(&config)?.precompile_component(component)?)
}
