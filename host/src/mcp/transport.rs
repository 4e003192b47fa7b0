//! JSON-RPC over stdin and stdout, one message a line.
//!
//! The SDK's own stdio transport drops what it cannot read; here every line that asks for something gets an answer.
//! One reader, one writer (tasks or threads), and nothing else in the process touches either descriptor.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{
    ClientNotification, ClientRequest, ErrorData, GetMeta, JsonRpcMessage, JsonRpcNotification, JsonRpcRequest,
    ProgressToken, RequestId, ServerNotification,
};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::LOOK;
use super::answer::{message_to_line, to_line};
use super::descriptors;
use super::in_flight::InFlight;
use super::lines::Line;
use super::message::{Parsed, Parser};

/// Requests that are under way at the same time. With more, reading pauses: a client that does not read its answers
/// is not read from either.
const MOST_IN_FLIGHT: usize = 256;

/// The size that they may have together, save for the last one.
const MOST_BYTES_IN_FLIGHT: usize = 32 << 20;

/// How long calls in flight may go on after the input ended. Clients kill a server that takes longer than 2 seconds.
const GRACE: Duration = Duration::from_millis(1300);

/// How a session ends.
#[derive(Clone, Default)]
pub(super) struct Ending {
    /// Nothing more is read; calls in flight get their time.
    pub(super) stop: CancellationToken,
    /// Nothing more is written.
    pub(super) over: CancellationToken,
}

/// The transport between the SDK and these two.
pub(super) struct Lines {
    input: mpsc::Receiver<Line>,
    output: mpsc::Sender<Vec<u8>>,
    parser: Parser,
    in_flight: Arc<Mutex<InFlight>>,
    ending: Ending,
    deadline: Option<Instant>,
    /// A refusal that waits for room; the SDK may drop [`Transport::receive`] while it does.
    unsent: Option<Vec<u8>>,
}

impl Lines {
    pub(super) fn new(input: mpsc::Receiver<Line>, output: mpsc::Sender<Vec<u8>>, ending: Ending) -> Self {
        let (parser, in_flight) = (Parser::default(), Arc::default());
        Self { input, output, parser, in_flight, ending, deadline: None, unsent: None }
    }

    /// Reads a line: a message for the SDK, or nothing, with a refusal in [`Self::unsent`] if it wanted an answer.
    fn read(&mut self, line: Line) -> Option<RxJsonRpcMessage<RoleServer>> {
        let bytes = line.bytes();
        let parsed = match self.parser.parse(line) {
            Parsed::Message(message) => self.admit(*message, bytes),
            other => other,
        };
        match parsed {
            Parsed::Message(message) => return Some(*message),
            Parsed::Refused(id, error) => self.unsent = to_line(&refusal(id, &error), 0).ok(),
            Parsed::Ignored => {}
        }
        None
    }

    /// Puts the numbers of [`InFlight`] in the place of the client's ids.
    fn admit(&self, mut message: RxJsonRpcMessage<RoleServer>, bytes: usize) -> Parsed {
        match &mut message {
            JsonRpcMessage::Request(request) => {
                if let Some(error) = self.start(request, bytes) {
                    return Parsed::Refused(Some(request.id.clone().into_json_value()), error);
                }
            }
            JsonRpcMessage::Notification(notification) => {
                if let ClientNotification::CancelledNotification(cancelled) = &mut notification.notification {
                    let id = cancelled.params.request_id.take();
                    let Some(number) = id.and_then(|id| lock(&self.in_flight).cancel(&id)) else {
                        return Parsed::Ignored;
                    };
                    cancelled.params.request_id = Some(number);
                }
            }
            _ => {}
        }
        Parsed::Message(Box::new(message))
    }

    /// Numbers a request and its progress token; or says why not.
    fn start(&self, request: &mut JsonRpcRequest<ClientRequest>, bytes: usize) -> Option<ErrorData> {
        let token = request.request.get_meta().get_progress_token();
        let Some(number) = lock(&self.in_flight).start(&request.id, token.clone(), bytes) else {
            return Some(ErrorData::invalid_request("a request with this id is still being answered", None));
        };
        if token.is_some() {
            request.request.get_meta_mut().set_progress_token(ProgressToken(number.clone()));
        }
        request.id = number;
        None
    }

    /// Puts the client's id in the place of a number; none if the request was cancelled.
    fn answer_to(&self, number: &mut RequestId) -> Option<RequestId> {
        let id = lock(&self.in_flight).answer(number)?;
        number.clone_from(&id);
        Some(id)
    }

    /// Says how far a call is, if it still is under way. That is not worth a wait, nor the room of one: it is dropped
    /// when another line is still to be written.
    fn tell(&self, notification: &mut JsonRpcNotification<ServerNotification>) {
        let ServerNotification::ProgressNotification(progress) = &mut notification.notification else { return };
        let Some(token) = lock(&self.in_flight).token(&progress.params.progress_token.0) else { return };
        progress.params.progress_token = token;
        let idle = self.output.capacity() == self.output.max_capacity();
        if let Some(line) = idle.then(|| to_line(notification, 0).ok()).flatten() {
            _ = self.output.try_send(line);
        }
    }

    fn is_full(&self) -> bool {
        let in_flight = lock(&self.in_flight);
        in_flight.count() >= MOST_IN_FLIGHT || in_flight.bytes() >= MOST_BYTES_IN_FLIGHT
    }

    /// Waits until calls in flight are answered, or have had their time. The SDK asks again after each answer.
    async fn finish(&mut self) {
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + GRACE);
        if lock(&self.in_flight).is_empty() && self.unsent.is_none() {
            return;
        }
        tokio::time::sleep_until(deadline).await;
        self.ending.over.cancel();
    }
}

impl Transport<RoleServer> for Lines {
    type Error = io::Error;

    fn send(
        &mut self,
        mut message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let id = match &mut message {
            JsonRpcMessage::Response(response) => self.answer_to(&mut response.id),
            JsonRpcMessage::Error(error) => error.id.as_mut().and_then(|number| self.answer_to(number)),
            JsonRpcMessage::Notification(notification) => {
                self.tell(notification);
                None
            }
            JsonRpcMessage::Request(_) => None,
        };
        let (output, in_flight) = (self.output.clone(), self.in_flight.clone());
        async move {
            // Without an id it is the answer to a cancelled request, or no answer.
            let Some(id) = id else { return Ok(()) };
            let written = match message_to_line(&message) {
                Ok(line) => output.send(line).await.map_err(|_| io::ErrorKind::BrokenPipe.into()),
                Err(error) => Err(error),
            };
            lock(&in_flight).free(&id);
            written
        }
    }

    /// Every wait in here may be dropped by the SDK: what was read is in `self` or returned before the next one.
    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        while self.deadline.is_none() {
            let waiting = self.unsent.is_some();
            let full = self.is_full();
            let line = tokio::select! {
                biased;
                () = self.ending.stop.cancelled() => None,
                room = self.output.reserve(), if waiting => match (room, self.unsent.take()) {
                    (Ok(room), Some(line)) => {
                        room.send(line);
                        continue;
                    }
                    _ => None,
                },
                line = self.input.recv(), if !waiting && !full => line,
                // Answers make room, and each brings the SDK back here.
                () = left_behind(), if waiting || full => {
                    self.ending.over.cancel();
                    None
                }
            };
            match line.map(|line| self.read(line)) {
                None => break,
                Some(Some(message)) => return Some(message),
                Some(None) => {}
            }
        }
        self.finish().await;
        None
    }

    async fn close(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits until the client is gone and no answer was written for a while. The end of input says that as well, but
/// not while what is before it cannot be read.
async fn left_behind() {
    while !descriptors::stdin_is_abandoned() {
        tokio::time::sleep(LOOK).await;
    }
    tokio::time::sleep(GRACE).await;
}

fn lock(in_flight: &Mutex<InFlight>) -> MutexGuard<'_, InFlight> {
    in_flight.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refusal(id: Option<Value>, error: &ErrorData) -> Value {
    match id {
        Some(id) => json!({ "jsonrpc": "2.0", "id": id, "error": error }),
        // Not null: MCP leaves an id out that could not be read.
        None => json!({ "jsonrpc": "2.0", "error": error }),
    }
}

#[cfg(test)]
mod tests {
    use rmcp::model::{ProgressNotification, ProgressNotificationParam};

    use super::*;

    const CALL: &str = r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"x","_meta":{
        "progressToken":"t","io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;

    /// A step of the first request that was read.
    fn step(progress: f64) -> TxJsonRpcMessage<RoleServer> {
        let token = ProgressToken(RequestId::Number(1));
        let step = ProgressNotification::new(ProgressNotificationParam::new(token, progress));
        JsonRpcMessage::notification(ServerNotification::ProgressNotification(step))
    }

    #[test]
    fn progress_is_told_by_the_clients_token_while_nothing_else_waits_and_until_the_request_is_over() {
        let (output, mut written) = mpsc::channel(4);
        let mut lines = Lines::new(mpsc::channel(1).1, output, Ending::default());
        assert!(lines.read(Line::Complete(CALL.into())).is_some());

        drop(lines.send(step(1.0)));
        drop(lines.send(step(2.0)));
        let told: Value = serde_json::from_slice(&written.try_recv().unwrap()).unwrap();
        assert_eq!(told["params"], json!({ "progressToken": "t", "progress": 1.0 }));
        assert!(written.try_recv().is_err(), "the second one found the first one waiting");

        drop(lines.send(step(3.0)));
        assert!(written.try_recv().is_ok());
        lock(&lines.in_flight).cancel(&RequestId::String("a".into()));
        drop(lines.send(step(4.0)));
        assert!(written.try_recv().is_err(), "it was cancelled");
    }
}
