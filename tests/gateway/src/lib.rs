//! An AIGateway for tests: the HTTP contract of the real one with every quirk, in memory, with faults on
//! demand.
//!
//! ```
//! use reference_gateway::{Answer, Fault, Gateway, What, When};
//!
//! let gateway = Gateway::start();
//! gateway.fault(Fault::new(When::post("/api/v1/model-mappings"), What::Answer(Answer::html(502))));
//! // … point a client at `gateway.url()` with `gateway.key("alice")` …
//! assert!(gateway.requests().is_empty());
//! ```
//!
//! What it answers is in three places: [`Gateway`]'s rows, users and outages decide what is true, the
//! private `api` module says it as the real gateway would, and a [`Fault`] spoils how it is said.
//!
//! | module | concept |
//! | --- | --- |
//! | `route`, `api`, `body` | requests and the answers to them |
//! | `users`, `table`, `collation`, `providers`, `store` | what the gateway knows |
//! | `fault`, `delivery` | what goes wrong, and how that looks on the wire |
//! | `http`, `answer`, `socket`, `connection`, `tls`, `server` | bytes and sockets |
//! | `json`, `time` | Go's ways of writing JSON and times |

mod answer;
mod api;
mod body;
mod collation;
mod connection;
mod delivery;
mod fault;
mod gateway;
mod http;
mod json;
mod mapping;
mod providers;
mod route;
mod server;
mod socket;
mod store;
mod table;
mod time;
mod tls;
mod users;

pub use answer::Answer;
pub use fault::{Fault, What, When};
pub use gateway::{Builder, Gateway};
pub use http::Request;
pub use mapping::{Mapping, NewMapping};
pub use providers::Provider;
pub use table::Database;
pub use users::Role;
