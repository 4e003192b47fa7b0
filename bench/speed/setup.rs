//! What every measurement needs: a gateway, and the programs that ask it.

use std::path::PathBuf;

use anyhow::Result;
use reference_gateway::{Gateway, NewMapping, Role};
use serde_json::json;

use crate::client::{Call, Program};

/// How often things are measured.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// Starts of a process.
    pub(crate) starts: usize,
    /// Rounds in which everything that is compared takes its turn: a machine's speed drifts.
    pub(crate) rounds: usize,
    /// Calls of a round, one at a time.
    pub(crate) calls: usize,
    /// Calls of a round, several at a time.
    pub(crate) calls_at_once: usize,
    /// Calls while the gateway is far away.
    pub(crate) far_calls: usize,
    /// Calls of a list of many mappings.
    pub(crate) long_lists: usize,
    /// Calls of a long session.
    pub(crate) session: usize,
    /// Records of a long audit log.
    pub(crate) records: usize,
}

impl Size {
    /// Enough for medians that hold.
    pub(crate) const FULL: Self = Self {
        starts: 100,
        rounds: 20,
        calls: 300,
        calls_at_once: 2000,
        far_calls: 20,
        long_lists: 10,
        session: 100_000,
        records: 1_000_000,
    };
    /// Enough to see that everything works.
    pub(crate) const SHORT: Self = Self {
        starts: 5,
        rounds: 2,
        calls: 50,
        calls_at_once: 200,
        far_calls: 3,
        long_lists: 2,
        session: 2_000,
        records: 20_000,
    };
}

/// A gateway with a few mappings, and who is measured.
pub(crate) struct Setup {
    /// The gateway.
    pub(crate) gateway: Gateway,
    /// The server.
    pub(crate) server: Program,
    /// The same tool without a sandbox.
    pub(crate) twin: Program,
    /// How often things are measured.
    pub(crate) size: Size,
}

/// How many mappings there are, unless their number is what is measured.
pub(crate) const FEW_MAPPINGS: usize = 10;

impl Setup {
    pub(crate) fn new(server: PathBuf, size: Size) -> Result<Self> {
        let gateway = Gateway::builder().user("alice", Role::User).without_recording().start()?;
        let environment = vec![
            ("AIGATEWAY_URL".to_owned(), gateway.url()),
            ("AIGATEWAY_API_KEY".to_owned(), gateway.key("alice").to_owned()),
        ];
        let program = |path| Program { path, arguments: Vec::new(), environment: environment.clone() };
        let (server, twin) = (program(server), program(env!("CARGO_BIN_EXE_twin").into()));
        let setup = Self { gateway, server, twin, size };
        setup.have_mappings(FEW_MAPPINGS);
        Ok(setup)
    }

    /// Lets the gateway have so many mappings.
    pub(crate) fn have_mappings(&self, count: usize) {
        self.gateway.clear_mappings();
        for number in 0..count {
            self.gateway.insert(NewMapping::owned_by("alice", &format!("alias-{number:05}")));
        }
    }

    /// The call that is measured.
    pub(crate) fn list_models() -> Call {
        Call { tool: "list_models".to_owned(), arguments: json!({}) }
    }
}
