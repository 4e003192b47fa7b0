//! The reference gateway against the contract, line by line, as raw bytes over TCP.
//!
//! Nothing here shares code with the gateway's own reading and writing of HTTP and JSON.

mod aliases;
mod authentication;
mod client;
mod connections;
mod faults;
mod outages;
mod reading;
mod transport;
mod updating;
mod writing;
