//! The twin: what somebody would write instead of a sandbox. The same SDK, the same requests, the same answer, natively.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt};
use serde_json::{Map, Value, json};

#[path = "../speed/native.rs"]
mod native;

use native::Native;

/// How many mappings a page has, as in the component.
const PAGE: usize = 1000;

/// How many entries an answer has at most: the component's answers stay under 40 kB, too.
const MOST_ENTRIES: usize = 400;

fn main() -> ExitCode {
    // The same runtime as the server's.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(serve())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<()> {
    let url = std::env::var("AIGATEWAY_URL").context("AIGATEWAY_URL is not set")?;
    let key = std::env::var("AIGATEWAY_API_KEY").context("AIGATEWAY_API_KEY is not set")?;
    let twin = Twin { native: Arc::new(Native::new(&url, &key)?) };
    twin.serve(rmcp::transport::stdio_pipes()).await?.waiting().await?;
    Ok(())
}

struct Twin {
    native: Arc<Native>,
}

impl Twin {
    /// Both halves of the list at the same time, then the further pages.
    async fn list_models(&self) -> Result<Value> {
        let first_page = page(1);
        let (models, first) = tokio::join!(self.native.get("/v1/models"), self.native.get(&first_page));
        let models: Value = serde_json::from_slice(&models?)?;
        let mut first: Value = serde_json::from_slice(&first?)?;
        let total = first["total"].as_u64().context("there is no total")?;
        let mut mappings = rows(&mut first)?;
        let mut next = 2;
        while (mappings.len() as u64) < total {
            let mut further: Value = serde_json::from_slice(&self.native.get(&page(next)).await?)?;
            mappings.append(&mut rows(&mut further)?);
            next += 1;
        }
        Ok(answer(&built_in(&models), &mappings))
    }
}

fn page(number: usize) -> String {
    format!("/api/v1/model-mappings?page={number}&limit={PAGE}")
}

fn rows(page: &mut Value) -> Result<Vec<Value>> {
    let Value::Array(rows) = page["data"].take() else { anyhow::bail!("there is no data") };
    ensure!(!rows.is_empty() || page["total"] == 0, "a page is empty");
    Ok(rows)
}

fn built_in(models: &Value) -> Vec<Value> {
    let models_of = |provider: &Value| {
        let entry = |model: &Value| {
            json!({
                "alias": model, "provider_id": provider["id"], "provider_name": provider["name"], "model_name": model,
            })
        };
        provider["models"].as_array().into_iter().flatten().map(entry).collect::<Vec<_>>()
    };
    models["providers"].as_array().into_iter().flatten().flat_map(models_of).collect()
}

fn answer(built_in: &[Value], mappings: &[Value]) -> Value {
    let shown = mappings.iter().take(MOST_ENTRIES.saturating_sub(built_in.len())).map(|row| {
        let mut shown = Map::new();
        for field in ["alias", "provider_id", "model_name", "description", "enabled", "owner_id"] {
            if let Some(value) = row.get(field) {
                shown.insert(field.to_owned(), value.clone());
            }
        }
        let scope = if row.get("owner_id").is_some() { "yours" } else { "global" };
        shown.insert("scope".to_owned(), scope.into());
        Value::Object(shown)
    });
    let shown: Vec<Value> = shown.collect();
    json!({ "built_in_models": built_in, "custom_mappings": shown, "total": built_in.len() + mappings.len() })
}

fn result(answer: Result<Value>) -> CallToolResult {
    match answer {
        Ok(answer) => {
            let mut result = CallToolResult::success(vec![ContentBlock::text(answer.to_string())]);
            result.structured_content = Some(answer);
            result
        }
        Err(error) => CallToolResult::error(vec![ContentBlock::text(format!("Error: {error:#}"))]),
    }
}

impl ServerHandler for Twin {
    fn get_info(&self) -> ServerConfig {
        let mut info = ServerConfig::new(ServerCapabilities::builder().enable_tools().build());
        info.server_info = Implementation::new("twin", env!("CARGO_PKG_VERSION"));
        info
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let schema = Map::from_iter([("type".to_owned(), Value::from("object"))]);
        let tool = Tool::new_with_raw("list_models", Some("List the models".into()), Arc::new(schema));
        Ok(ListToolsResult::with_all_items(vec![tool]))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        match request.name.as_ref() {
            "list_models" => Ok(result(self.list_models().await).into()),
            name => Err(ErrorData::invalid_params(format!("unknown tool `{name}`"), None)),
        }
    }
}
