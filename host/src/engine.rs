//! The engine's settings, shared by the build script (which compiles the embedded component ahead of time) and by
//! the host (which loads it): code is only accepted by an engine with the settings it was compiled for.

use wasmtime::Config;

/// The settings that decide what compiled code looks like, for a target that is Windows or not.
///
/// Nothing here may depend on the machine that builds: the build script adds the target, and with it a baseline
/// processor, so that the embedded code runs on every machine of that target.
pub(crate) fn code_settings(for_windows: bool) -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true);
    // Lets an endless loop be stopped: compiled code looks at a counter at every loop head and function entry. That
    // costs a few percent in loops; fuel, the alternative, costs several times that.
    config.epoch_interruption(true);
    // For debuggers and profilers, and a third of the code's size: a trap is reported by its kind. Windows unwinds by
    // nothing else.
    config.generate_address_map(false);
    config.native_unwind_info(for_windows);
    config
}
