//! Whether the embedded code is the embedded component: compiled again, and compared byte for byte.

use anyhow::{Context, Result};
use wasmtime::Engine;

use crate::component::{EMBEDDED, EMBEDDED_CODE};
use crate::digest::sha256;

/// The target that the build script compiled for. It is named there and here: without a name, the compiler would look
/// at the processor it runs on, and the code would differ from machine to machine.
const TARGET: &str = env!("COMPONENT_TARGET");

/// The embedded code, and what the component compiles to.
pub(super) struct Verified {
    /// The target of both.
    pub(super) target: &'static str,
    /// The size of the embedded code.
    pub(super) size: usize,
    /// Its SHA-256.
    pub(super) digest: String,
    /// The SHA-256 of what the component compiles to now.
    pub(super) compiled: String,
}

impl Verified {
    /// Compiles the embedded component as the build script did. It is not run.
    ///
    /// # Errors
    ///
    /// When it cannot be compiled.
    pub(super) fn compile() -> Result<Self> {
        let mut config = crate::engine::code_settings(cfg!(windows));
        config.target(TARGET)?;
        let code = Engine::new(&config)
            .and_then(|engine| engine.precompile_component(EMBEDDED))
            .map_err(anyhow::Error::from)
            .context("cannot compile the embedded component again")?;
        let (digest, compiled) = (sha256(EMBEDDED_CODE), sha256(code));
        Ok(Self { target: TARGET, size: EMBEDDED_CODE.len(), digest, compiled })
    }

    /// Whether the embedded code is what the component compiles to.
    pub(super) fn holds(&self) -> bool {
        self.digest == self.compiled
    }
}
