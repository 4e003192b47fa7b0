//! What a call and the process may use at most.

use serde::{Deserialize, Serialize};

/// The section `[limits]` of a grant file. Every key has a default; an unknown one is an error.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Seconds that a call may take, waiting included. Below the 60 seconds after which clients give up.
    pub call_seconds: u64,
    /// Seconds that one request may take, connection and answer included. Four of them fit into a call: a write
    /// that is not answered can still be looked at.
    pub request_seconds: u64,
    /// Seconds that connecting to one address may take.
    pub connect_seconds: u64,
    /// MiB of memory that an instance may have.
    pub memory_mib: usize,
    /// Calls that run at the same time; further ones wait.
    pub concurrent_calls: usize,
    /// Requests that a call may make.
    pub requests_per_call: usize,
    /// Requests that are under way at the same time, of all calls; further ones wait.
    pub concurrent_requests: usize,
    /// Bytes of a request's body.
    pub request_bytes: usize,
    /// Bytes of a response's body.
    pub response_bytes: usize,
    /// Bytes of all headers of a request, and of a response.
    pub header_bytes: usize,
    /// Bytes of a tool's result, as JSON.
    pub result_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            call_seconds: 45,
            request_seconds: 10,
            connect_seconds: 5,
            memory_mib: 64,
            concurrent_calls: 16,
            requests_per_call: 64,
            concurrent_requests: 32,
            request_bytes: 1 << 20,
            response_bytes: 8 << 20,
            header_bytes: 32 << 10,
            result_bytes: 4 << 20,
        }
    }
}

impl Limits {
    /// The first limit that has no meaning, and what is allowed.
    pub(super) fn invalid(&self) -> Option<(&'static str, String)> {
        let ranges = [
            ("call_seconds", self.call_seconds, 1, 3600),
            ("request_seconds", self.request_seconds, 1, 3600),
            ("connect_seconds", self.connect_seconds, 1, 3600),
            ("memory_mib", self.memory_mib as u64, 1, 4096),
            ("concurrent_calls", self.concurrent_calls as u64, 1, 256),
            ("requests_per_call", self.requests_per_call as u64, 1, 100_000),
            ("concurrent_requests", self.concurrent_requests as u64, 1, 1024),
            ("request_bytes", self.request_bytes as u64, 0, 1 << 30),
            ("response_bytes", self.response_bytes as u64, 1024, 1 << 30),
            ("header_bytes", self.header_bytes as u64, 1024, 1 << 20),
            ("result_bytes", self.result_bytes as u64, 1024, 1 << 30),
        ];
        let outside = ranges.iter().find(|(_, value, least, most)| value < least || value > most);
        outside.map(|(name, value, least, most)| (*name, format!("`{name}` is {value}; allowed: {least} to {most}")))
    }
}
