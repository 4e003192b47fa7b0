//! Components that try to get out of the sandbox.

/// A component whose tools do what their arguments say: requests of any shape, endless loops, huge allocations. See
/// its world for what it can try.
pub const PROBE: &[u8] = include_bytes!(env!("HOSTILE_PROBE"));
