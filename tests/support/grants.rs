//! Grant files for tests.

use super::Start;

/// The grants that are built in.
pub(crate) const BUILT_IN: &str = include_str!("../../host/grants/aigateway.toml");

/// Limits under which a gateway that does not answer costs a test a second, and not ten.
pub(crate) const IMPATIENT: &str = "request_seconds = 1\ncall_seconds = 5";

impl Start {
    /// With the built-in grants, and these lines in their section `[limits]`.
    pub(crate) fn limits(self, limits: &str) -> Self {
        let grants = format!("{BUILT_IN}\n[limits]\n{limits}\n");
        let file = self.path("grants.toml").display().to_string();
        self.file("grants.toml", grants).args(["--grants", &file])
    }
}
