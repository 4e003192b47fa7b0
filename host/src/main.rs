//! The binary `aigateway-mcp`.

use std::process::ExitCode;

fn main() -> ExitCode {
    aigateway_mcp::main()
}
