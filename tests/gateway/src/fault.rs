//! Faults: which requests go wrong, and in what way.

use std::time::Duration;

use crate::answer::Answer;
use crate::http::Request;

/// Something that goes wrong with certain requests.
///
/// Faults are looked at in the order in which they were added. The first one that is due for a request
/// takes it, and at most one does.
#[derive(Clone, Debug)]
pub struct Fault {
    when: When,
    what: What,
}

impl Fault {
    /// A fault that does `what` to the requests that `when` names.
    pub fn new(when: When, what: What) -> Self {
        Fault { when, what }
    }
}

/// Which requests a fault takes: by method and start of the target, and of those by default the next one.
///
/// The target is the raw path and query. `/api/v1/model-mappings` starts the list and every single
/// mapping; `/api/v1/model-mappings/` only single ones, `/api/v1/model-mappings?` only lists with a query.
#[derive(Clone, Debug)]
pub struct When {
    method: Option<String>,
    start: String,
    /// How many matching requests to let pass first.
    passing: usize,
    /// How many to take then; `None` for all.
    times: Option<usize>,
}

impl When {
    /// Any request.
    pub fn any() -> Self {
        When { method: None, start: String::new(), passing: 0, times: Some(1) }
    }

    /// Requests of this method whose target starts so.
    pub fn method(method: &str, start: &str) -> Self {
        When { method: Some(method.to_owned()), start: start.to_owned(), ..When::any() }
    }

    /// Requests of any method whose target starts so.
    pub fn path(start: &str) -> Self {
        When { start: start.to_owned(), ..When::any() }
    }

    /// GET requests whose target starts so.
    pub fn get(start: &str) -> Self {
        When::method("GET", start)
    }

    /// POST requests whose target starts so.
    pub fn post(start: &str) -> Self {
        When::method("POST", start)
    }

    /// PUT requests whose target starts so.
    pub fn put(start: &str) -> Self {
        When::method("PUT", start)
    }

    /// DELETE requests whose target starts so.
    pub fn delete(start: &str) -> Self {
        When::method("DELETE", start)
    }

    /// From the nth matching request on (the first is 1), counted from when the fault was added.
    #[must_use]
    pub fn nth(self, nth: usize) -> Self {
        When { passing: nth.saturating_sub(1), ..self }
    }

    /// This many matching requests instead of one.
    #[must_use]
    pub fn times(self, times: usize) -> Self {
        When { times: Some(times), ..self }
    }

    /// All matching requests, until the faults are cleared.
    #[must_use]
    pub fn always(self) -> Self {
        When { times: None, ..self }
    }

    fn matches(&self, request: &Request) -> bool {
        let method = self.method.as_ref().is_none_or(|method| *method == request.method);
        method && request.target.starts_with(&self.start)
    }

    /// Counts a matching request, and says whether it is to be taken.
    fn is_due(&mut self) -> bool {
        if self.passing > 0 {
            self.passing -= 1;
            return false;
        }
        match &mut self.times {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }

    fn is_spent(&self) -> bool {
        self.times == Some(0)
    }
}

/// What goes wrong. "Performs" means that the request has its effect and is recorded as usual; without
/// that word nothing happens to the gateway's rows.
#[derive(Clone, Debug)]
pub enum What {
    /// Performs, then answers this much later. Stops waiting when the client goes away.
    Delay(Duration),
    /// Performs this much later, even if the client has gone away by then, then answers.
    PerformLate(Duration),
    /// Gives this answer instead of performing.
    Answer(Answer),
    /// Performs, and gives this answer instead of the true one: a 500 with the row written.
    AnswerAfterPerforming(Answer),
    /// Sends these bytes instead of an HTTP answer, then closes.
    Bytes(Vec<u8>),
    /// Closes the connection without an answer.
    Close,
    /// Performs, then closes the connection without an answer.
    CloseAfterPerforming,
    /// Performs, sends this many bytes of the answer (head and body counted), then closes.
    CloseWithin(usize),
    /// Performs, answers, then closes without having announced it: the next use finds a dead connection.
    CloseAfterAnswer,
    /// Performs, answers, and closes when the next request begins to arrive on the connection, which is
    /// neither read nor recorded: a keep-alive connection that dies in the moment of its reuse.
    CloseOnReuse,
    /// Resets the connection (RST) without an answer.
    Reset,
    /// Performs, then resets the connection without an answer.
    ResetAfterPerforming,
    /// Performs, sends this many bytes of the answer (head and body counted), then resets.
    ResetWithin(usize),
    /// Performs, answers, then resets.
    ResetAfterAnswer,
    /// Never answers, and keeps the connection until the client closes it.
    Silence,
    /// Performs, then never answers.
    SilenceAfterPerforming,
    /// Performs, sends this many bytes of the answer (head and body counted), then no more.
    SilenceWithin(usize),
    /// Performs, and answers one byte at a time with this interval between them.
    Drip(Duration),
    /// Performs, answers with a `Content-Length` that is too long by so much, then closes.
    LengthTooLong(usize),
    /// Performs, answers with a `Content-Length` that is too short by so much, and keeps the connection:
    /// what is left of the body stands where the next answer should begin.
    LengthTooShort(usize),
    /// Performs, answers in chunks of which the last one is cut off, then closes.
    TruncatedChunk,
    /// Performs, and answers with a chunked body that goes on until the client closes.
    EndlessBody,
    /// Performs, and answers with these header fields added.
    ExtraHeaders(Vec<(String, String)>),
    /// Revokes the request's key at once, then performs: whoever has used it so far finds it refused.
    RevokeKey,
    /// Performs, stops listening, answers with `Connection: close`, and is gone like a process that was told to end:
    /// connections are refused.
    StopAfterAnswer,
    /// Gives a 500 that shows the request's key in a header (`X-Echo`) and in its error text.
    EchoKey,
}

/// The faults that are still to come.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    waiting: Vec<Fault>,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.waiting.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// What goes wrong with this request, if anything.
    pub(crate) fn take(&mut self, request: &Request) -> Option<What> {
        let due = self.waiting.iter_mut().position(|fault| fault.when.matches(request) && fault.when.is_due())?;
        let what = self.waiting[due].what.clone();
        if self.waiting[due].when.is_spent() {
            self.waiting.remove(due);
        }
        Some(what)
    }
}
