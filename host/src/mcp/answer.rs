//! Messages as lines.

use std::io;

use rmcp::RoleServer;
use rmcp::model::{
    CallToolResult, ContentBlock, JsonRpcMessage, JsonRpcResponse, JsonRpcVersion2_0, MetaObject, RequestId,
    ResultType, ServerResult,
};
use rmcp::service::TxJsonRpcMessage;
use serde::Serialize;
use serde_json::value::RawValue;

/// The answer to a call that went well. What it says is JSON already: it is written as text, and once more as it is.
#[derive(Serialize)]
struct Answer<'a> {
    jsonrpc: JsonRpcVersion2_0,
    id: &'a RequestId,
    result: Success<'a>,
}

/// What [`CallToolResult`] is on the wire.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Success<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    result_type: &'a Option<ResultType>,
    content: &'a [ContentBlock],
    structured_content: &'a RawValue,
    is_error: bool,
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    meta: &'a Option<MetaObject>,
}

/// A message of the SDK as a line. A tool's success comes without structure: that is the JSON in its text.
pub(super) fn message_to_line(message: &TxJsonRpcMessage<RoleServer>) -> io::Result<Vec<u8>> {
    match message {
        JsonRpcMessage::Response(response) => match Answer::of(response) {
            Some(answer) => to_line(&answer, answer.usual_length()),
            None => to_line(message, 0),
        },
        message => to_line(message, 0),
    }
}

/// Anything as a line, with room for what it usually takes.
pub(super) fn to_line(message: &impl Serialize, length: usize) -> io::Result<Vec<u8>> {
    let mut line = Vec::with_capacity(length);
    serde_json::to_writer(&mut line, message)?;
    line.push(b'\n');
    Ok(line)
}

impl<'a> Answer<'a> {
    fn of(response: &'a JsonRpcResponse<ServerResult>) -> Option<Self> {
        let ServerResult::CallToolResult(result) = &response.result else { return None };
        let CallToolResult { result_type, content, structured_content: None, is_error: Some(false), meta, .. } = result
        else {
            return None;
        };
        let [ContentBlock::Text(text)] = content.as_slice() else { return None };
        let structured_content = serde_json::from_str(&text.text).ok()?;
        let result = Success { result_type, content, structured_content, is_error: false, meta };
        Some(Self { jsonrpc: response.jsonrpc, id: &response.id, result })
    }

    /// The text with its escapes, the same without, and what is around them.
    fn usual_length(&self) -> usize {
        self.result.structured_content.get().len() * 5 / 2 + 256
    }
}
