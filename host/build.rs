//! Builds the guest for wasm32-wasip2, writes the WIT docs back into it, compiles it ahead of time, and leaves the
//! component and its code in `OUT_DIR` for the host to embed.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};

#[path = "src/engine.rs"]
mod engine;

const GUEST: &str = "aigateway-models";
const TARGET: &str = "wasm32-wasip2";

fn main() -> Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("..");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for input in ["guest", "wit", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    println!("cargo::rerun-if-changed=src/engine.rs");
    strip_release()?;

    let mut component = fs::read(build_guest(&root, &out.join("guest"))?)?;
    append_docs(&mut component, &function_docs(&root.join("wit"))?);
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

/// Runs cargo for the guest and returns the path of the component.
fn build_guest(root: &Path, target_dir: &Path) -> Result<PathBuf> {
    let status = Command::new(env::var("CARGO")?)
        .current_dir(root)
        .args(["build", "--locked", "--profile", "guest", "--package", GUEST])
        .args(["--target", TARGET])
        // A target directory of its own: the outer cargo holds the lock of the shared one.
        .arg("--target-dir")
        .arg(target_dir)
        .env("CARGO_BUILD_BUILD_DIR", target_dir)
        // What the outer cargo set for the host's target does not fit the guest's.
        .env("RUSTFLAGS", remap(root)?)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .status()
        .context("cannot run cargo for the guest")?;
    ensure!(status.success(), "the guest does not build; if the target is missing, run `rustup target add {TARGET}`");
    let name = GUEST.replace('-', "_");
    Ok(target_dir.join(TARGET).join("guest").join(format!("{name}.wasm")))
}

/// Flags that keep this machine's paths out of the component, so that the same sources give the same bytes in
/// every folder.
fn remap(root: &Path) -> Result<String> {
    let root = root.canonicalize()?;
    let cargo_home = env::var("CARGO_HOME").map(PathBuf::from).or_else(|_| {
        let home = env::var("HOME").or_else(|_| env::var("USERPROFILE"))?;
        anyhow::Ok(PathBuf::from(home).join(".cargo"))
    })?;
    let flags = [(root, "/src"), (cargo_home, "/cargo")]
        .map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
    // RUSTFLAGS is split at spaces: a path with one in it is left as it is rather than torn apart.
    Ok(flags.into_iter().filter(|flag| !flag.contains(' ')).collect::<Vec<_>>().join(" "))
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
fn append_docs(component: &mut Vec<u8>, docs: &Value) {
    let data = [b"\0", docs.to_string().as_bytes()].concat();
    let section = wasm_encoder::CustomSection { name: "package-docs".into(), data: data.into() };
    component.push(wasm_encoder::ComponentSectionId::CoreCustom as u8);
    wasm_encoder::Encode::encode(&section, component);
}

/// Compiles the component for the host's target.
fn compile(component: &[u8]) -> Result<Vec<u8>> {
    let mut config = engine::code_settings();
    config.target(&env::var("TARGET")?)?;
    Ok(wasmtime::Engine::new(&config)?.precompile_component(component)?)
}
