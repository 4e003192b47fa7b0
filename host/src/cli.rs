//! The command line's definition.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::log::{self, Level};

/// MCP server for AIGateway. Its tools run in a WebAssembly component that reaches the granted
/// routes of one gateway and nothing else, and never sees the API key.
///
/// Without a command it serves MCP over stdin and stdout: that is what an MCP client starts.
#[derive(Debug, Parser)]
#[command(name = "aigateway-mcp", version, after_help = AFTER_HELP, verbatim_doc_comment)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) options: Options,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

impl Cli {
    /// Whether it is a server that an MCP client starts.
    pub(crate) fn serves(&self) -> bool {
        matches!(self.command, None | Some(Command::Serve))
    }
}

const AFTER_HELP: &str = "\
Environment:
  AIGATEWAY_URL      the gateway's base URL [default: http://localhost:8088]
  AIGATEWAY_API_KEY  the API key (ak_…); a call can bring its own instead
  AIGATEWAY_AUDIT_LOG  a file to put every decision on record in

A file `.env` in the working directory may set both. Flags come before the environment, the environment
before `.env`. A `.env` that merely lies there cannot redirect a key that came from elsewhere.";

#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// The gateway's base URL; comes before AIGATEWAY_URL
    #[arg(long, value_name = "URL", global = true)]
    pub(crate) url: Option<String>,

    /// Read variables from this file instead of `.env` in the working directory
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) env_file: Option<PathBuf>,

    /// Read the API key from this file, which nobody but its owner may read or write
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) api_key_file: Option<PathBuf>,

    /// Run this command without a shell, such as 'op read op://vault/key'; it prints the API key
    #[arg(long, value_name = "COMMAND", global = true)]
    pub(crate) api_key_command: Option<String>,

    /// Trust the certificates in this PEM file, besides the system's
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) ca_file: Option<PathBuf>,

    /// Run this component instead of the built-in one; nothing is granted to it until --grants says so
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) component: Option<PathBuf>,

    /// Grant what this file says instead of the built-in grants
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) grants: Option<PathBuf>,

    /// Offer only what GET can do
    #[arg(long, global = true)]
    pub(crate) read_only: bool,

    /// Evaluate a component: let through what no rule allows, without the key; print the grants it needs
    #[arg(long, global = true, conflicts_with_all = ["read_only", "lock"])]
    pub(crate) observe: bool,

    /// Put every decision on record in this file; comes before AIGATEWAY_AUDIT_LOG
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) audit_log: Option<PathBuf>,

    /// Wait for the disk at each record
    #[arg(long, global = true)]
    pub(crate) audit_sync: bool,

    /// Begin the next file of the record after this many MiB
    #[arg(long, value_name = "MIB", default_value_t = 64, global = true, value_parser = clap::value_parser!(u64).range(1..1_000_000))]
    pub(crate) audit_rotate: u64,

    /// Refuse to start when component, tools or grants differ from this lock (see `inspect --lock`)
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) lock: Option<PathBuf>,

    /// How much to say on stderr
    #[arg(long, value_enum, default_value_t, value_name = "LEVEL", global = true)]
    pub(crate) log_level: Level,
}

impl Options {
    /// Forgets the optional values that a bundle left unfilled. Those that bind (`--grants`, `--lock`, `--component`) are
    /// wrong then, and not forgotten.
    pub(crate) fn forget_unfilled(&mut self) {
        for text in [&mut self.url, &mut self.api_key_command] {
            *text = text.take().filter(|text| is_filled(text));
        }
        let recorded = self.audit_log.is_some();
        for path in [&mut self.env_file, &mut self.api_key_file, &mut self.ca_file, &mut self.audit_log] {
            *path = path.take().filter(|path| path.to_str().is_none_or(is_filled));
        }
        if recorded && self.audit_log.is_none() {
            log::warn("--audit-log was left unfilled: nothing is recorded");
        }
    }

    /// Ends the program, as a wrong command line does, where two flags contradict each other.
    pub(crate) fn exit_on_conflicts(&self) {
        if self.api_key_file.is_some() && self.api_key_command.is_some() {
            let text = "the argument '--api-key-file <FILE>' cannot be used with '--api-key-command <COMMAND>'";
            Cli::command().error(ErrorKind::ArgumentConflict, text).exit();
        }
    }
}

/// Whether a value is one: not empty, and not what stands in the place of one in a bundle (`${user_config.x}`).
pub(crate) fn is_filled(value: &str) -> bool {
    let value = value.trim();
    let unfilled = value.starts_with("${") && value.ends_with('}');
    !value.is_empty() && !unfilled
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve MCP over stdin and stdout (the default)
    Serve,

    /// List the tools with their parameters
    Tools {
        /// Print what an MCP client gets
        #[arg(long)]
        json: bool,
    },

    /// Call one tool and print its result as JSON
    Call {
        /// The tool, as `tools` lists it
        tool: String,

        /// Arguments; a value is read as what the parameter wants
        #[arg(value_name = "KEY=VALUE")]
        arguments: Vec<String>,

        /// All arguments as one JSON object; `KEY=VALUE` adds to it
        #[arg(long, value_name = "ARGS")]
        json: Option<String>,
    },

    /// Show the effective grants: what the tools may reach
    Grants {
        #[command(subcommand)]
        command: Option<GrantsCommand>,
    },

    /// Verify and read the record of what was decided
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },

    /// Show what a component is, what it asks for, and what it is granted; never runs it
    ///
    /// Exit code 0: it asks for nothing more than it is granted. 1: it asks for more, or --verify fails. 2: error.
    Inspect(Inspect),

    /// Write the component to a file, for use in other runtimes
    Component {
        /// Where to write it
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum GrantsCommand {
    /// Say whether a request would be allowed, and by which rule; makes no request
    ///
    /// Exit code 0: allowed (without --tool: to some tool). 1: denied.
    Explain {
        /// The tool that would make it; without it, all tools
        #[arg(long)]
        tool: Option<String>,

        /// The method, such as GET
        method: String,

        /// The whole URL
        #[arg(value_name = "REQUEST_URL")]
        request_url: String,
    },

    /// Check a grant file
    Check {
        /// The file
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Verify that no record was changed, deleted, added or moved
    ///
    /// Exit code 0: verified. 1: broken, with the first bad line. 2: incomplete at an end.
    Verify {
        /// The files of one chain, oldest first
        #[arg(required = true)]
        files: Vec<PathBuf>,

        /// The SHA-256 of a record that must be there, as a tool's result carried it
        #[arg(long, value_name = "SHA256")]
        head: Option<String>,
    },

    /// Show the record as a timeline
    Show {
        /// The file
        file: PathBuf,

        /// Only this tool
        #[arg(long)]
        tool: Option<String>,

        /// Only what was denied
        #[arg(long, conflicts_with = "allowed")]
        denied: bool,

        /// Only what was not denied
        #[arg(long)]
        allowed: bool,

        /// Not before this time (UTC): RFC 3339, or the beginning of one, such as 2026-11-23T14
        #[arg(long, value_name = "TIME")]
        since: Option<String>,

        /// Not from this time on
        #[arg(long, value_name = "TIME")]
        until: Option<String>,

        /// Go on with what is appended
        #[arg(long)]
        follow: bool,
    },

    /// Count calls, requests and denials, and name the grants that were never used
    Summary {
        /// The files, oldest first
        #[arg(required = true)]
        files: Vec<PathBuf>,

        /// For machines
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The component, granted nothing until --grants says so; without it, the built-in one
    #[arg(value_name = "COMPONENT", conflicts_with = "component")]
    pub(crate) file: Option<PathBuf>,

    /// For machines
    #[arg(long)]
    pub(crate) json: bool,

    /// Compile the built-in component again, and compare each byte with the code that runs
    #[arg(long, conflicts_with_all = ["file", "component"])]
    pub(crate) verify: bool,

    /// Write digest, imports, tools and grants to this file, for `serve --lock`
    ///
    /// Another component than the built-in one is compiled for that.
    #[arg(long, value_name = "FILE")]
    pub(crate) lock: Option<PathBuf>,
}
