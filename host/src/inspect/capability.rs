//! Imports grouped as what they let a component do.

/// What an import is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Capability {
    /// Requests to other machines, through the grants.
    Network,
    /// Files and folders.
    Files,
    /// Connections of its own, past any grant.
    Sockets,
    /// The time.
    Clocks,
    /// Random numbers.
    Randomness,
    /// Variables and arguments.
    Environment,
    /// Standard input, output and error.
    Stdio,
    /// Ending its own call.
    Exit,
    /// What the other interfaces are made of.
    Streams,
    /// Whatever else it names.
    Other,
}

impl Capability {
    /// All of them, in the order in which they are shown.
    pub(super) const ALL: [Self; 10] = [
        Self::Network,
        Self::Files,
        Self::Sockets,
        Self::Clocks,
        Self::Randomness,
        Self::Environment,
        Self::Stdio,
        Self::Exit,
        Self::Streams,
        Self::Other,
    ];

    /// What an import lets a component do.
    pub(super) fn of(import: &str) -> Self {
        let (interface, _) = import.split_once('@').unwrap_or((import, ""));
        let Some((package, interface)) = interface.split_once('/') else { return Self::Other };
        match (package, interface) {
            ("wasi:http", _) => Self::Network,
            ("wasi:filesystem", _) => Self::Files,
            ("wasi:sockets", _) => Self::Sockets,
            ("wasi:clocks", _) => Self::Clocks,
            ("wasi:random", _) => Self::Randomness,
            ("wasi:cli", "environment") => Self::Environment,
            ("wasi:cli", "exit") => Self::Exit,
            ("wasi:cli", name) if name.starts_with("std") || name.starts_with("terminal-") => Self::Stdio,
            ("wasi:io", _) => Self::Streams,
            _ => Self::Other,
        }
    }

    /// Its name, in the report and in JSON.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Files => "files",
            Self::Sockets => "sockets",
            Self::Clocks => "clocks",
            Self::Randomness => "randomness",
            Self::Environment => "environment",
            Self::Stdio => "stdio",
            Self::Exit => "exit",
            Self::Streams => "streams",
            Self::Other => "other",
        }
    }

    /// What a component with one of these imports gets, in this sandbox.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Self::Network => "outgoing HTTP, each request through the grants",
            Self::Files | Self::Sockets | Self::Other => "not offered to any component",
            Self::Clocks => "the time",
            Self::Randomness => "random numbers",
            Self::Environment => "the variables of its grants; no arguments",
            Self::Stdio => "nothing to read; what it writes to stderr goes to the log",
            Self::Exit => "ends the call",
            Self::Streams => "what the others are made of",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_belongs_to_what_it_lets_a_component_do() {
        for (import, capability) in [
            ("wasi:http/outgoing-handler@0.2.12", "network"),
            ("wasi:filesystem/types@0.2.0", "files"),
            ("wasi:sockets/tcp@0.3.0", "sockets"),
            ("wasi:cli/stderr@0.2.12", "stdio"),
            ("wasi:cli/terminal-stdin@0.2.12", "stdio"),
            ("wasi:cli/environment@0.2.12", "environment"),
            ("wasi:cli/run@0.2.0", "other"),
            ("wasi:keyvalue/store@0.2.0", "other"),
            ("evil:sockets/tcp@0.2.0", "other"),
            ("launch-missiles", "other"),
        ] {
            assert_eq!(Capability::of(import).name(), capability, "{import}");
        }
    }
}
