//! What a store holds: the WASI context of one call, and its way out.

use std::future::Future;
use std::sync::Arc;

use http::uri::Scheme;
use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, format_err};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

use super::stderr::Stderr;
use crate::egress::{CallContext, Egress};
use crate::grants::Grants;

/// The error that a growth beyond the memory limit ends a call with.
pub(super) const MEMORY_LIMIT: &str = "the instance's memories grow beyond `memory_mib`";

/// Resources (requests, headers, streams, …) that a call may hold at the same time. Each is memory of the host's that
/// `memory_mib` does not see; a request needs about ten.
const MOST_RESOURCES: usize = 4096;

/// Random bytes that a call gets at once: seeds and identifiers need far fewer.
const MOST_RANDOM_BYTES: u64 = 64 << 10;

/// The state of one call.
pub(super) struct State {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    out: WayOut,
    memory: MemoryLimit,
    stderr: Stderr,
}

/// A response, and what goes on after it.
type Answer = Result<(http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

/// Where the component's requests go.
struct WayOut {
    call: Arc<CallContext>,
    egress: Arc<Egress>,
    /// Each request that is under way holds another one.
    under_way: Arc<()>,
}

impl State {
    pub(super) fn new(grants: &Grants, call: Arc<CallContext>, egress: Arc<Egress>) -> Self {
        let stderr = Stderr::default();
        let mut wasi = WasiCtx::builder();
        // No files, no sockets, no names, no arguments; stdin is empty, stdout goes nowhere.
        wasi.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false).stderr(stderr.clone());
        wasi.max_random_size(MOST_RANDOM_BYTES);
        if let Some(variable) = &grants.base_url_variable {
            wasi.env(variable, grants.base_url.to_string());
        }
        for placeholder in call.placeholders.iter().filter(|placeholder| placeholder.secret.is_some()) {
            wasi.env(&placeholder.env, &placeholder.text);
        }
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(grants.limits.header_bytes * 4);
        let mut table = ResourceTable::new();
        table.set_max_capacity(MOST_RESOURCES);
        Self {
            table,
            wasi: wasi.build(),
            http,
            out: WayOut { call, egress, under_way: Arc::default() },
            memory: MemoryLimit { left: grants.limits.memory_mib << 20 },
            stderr,
        }
    }

    /// What the component writes to its stderr, as far as it is kept.
    pub(super) fn stderr(&self) -> &Stderr {
        &self.stderr
    }

    /// Whether requests are under way that end with the instance.
    pub(super) fn has_requests(&self) -> bool {
        Arc::strong_count(&self.out.under_way) > 1
    }

    pub(super) fn limits(&mut self) -> &mut dyn ResourceLimiter {
        &mut self.memory
    }
}

/// The bytes that the memories of an instance may still take, all of them together. The pool bounds the tables.
struct MemoryLimit {
    left: usize,
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        self.left = self.left.checked_sub(more).ok_or_else(|| format_err!("{MEMORY_LIMIT}"))?;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, _desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(true)
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.out }
    }
}

impl WasiHttpHooks for WayOut {
    /// Every scheme gets as far as the egress, which denies it by name.
    fn is_supported_scheme(&mut self, _scheme: &Scheme) -> bool {
        true
    }

    /// A request without a scheme must not become https silently: it gets one that is never granted.
    fn default_scheme(&mut self) -> Option<Scheme> {
        Scheme::try_from("none").ok()
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _fut: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Answer> + Send> {
        let (call, egress, under_way) = (self.call.clone(), self.egress.clone(), self.under_way.clone());
        Box::new(async move {
            let _under_way = under_way;
            let response = egress.send(&call, request).await?;
            Ok((response, Box::new(std::future::ready(Ok(()))) as Box<dyn Future<Output = _> + Send>))
        })
    }
}
