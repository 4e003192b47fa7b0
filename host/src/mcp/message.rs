//! What a line asks for.

use rmcp::RoleServer;
use rmcp::model::{
    ClientNotification, ClientRequest, ErrorCode, ErrorData, JsonRpcMessage, JsonRpcNotification, JsonRpcRequest,
    JsonRpcVersion2_0, ProtocolVersion, RequestId,
};
use rmcp::service::RxJsonRpcMessage;
use serde_json::{Value, from_value};

use super::lines::{Line, MOST_LINE_BYTES, id_in, is_id};
use crate::log;

/// Metadata that a request without a handshake has to bring.
const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";

/// A request that this server answers. The SDK's own reading tries one type after the other, of all that a server could
/// be asked, and does not say what is wrong with the right one.
type Read = fn(Value) -> serde_json::Result<ClientRequest>;

/// The methods, and how each is read.
const METHODS: [(&str, Read); 5] = [
    ("initialize", |message| from_value(message).map(ClientRequest::InitializeRequest)),
    ("server/discover", |message| from_value(message).map(ClientRequest::DiscoverRequest)),
    ("ping", |message| from_value(message).map(ClientRequest::PingRequest)),
    ("tools/list", |message| from_value(message).map(ClientRequest::ListToolsRequest)),
    ("tools/call", |message| from_value(message).map(ClientRequest::CallToolRequest)),
];

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
            return notification(&method, message);
        }
        // What the SDK takes for an id: a whole number that fits, or a string.
        match from_value(message["id"].clone()) {
            Ok(number) => self.request(&method, number, id, message),
            Err(_) => invalid(id, "`id` must be a string or a whole number of 64 bits"),
        }
    }

    fn request(&mut self, method: &str, number: RequestId, id: Option<Value>, message: Value) -> Parsed {
        let malformed = |reason: String| Parsed::Refused(id.clone(), ErrorData::invalid_params(reason, None));
        let version = &message["params"]["_meta"][VERSION_KEY];
        // Neither has that version a `ping`, which the SDK knows.
        let removed = method == "initialize" && *version == ProtocolVersion::V_2026_07_28.as_str();
        let Some((_, read)) = METHODS.iter().find(|(known, _)| *known == method && !removed) else {
            let reason = format!("there is no method `{}`: this server has tools only", log::one_line(method));
            return Parsed::Refused(id, ErrorData::new(ErrorCode::METHOD_NOT_FOUND, reason, None));
        };
        if let Some(reason) = malformed_call(method, &message["params"]) {
            return malformed(reason.to_owned());
        }
        if version.is_null() && !self.initialized && !matches!(method, "initialize" | "ping") {
            let newest = ProtocolVersion::V_2026_07_28;
            return malformed(format!(
                "`{method}` needs `_meta` with `{VERSION_KEY}` (\"{newest}\"), or `initialize` before it"
            ));
        }
        match read(message) {
            Ok(request) => {
                self.initialized |= method == "initialize";
                let request = JsonRpcRequest { jsonrpc: JsonRpcVersion2_0, id: number, request };
                Parsed::Message(Box::new(JsonRpcMessage::Request(request)))
            }
            Err(error) => malformed(format!("the parameters of `{method}` are malformed{}", detail(&error))),
        }
    }
}

/// What is wrong, unless that repeats a text that was given: it may be a key in the wrong place, and any length.
fn detail(error: &serde_json::Error) -> String {
    let detail = error.to_string();
    if detail.contains('"') { String::new() } else { format!(": {detail}") }
}

/// What the SDK has to know of; there are others, which change nothing.
fn notification(method: &str, message: Value) -> Parsed {
    let notification = match method {
        "notifications/initialized" => from_value(message).map(ClientNotification::InitializedNotification),
        "notifications/cancelled" => from_value(message).map(ClientNotification::CancelledNotification),
        _ => return Parsed::Ignored,
    };
    notification.map_or(Parsed::Ignored, |notification| {
        let notification = JsonRpcNotification { jsonrpc: JsonRpcVersion2_0, notification };
        Parsed::Message(Box::new(JsonRpcMessage::Notification(notification)))
    })
}

fn invalid(id: Option<Value>, reason: &str) -> Parsed {
    Parsed::Refused(id, ErrorData::invalid_request(reason.to_owned(), None))
}

/// What a `tools/call` lacks.
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
