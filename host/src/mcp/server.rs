//! The handler of the SDK: tools from a sandbox.

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures_util::FutureExt;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, InitializeRequestParams,
    InitializeResult, JsonObject, ListToolsResult, MetaObject, PaginatedRequestParams, ProtocolVersion,
    ServerCapabilities, ServerConfig, Tool as McpTool, ToolAnnotations,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use tokio::sync::watch;

use super::progress::Progress;
use crate::audit::Head;
use crate::component::Tool;
use crate::grants::Route;
use crate::log;
use crate::sandbox::{Outcome, Sandbox};

/// Where modern results say which server they come from.
const SERVER_INFO_KEY: &str = "io.modelcontextprotocol/serverInfo";

/// Where a result carries the head of the audit log: a transcript that keeps it is a witness.
const AUDIT_HEAD_KEY: &str = "aigateway-mcp/audit-head";

/// What a client is told about the whole server.
const INSTRUCTIONS: &str = "Tools for the model mappings of an AIGateway: aliases such as `my-gpt` that stand for a \
    provider's model. Call list_models first to see which aliases, providers and models there are. A failed call says \
    what happened and what to do next.";

/// Serves the tools of a sandbox.
pub(crate) struct Server {
    offer: Arc<Offer>,
}

/// What is offered, or why nothing is, as soon as somebody asks for it.
pub(crate) struct Offer {
    tools: OnceLock<Result<Tools, String>>,
    load: Mutex<Option<Load>>,
}

type Load = Box<dyn FnOnce() -> anyhow::Result<Arc<Sandbox>> + Send>;

/// A sandbox, and its tools as MCP describes them.
struct Tools {
    sandbox: Arc<Sandbox>,
    described: Vec<McpTool>,
}

impl Server {
    pub(crate) fn new(sandbox: Arc<Sandbox>) -> Self {
        let offer = Offer { tools: OnceLock::from(Ok(Tools::new(sandbox))), load: Mutex::default() };
        Self { offer: Arc::new(offer) }
    }

    /// Loads the sandbox once the handshake is answered, or when it is needed.
    pub(crate) fn later(load: impl FnOnce() -> anyhow::Result<Arc<Sandbox>> + Send + 'static) -> Self {
        let offer = Offer { tools: OnceLock::new(), load: Mutex::new(Some(Box::new(load))) };
        Self { offer: Arc::new(offer) }
    }

    /// What is offered, for whoever wants to know afterwards.
    pub(crate) fn offer(&self) -> Arc<Offer> {
        self.offer.clone()
    }

    fn tools(&self) -> Result<&Tools, ErrorData> {
        self.offer.tools().map_err(|reason| ErrorData::internal_error(reason.to_owned(), None))
    }
}

impl Offer {
    /// Whether there are no tools because they could not be loaded.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.tools.get(), Some(Err(_)))
    }

    fn tools(&self) -> Result<&Tools, &str> {
        self.tools.get_or_init(|| self.load()).as_ref().map_err(String::as_str)
    }

    fn load(&self) -> Result<Tools, String> {
        let load = self.load.lock().unwrap_or_else(PoisonError::into_inner).take();
        let loaded = load.map(|load| std::panic::catch_unwind(AssertUnwindSafe(load)));
        let reason = match loaded {
            Some(Ok(Ok(sandbox))) => return Ok(Tools::new(sandbox)),
            Some(Ok(Err(error))) => format!("{error:#}"),
            Some(Err(_)) | None => "the server has a fault".to_owned(),
        };
        log::error(&format!("there are no tools: {reason}"));
        Err(format!("there are no tools: {reason}"))
    }
}

impl Tools {
    fn new(sandbox: Arc<Sandbox>) -> Self {
        let described = sandbox.tools().map(|tool| describe(&sandbox, tool)).collect();
        Self { sandbox, described }
    }

    /// Runs a tool to its end, or until the call is cancelled. Meanwhile its progress is told.
    async fn run(
        &self,
        tool: &Tool,
        arguments: JsonObject,
        context: &RequestContext<RoleServer>,
    ) -> (Outcome, Option<Head>) {
        let answered = watch::Sender::new(0);
        let mut progress = Progress::of(context, &answered);
        let mut call = pin!(AssertUnwindSafe(self.sandbox.call_on_record(tool, arguments, &answered)).catch_unwind());
        loop {
            tokio::select! {
                biased;
                // Dropping the call drops its instance, and with it its request.
                () = context.ct.cancelled() => return (Outcome::Failure("the call was cancelled".to_owned()), None),
                () = progress.made() => progress.tell().await,
                called = &mut call => return called.unwrap_or_else(|_| (Outcome::Failure(format!(
                    "Failed to call {}: the server has a fault. Look before calling it again.", tool.name
                )), None)),
            }
        }
    }
}

/// A result's metadata: the modern protocol wants the server's name in every result.
fn meta(context: &RequestContext<RoleServer>) -> Option<MetaObject> {
    let modern = context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28);
    modern.then(|| {
        let mut meta = MetaObject::new();
        let info = serde_json::to_value(implementation()).unwrap_or_default();
        meta.0.insert(SERVER_INFO_KEY.to_owned(), info);
        meta
    })
}

/// A tool as MCP describes it. The hints follow from its granted routes: they are enforced, not claimed.
pub(crate) fn describe(sandbox: &Sandbox, tool: &Tool) -> McpTool {
    let routes = sandbox.grants().routes(&tool.name);
    // While a component is being observed, its routes bind it to nothing.
    let any = |methods: &[&str]| {
        sandbox.is_observing() || routes.iter().map(Route::method).any(|method| methods.contains(&method))
    };
    let annotations = ToolAnnotations::new()
        .read_only(!any(&["POST", "PUT", "PATCH", "DELETE"]))
        .destructive(any(&["PUT", "PATCH", "DELETE"]))
        .idempotent(!any(&["POST", "PATCH"]))
        .open_world(true);
    let description = (!tool.description.is_empty()).then(|| Cow::Owned(tool.description.clone()));
    let input_schema = Arc::new(tool.input_schema(|parameter| sandbox.is_secret(parameter)));
    McpTool::new_with_raw(tool.name.clone(), description, input_schema)
        .with_title(title(&tool.name))
        .with_raw_output_schema(Arc::new(tool.output_schema()))
        .with_annotations(annotations)
}

/// `create_mapping` as `Create mapping`.
fn title(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters.map(|letter| if letter == '_' { ' ' } else { letter })).collect()
}

fn implementation() -> Implementation {
    Implementation::new("aigateway-mcp", env!("CARGO_PKG_VERSION"))
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        let mut info = ServerConfig::new(capabilities);
        // What a client is offered that asks for a version without a handshake, or for an unknown one.
        info.protocol_version = ProtocolVersion::V_2025_11_25;
        info.server_info = implementation();
        info.instructions = Some(INSTRUCTIONS.to_owned());
        info
    }

    async fn initialize(
        &self,
        mut request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        let result = self.negotiate_initialize(&request)?;
        // Later requests are read in the version that was agreed on, not in the one that was asked for.
        request.protocol_version = result.protocol_version.clone();
        context.peer.set_peer_info(request);
        let offer = self.offer.clone();
        tokio::spawn(async move {
            // Once there is nothing else to do, such as to write this answer.
            tokio::task::yield_now().await;
            _ = offer.tools();
        });
        Ok(result)
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut result = ListToolsResult::with_all_items(self.tools()?.described.clone());
        result.meta = meta(&context);
        Ok(result)
    }

    fn get_tool(&self, name: &str) -> Option<McpTool> {
        self.tools().ok()?.described.iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let tools = self.tools()?;
        let Some(tool) = tools.sandbox.tool(&request.name) else {
            let known: Vec<&str> = tools.described.iter().map(|tool| tool.name.as_ref()).collect();
            let reason = format!("unknown tool `{}`; there are: {}", log::one_line(&request.name), known.join(", "));
            return Err(ErrorData::invalid_params(reason, None));
        };
        let arguments = request.arguments.unwrap_or_default();
        let (outcome, head) = tools.run(tool, arguments, &context).await;
        let mut result = match outcome {
            // Its structure is the same JSON, and comes in when it is written.
            Outcome::Answer(json) => CallToolResult::success(vec![ContentBlock::text(json)]),
            Outcome::Failure(text) => CallToolResult::error(vec![ContentBlock::text(format!("Error: {text}"))]),
        };
        result.meta = meta(&context);
        if let Some(head) = head {
            let head = serde_json::json!({ "seq": head.seq, "sha256": head.hash });
            result.meta.get_or_insert_with(MetaObject::new).0.insert(AUDIT_HEAD_KEY.to_owned(), head);
        }
        Ok(result.into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::io;
    use std::net::SocketAddr;

    use serde_json::{Value, json};
    use tokio::sync::mpsc;

    use super::super::lines::Line;
    use super::super::transport::{Ending, Lines};
    use super::*;
    use crate::config::KeysPerCall;
    use crate::egress::{Egress, Resolve};
    use crate::grants::Grants;
    use crate::secret::SecretValue;

    const GRANTS: &str = include_str!("../../grants/aigateway.toml");

    /// A fault of the host's.
    struct Faulty;

    impl Resolve for Faulty {
        fn resolve<'a>(
            &'a self,
            _host: &'a str,
            _port: u16,
        ) -> std::pin::Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>> {
            panic!("a resolver's own")
        }
    }

    fn faulty() -> Sandbox {
        let variable = |name: &str| (name == "AIGATEWAY_URL").then(|| "https://gateway.test".to_owned());
        let grants = Arc::new(Grants::parse(GRANTS, variable).unwrap());
        let egress = Egress::new(grants.clone(), Arc::new(Faulty)).unwrap();
        let secrets = HashMap::from([("api_key".to_owned(), SecretValue::parse("ak_key").unwrap())]);
        Sandbox::new(None, grants, secrets, KeysPerCall::Accepted, Arc::new(egress)).unwrap()
    }

    #[tokio::test]
    async fn a_fault_of_the_host_fails_the_call_that_met_it_and_no_other() {
        let ((input, lines), (output, mut written)) = (mpsc::channel(4), mpsc::channel(4));
        let transport = Lines::new(lines, output, Ending::default());
        let _running = rmcp::service::serve_directly(Arc::new(Server::new(Arc::new(faulty()))), transport, None);
        let mut ask = async |params: Value| {
            let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
            assert!(input.send(Line::Complete(request.to_string().into())).await.is_ok());
            serde_json::from_slice::<Value>(&written.recv().await.unwrap()).unwrap()
        };
        let call = |arguments: Value| {
            let meta = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {}
            });
            json!({ "name": "list_models", "arguments": arguments, "_meta": meta })
        };
        for _ in 0..2 {
            let answer = ask(call(json!({}))).await;
            let text = &answer["result"]["content"][0]["text"];
            assert_eq!(answer["result"]["isError"], true, "{answer}");
            let said = "Error: Failed to call list_models: the server has a fault. Look before calling it again.";
            assert_eq!(text, said);
            let refused = ask(call(json!({ "limit": 0 }))).await;
            assert!(refused["result"]["content"][0]["text"].as_str().unwrap().contains("limit"), "{refused}");
        }
    }
}
