//! Any bytes as what a client sends: what asks for an answer becomes a message or a refusal, with its id.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code, reason = "the host's own")]
#[path = "../../host/src/text.rs"]
mod text;

/// What the host's modules want of its log.
mod log {
    pub(crate) use crate::text::one_line;
}

#[allow(dead_code, reason = "the host's own")]
#[path = "../../host/src/mcp"]
mod mcp {
    mod lines;
    mod message;

    use std::io::BufReader;

    use lines::Line;
    use message::{Parsed, Parser};
    use rmcp::model::{ErrorCode, JsonRpcMessage};
    use serde_json::Value;

    /// Reads all lines as one session.
    pub(crate) fn check(bytes: &[u8]) {
        let (mut input, mut parser) = (BufReader::new(bytes), Parser::default());
        while let Some(line) = lines::read_line(&mut input).expect("memory can be read") {
            let Line::Complete(text) = &line else { continue };
            let text = text.clone();
            judge(&text, parser.parse(line));
        }
    }

    fn judge(text: &[u8], parsed: Parsed) {
        let message: Option<Value> = serde_json::from_slice(text).ok();
        let id = message.as_ref().and_then(|message| message.get("id")).filter(|id| lines::is_id(id));
        match parsed {
            Parsed::Ignored => assert!(message.as_ref().map_or(text.trim_ascii().is_empty(), asks_nothing)),
            Parsed::Refused(_, error) if message.is_none() => assert_eq!(error.code, ErrorCode::PARSE_ERROR),
            Parsed::Refused(refused, _) => assert_eq!(refused.as_ref(), id),
            Parsed::Message(read) => match *read {
                JsonRpcMessage::Request(request) => assert!(is_same(&request.id.into_json_value(), id)),
                JsonRpcMessage::Notification(_) => assert!(message.is_some_and(|message| message.get("id").is_none())),
                _ => panic!("an answer to a server that asks nothing"),
            },
        }
    }

    /// Whether they are one id: `1e2` is answered as 100, which is the same number.
    fn is_same(read: &Value, sent: Option<&Value>) -> bool {
        sent.is_some_and(|sent| read == sent || (sent.is_f64() && read.as_f64() == sent.as_f64()))
    }

    /// Whether it is a notification that makes no sense, or an answer.
    fn asks_nothing(message: &Value) -> bool {
        let is_answer = message.get("result").is_some() || message.get("error").is_some();
        message["jsonrpc"] == "2.0"
            && if message["method"].is_string() { message.get("id").is_none() } else { is_answer }
    }
}

fuzz_target!(|bytes: &[u8]| mcp::check(bytes));
