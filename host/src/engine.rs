//! The engine's settings, shared by the build script (which compiles the embedded component ahead of time) and by
//! the host (which loads it): code is only accepted by an engine with the settings it was compiled for.

use wasmtime::Config;

/// The settings that decide what compiled code looks like.
///
/// Nothing here may depend on the machine that builds: the build script adds the target, and with it a baseline
/// processor, so that the embedded code runs on every machine of that target.
pub(crate) fn code_settings() -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true);
    // Lets an endless loop be stopped: compiled code looks at a counter at every loop head and function entry. That
    // costs a few percent in loops; fuel, the alternative, costs several times that.
    config.epoch_interruption(true);
    config
}
