//! What a line asks for.

use rmcp::RoleServer;
use rmcp::model::{ClientRequest, ErrorCode, ErrorData, JsonRpcMessage, ProtocolVersion, RequestId};
use rmcp::service::RxJsonRpcMessage;
use serde_json::Value;

use super::lines::{Line, MOST_LINE_BYTES, id_in, is_id};
use crate::log;

/// Metadata that a request without a handshake has to bring.
const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";

/// The requests that this server answers.
const METHODS: [&str; 5] = ["initialize", "server/discover", "ping", "tools/list", "tools/call"];

/// What becomes of a line.
pub(super) enum Parsed {
    /// It goes to the SDK.
    Message(Box<RxJsonRpcMessage<RoleServer>>),
    /// It is answered here: an id, if one was readable, and the error.
    Refused(Option<Value>, ErrorData),
    /// It asks for nothing.
    Ignored,
}

/// Reads lines, knowing those before.
#[derive(Default)]
pub(super) struct Parser {
    /// Whether the handshake of the older versions was seen: only then may a request come without metadata.
    initialized: bool,
}

impl Parser {
    pub(super) fn parse(&mut self, line: Line) -> Parsed {
        let bytes = match line {
            Line::Complete(bytes) if bytes.iter().all(u8::is_ascii_whitespace) => return Parsed::Ignored,
            Line::Complete(bytes) => bytes,
            Line::TooLong { id } => return invalid(id, &format!("the message is longer than {MOST_LINE_BYTES} bytes")),
        };
        match serde_json::from_slice(&bytes) {
            Ok(message) => self.classify(message),
            Err(error) => {
                let reason = format!("the line is not JSON: {error}");
                Parsed::Refused(id_in(bytes.as_slice()), ErrorData::new(ErrorCode::PARSE_ERROR, reason, None))
            }
        }
    }

    fn classify(&mut self, message: Value) -> Parsed {
        if message.is_array() {
            return invalid(None, "batches are not supported; send one message a line");
        }
        let id = message.get("id").filter(|id| is_id(id)).cloned();
        if message["jsonrpc"] != "2.0" {
            return invalid(id, "`jsonrpc` must be \"2.0\"");
        }
        let Some(method) = message["method"].as_str().map(str::to_owned) else {
            // An answer: this server asks nothing, so there is nothing to do with one.
            let answer = message.get("result").is_some() || message.get("error").is_some();
            return if answer { Parsed::Ignored } else { invalid(id, "`method` must be a string") };
        };
        if message.get("id").is_none() {
            return serde_json::from_value(message)
                .map_or(Parsed::Ignored, |message| Parsed::Message(Box::new(message)));
        }
        // What the SDK takes for an id: a whole number that fits, or a string.
        match serde_json::from_value::<RequestId>(message["id"].clone()) {
            Ok(_) => self.request(&method, id, message),
            Err(_) => invalid(id, "`id` must be a string or a whole number of 64 bits"),
        }
    }

    fn request(&mut self, method: &str, id: Option<Value>, message: Value) -> Parsed {
        let malformed = |reason: String| Parsed::Refused(id.clone(), ErrorData::invalid_params(reason, None));
        let version = &message["params"]["_meta"][VERSION_KEY];
        // Neither has that version a `ping`, which the SDK knows.
        let removed = method == "initialize" && *version == ProtocolVersion::V_2026_07_28.as_str();
        if removed || !METHODS.contains(&method) {
            let reason = format!("there is no method `{}`: this server has tools only", log::one_line(method));
            return Parsed::Refused(id, ErrorData::new(ErrorCode::METHOD_NOT_FOUND, reason, None));
        }
        if let Some(reason) = malformed_call(method, &message["params"]) {
            return malformed(reason.to_owned());
        }
        if version.is_null() && !self.initialized && !matches!(method, "initialize" | "ping") {
            let newest = ProtocolVersion::V_2026_07_28;
            return malformed(format!(
                "`{method}` needs `_meta` with `{VERSION_KEY}` (\"{newest}\"), or `initialize` before it"
            ));
        }
        match serde_json::from_value(message) {
            // Without its parameters the SDK would take it for an unknown method.
            Ok(message) if is_custom(&message) => malformed(format!("the parameters of `{method}` are malformed")),
            Ok(message) => {
                self.initialized |= method == "initialize";
                Parsed::Message(Box::new(message))
            }
            Err(error) => malformed(format!("malformed `{method}`: {error}")),
        }
    }
}

fn invalid(id: Option<Value>, reason: &str) -> Parsed {
    Parsed::Refused(id, ErrorData::invalid_request(reason.to_owned(), None))
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
