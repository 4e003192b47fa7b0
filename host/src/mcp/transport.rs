//! JSON-RPC over stdin and stdout, one message a line.
//!
//! The SDK's own stdio transport drops what it cannot read; here every line that asks for something gets an answer.
//! A thread reads, a thread writes, and nothing else in the process touches either descriptor.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{ClientRequest, ErrorCode, ErrorData, JsonRpcMessage, ProtocolVersion, RequestId};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::lines::{Line, MOST_LINE_BYTES};

/// Requests that are under way at the same time. With more, reading pauses: a client that does not read its answers
/// is not read from either.
const MOST_IN_FLIGHT: usize = 1024;

/// How long calls in flight may go on after the input ended. Clients kill a server that takes longer than 2 seconds.
const GRACE: Duration = Duration::from_millis(1500);

/// Metadata that a request without a handshake has to bring.
const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";

/// The transport between the SDK and the two threads.
pub(super) struct Lines {
    input: mpsc::Receiver<Line>,
    output: mpsc::Sender<Vec<u8>>,
    in_flight: Arc<Mutex<HashSet<RequestId>>>,
    /// Whether the handshake of the older versions was seen: only then may a request come without metadata.
    initialized: bool,
    stop: CancellationToken,
    deadline: Option<Instant>,
    /// A refusal that waits for room; the SDK may drop [`Transport::receive`] while it does.
    unsent: Option<Vec<u8>>,
}

/// The requests that this server answers. With other parameters than theirs they are no unknown methods.
const METHODS: [&str; 5] = ["initialize", "server/discover", "ping", "tools/list", "tools/call"];

/// What becomes of a line.
enum Parsed {
    /// It goes to the SDK.
    Message(Box<RxJsonRpcMessage<RoleServer>>),
    /// It is answered here: an id, if one was readable, and the error.
    Refused(Option<RequestId>, ErrorData),
    /// It asks for nothing.
    Ignored,
}

impl Lines {
    pub(super) fn new(input: mpsc::Receiver<Line>, output: mpsc::Sender<Vec<u8>>, stop: CancellationToken) -> Self {
        Self { input, output, in_flight: Arc::default(), initialized: false, stop, deadline: None, unsent: None }
    }

    fn parse(&mut self, line: &Line) -> Parsed {
        let bytes = match line {
            Line::Complete(bytes) if bytes.iter().all(u8::is_ascii_whitespace) => return Parsed::Ignored,
            Line::Complete(bytes) => bytes,
            Line::TooLong { head } => {
                let reason = format!("the message is longer than {MOST_LINE_BYTES} bytes");
                return Parsed::Refused(super::lines::id_in(head), ErrorData::invalid_request(reason, None));
            }
        };
        match serde_json::from_slice(bytes) {
            Ok(message) => self.classify(message),
            Err(error) => {
                let reason = format!("the line is not JSON: {error}");
                Parsed::Refused(None, ErrorData::new(ErrorCode::PARSE_ERROR, reason, None))
            }
        }
    }

    fn classify(&mut self, message: Value) -> Parsed {
        let invalid = |id, reason: &str| Parsed::Refused(id, ErrorData::invalid_request(reason.to_owned(), None));
        if message.is_array() {
            return invalid(None, "batches are not supported; send one message a line");
        }
        let id = message.get("id").and_then(|id| serde_json::from_value::<RequestId>(id.clone()).ok());
        if message["jsonrpc"] != "2.0" {
            return invalid(id, "`jsonrpc` must be \"2.0\"");
        }
        let Some(method) = message["method"].as_str().map(str::to_owned) else {
            // An answer: this server asks nothing, so there is nothing to do with one.
            let answer = message.get("result").is_some() || message.get("error").is_some();
            return if answer { Parsed::Ignored } else { invalid(id, "`method` must be a string") };
        };
        match (message.get("id").is_some(), id) {
            (false, _) => self.notification(&method, message),
            (true, None) => invalid(None, "`id` must be a string or a whole number"),
            (true, Some(id)) => self.request(&method, id, message),
        }
    }

    fn notification(&mut self, method: &str, message: Value) -> Parsed {
        if method == "notifications/cancelled"
            && let Ok(id) = serde_json::from_value(message["params"]["requestId"].clone())
        {
            self.lock_in_flight().remove(&id);
        }
        serde_json::from_value(message).map_or(Parsed::Ignored, |message| Parsed::Message(Box::new(message)))
    }

    fn request(&mut self, method: &str, id: RequestId, message: Value) -> Parsed {
        let refused = |error| Parsed::Refused(Some(id.clone()), error);
        if let Some(reason) = malformed_call(method, &message["params"]) {
            return refused(ErrorData::invalid_params(reason, None));
        }
        let stated = message["params"]["_meta"].get(VERSION_KEY).is_some();
        match method {
            "initialize" => self.initialized = true,
            "ping" => {}
            _ if stated || self.initialized => {}
            _ => {
                let newest = ProtocolVersion::V_2026_07_28;
                let reason =
                    format!("`{method}` needs `_meta` with `{VERSION_KEY}` (\"{newest}\"), or `initialize` before it");
                return refused(ErrorData::invalid_params(reason, None));
            }
        }
        let parsed = match serde_json::from_value(message) {
            Ok(message) if is_custom(&message) && METHODS.contains(&method) => {
                return refused(ErrorData::invalid_params(format!("the parameters of `{method}` are malformed"), None));
            }
            Ok(message) => Parsed::Message(Box::new(message)),
            Err(error) => return refused(ErrorData::invalid_params(format!("malformed `{method}`: {error}"), None)),
        };
        if !self.lock_in_flight().insert(id.clone()) {
            return refused(ErrorData::invalid_request("a request with this id is still being answered", None));
        }
        parsed
    }

    fn lock_in_flight(&self) -> std::sync::MutexGuard<'_, HashSet<RequestId>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until calls in flight are answered, or have had their time. The SDK asks again after each answer.
    async fn finish(&mut self) {
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + GRACE);
        if !self.lock_in_flight().is_empty() {
            tokio::time::sleep_until(deadline).await;
        }
    }
}

fn is_custom(message: &RxJsonRpcMessage<RoleServer>) -> bool {
    matches!(message, JsonRpcMessage::Request(request) if matches!(request.request, ClientRequest::CustomRequest(_)))
}

/// What a `tools/call` lacks: the SDK would call it an unknown method.
fn malformed_call(method: &str, params: &Value) -> Option<&'static str> {
    if method != "tools/call" {
        return None;
    }
    if !params["name"].is_string() {
        return Some("`params.name` must be the name of a tool");
    }
    let object_or_absent = params.get("arguments").is_none_or(Value::is_object);
    (!object_or_absent).then_some("`params.arguments` must be an object")
}

impl Transport<RoleServer> for Lines {
    type Error = io::Error;

    fn send(&mut self, message: TxJsonRpcMessage<RoleServer>) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let id = match &message {
            JsonRpcMessage::Response(response) => Some(response.id.clone()),
            JsonRpcMessage::Error(error) => error.id.clone(),
            _ => None,
        };
        let (output, in_flight) = (self.output.clone(), self.in_flight.clone());
        async move {
            let line = to_line(&message)?;
            let written = output.send(line).await.map_err(|_| io::ErrorKind::BrokenPipe.into());
            if let Some(id) = id {
                in_flight.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
            }
            written
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        while self.deadline.is_none() {
            if self.unsent.is_some() {
                let permit = self.output.reserve().await.ok()?;
                if let Some(line) = self.unsent.take() {
                    permit.send(line);
                }
                continue;
            }
            let full = self.lock_in_flight().len() >= MOST_IN_FLIGHT;
            let line = tokio::select! {
                biased;
                () = self.stop.cancelled() => None,
                line = self.input.recv(), if !full => line,
                // Answers make room, and each brings the SDK back here.
                () = std::future::pending(), if full => None,
            };
            match line.map(|line| self.parse(&line)) {
                None => break,
                Some(Parsed::Message(message)) => return Some(*message),
                Some(Parsed::Ignored) => {}
                Some(Parsed::Refused(id, error)) => {
                    self.unsent = to_line(&json!({ "jsonrpc": "2.0", "id": id, "error": error })).ok();
                }
            }
        }
        self.finish().await;
        None
    }

    async fn close(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn to_line(message: &impl serde::Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}
