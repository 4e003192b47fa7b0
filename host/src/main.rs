//! The binary `aigateway-mcp`.

use std::process::ExitCode;

/// A call is many small allocations and a few large ones that end with it. The system's allocator gives those back to
/// the kernel each time, and takes them page by page anew: that was a third of a call's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    aigateway_mcp::main()
}
