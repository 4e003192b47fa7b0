//! The command line's definition.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::log::Level;

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

const AFTER_HELP: &str = "\
Environment:
  AIGATEWAY_URL      the gateway's base URL [default: http://localhost:8088]
  AIGATEWAY_API_KEY  the API key (ak_…); a call can bring its own instead

A file `.env` in the working directory may set both. Flags come before the environment, the environment
before `.env`. A `.env` that merely lies there cannot redirect a key that came from elsewhere.";

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The gateway's base URL; comes before AIGATEWAY_URL
    #[arg(long, value_name = "URL", global = true)]
    pub(crate) url: Option<String>,

    /// Read variables from this file instead of `.env` in the working directory
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) env_file: Option<PathBuf>,

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

    /// How much to say on stderr
    #[arg(long, value_enum, default_value_t, value_name = "LEVEL", global = true)]
    pub(crate) log_level: Level,
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

    /// Write the component to a file, for use in other runtimes
    Component {
        /// Where to write it
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
}
