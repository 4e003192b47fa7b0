//! A component's file: read with a limit, and told from what is no component.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

/// Files larger than this are refused before they are looked at.
const MOST_BYTES: u64 = 64 << 20;

/// How every file of WebAssembly begins; the version and the layer follow, two bytes each.
const MAGIC: &[u8] = b"\0asm";

/// Reads a file that begins as a component does.
///
/// # Errors
///
/// What it is instead.
pub(crate) fn read_component(file: &Path) -> Result<Vec<u8>> {
    let name = file.display();
    let cannot_read = || format!("cannot read `{name}`");
    let metadata = std::fs::metadata(file).with_context(cannot_read)?;
    ensure!(metadata.is_file(), "`{name}` is not a file");
    let mut bytes = Vec::new();
    // What grows while it is read is not read for ever.
    File::open(file).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes)).with_context(cannot_read)?;
    ensure!(bytes.len() as u64 <= MOST_BYTES, "`{name}` is too large; a component has at most {MOST_BYTES} bytes");
    match no_component(&bytes) {
        Some(what) => bail!("`{name}` is {what}"),
        None => Ok(bytes),
    }
}

/// What the bytes are, if they are not a component.
fn no_component(bytes: &[u8]) -> Option<&'static str> {
    let header = bytes.strip_prefix(MAGIC).and_then(|rest| rest.first_chunk::<4>());
    match header {
        _ if bytes.is_empty() => Some("empty, not a component"),
        Some([_, _, 1, 0]) => None,
        Some([_, _, 0, 0]) => Some(
            "a core module, not a component; build it for wasm32-wasip2, or make a component of it with `wasm-tools \
             component new`",
        ),
        _ if bytes.starts_with(MAGIC) => Some("WebAssembly of a kind that is not known here, not a component"),
        _ if bytes.trim_ascii_start().starts_with(b"(") => {
            Some("not a component; it may be WebAssembly's text format, which `wasm-tools parse` turns into one")
        }
        _ => Some("not a component: it does not begin as WebAssembly does"),
    }
}
