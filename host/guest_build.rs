// Builds a crate of this workspace for wasm32-wasip2 from within a build script. Shared by the build scripts that do
// so: the host's, for the product's component, and that of the components which the tests try to get out with.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

const TARGET: &str = "wasm32-wasip2";

// The stack of an instance: a quarter of Rust's default. It lies lowest in memory, so that all of it is written over
// between calls where the system cannot tell which pages were used. An answer of a hundred thousand brackets is tested.
const STACK: &str = "-Clink-arg=-zstack-size=262144";

/// Runs cargo for a crate and returns the path of its component.
///
/// `root` is the workspace, `target_dir` a folder for this build alone.
pub(crate) fn build(root: &Path, package: &str, target_dir: &Path) -> Result<PathBuf> {
    let status = Command::new(env::var("CARGO")?)
        .current_dir(root)
        .args(["build", "--locked", "--profile", "guest", "--package", package, "--target", TARGET])
        // A target directory of its own: the outer cargo holds the lock of the shared one.
        .arg("--target-dir")
        .arg(target_dir)
        .env("CARGO_BUILD_BUILD_DIR", target_dir)
        // What the outer cargo set for the host's target does not fit the guest's.
        .env("RUSTFLAGS", format!("{STACK} {}", remap(root)?))
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .status()
        .with_context(|| format!("cannot run cargo for `{package}`"))?;
    ensure!(status.success(), "`{package}` does not build; if the target is missing, run `rustup target add {TARGET}`");
    let name = package.replace('-', "_");
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
