//! What the egress knows of the call that a request belongs to.

use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::audit::Denials;
use crate::grants::Denial;
use crate::secret::{Scrubber, SecretValue};

/// What stands for a secret inside the sandbox.
pub(crate) struct Placeholder {
    /// The text that the component sees.
    pub(crate) text: String,
    /// The environment variable that shows it.
    pub(crate) env: String,
    /// The only header that it is replaced in.
    pub(crate) header: http::HeaderName,
    /// What it stands for in this call; nothing, when no key is configured.
    pub(crate) secret: Option<SecretValue>,
}

/// What the egress knows of the call that a request belongs to.
pub(crate) struct CallContext {
    /// Its number in this process.
    pub(crate) id: u64,
    /// The tool that is running.
    pub(crate) tool: String,
    /// The secrets of this call.
    pub(crate) placeholders: Vec<Placeholder>,
    /// Finds them again in what comes back.
    pub(crate) scrubber: Scrubber,
    /// Requests tried so far, denied ones included: to be asked is work too.
    pub(super) tried: AtomicUsize,
    /// Whether it met a kept connection that was broken: the others may be, and it trusts none of them any more.
    pub(super) distrusts_kept: AtomicBool,
    /// What is counted while it runs.
    pub(super) counters: Counters,
    /// What was denied last.
    last_denial: Mutex<Option<Denial>>,
}

/// What others follow of a call while it runs.
#[derive(Clone)]
pub(crate) struct Counters {
    /// Its denials, for the record of its end.
    pub(crate) denials: Denials,
    /// How many of its requests are answered, for whoever asked for its progress.
    pub(crate) answered: watch::Sender<u32>,
}

impl CallContext {
    pub(crate) fn new(id: u64, tool: &str, placeholders: Vec<Placeholder>, counters: Counters) -> Self {
        let scrubber = Scrubber::new(placeholders.iter().filter_map(|placeholder| placeholder.secret.clone()));
        let (tool, tried, last_denial) = (tool.to_owned(), AtomicUsize::new(0), Mutex::default());
        let distrusts_kept = AtomicBool::new(false);
        Self { id, tool, placeholders, scrubber, tried, distrusts_kept, counters, last_denial }
    }

    /// What was denied last in this call.
    pub(crate) fn last_denial(&self) -> Option<Denial> {
        self.last_denial.lock().ok()?.clone()
    }

    /// Remembers a denial for the call's result.
    pub(super) fn remember(&self, denial: Denial) {
        *self.last_denial.lock().unwrap_or_else(PoisonError::into_inner) = Some(denial);
    }
}
