//! The component that the build script made, its docs, and its code, which runs where it lies in this binary.

use std::sync::Arc;

use anyhow::{Context, Result};
use wasmtime::component::Component;
use wasmtime::{Config, Engine};

/// The component, with its docs.
pub(crate) static EMBEDDED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/component.wasm"));

/// Its docs, so that a start need not look for them in it.
pub(super) static EMBEDDED_DOCS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/component.docs.json"));

/// Its SHA-256, so that a start need not take it.
pub(super) const EMBEDDED_DIGEST: &str = env!("COMPONENT_DIGEST");

/// The same, compiled ahead of time for this target. A static is there once: what is verified is what runs.
pub(crate) static EMBEDDED_CODE: &[u8] = &CODE.0;

/// As large as the largest pages of a processor: what is executable begins with one.
const PAGE: usize = if cfg!(target_arch = "x86_64") { 4 << 10 } else { 64 << 10 };

#[cfg_attr(target_arch = "x86_64", repr(C, align(4096)))]
#[cfg_attr(not(target_arch = "x86_64"), repr(C, align(65536)))]
struct Pages<B>(B);

// SAFETY: the section's name has it laid with the program's own code, read-only and executable, which is what it is.
// Nothing is expected to lie in that section, before it or behind it.
#[allow(unsafe_code, reason = "precompiled code lies with the program's own")]
#[cfg_attr(target_os = "linux", unsafe(link_section = ".text.component"))]
static CODE: Pages<[u8; include_bytes!(concat!(env!("OUT_DIR"), "/component.cwasm")).len()]> =
    Pages(*include_bytes!(concat!(env!("OUT_DIR"), "/component.cwasm")));

/// Prepares an engine for [`load`]: where the code lies with the program's own, the system made it executable with
/// that, and nothing is to be copied.
pub(crate) fn prepare(config: &mut Config) {
    if cfg!(target_os = "linux") {
        config.with_custom_code_memory(Some(Arc::new(Executable)));
    }
}

/// Loads the embedded code, into an engine that was prepared for it.
///
/// # Errors
///
/// When the engine has other settings than the code was compiled for.
#[allow(unsafe_code, reason = "the one place where precompiled code is loaded")]
pub(super) fn load(engine: &Engine) -> Result<Component> {
    // SAFETY: both functions trust that the bytes are what `Engine::precompile_component` made and nobody changed
    // since; the first one also that they stay where they are. They are and they do: the build script made them from
    // the component beside them, and they are read-only data of this binary for as long as it runs. Whoever can
    // change them can change the binary. That the engine has the settings they were compiled for is checked by both.
    let loaded = unsafe {
        if cfg!(target_os = "linux") {
            Component::deserialize_raw(engine, EMBEDDED_CODE.into())
        } else {
            Component::deserialize(engine, EMBEDDED_CODE)
        }
    };
    loaded.map_err(anyhow::Error::from).context("cannot load the embedded component")
}

/// Code that is executable from the start to the end of the program.
struct Executable;

impl wasmtime::CustomCodeMemory for Executable {
    fn required_alignment(&self) -> usize {
        PAGE
    }

    fn publish_executable(&self, _start: *const u8, _length: usize) -> wasmtime::Result<()> {
        Ok(())
    }

    fn unpublish_executable(&self, _start: *const u8, _length: usize) -> wasmtime::Result<()> {
        Ok(())
    }
}
