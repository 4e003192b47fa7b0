//! What a component writes to its stderr: the beginning is kept for the operator's log, the rest is let go.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::egress::CallContext;
use crate::log;

/// The most bytes of a call's stderr that are kept.
const MOST_BYTES: usize = 16 << 10;

/// How much of it a component may write at once.
const PERMIT: usize = 64 << 10;

/// The stream of one call. It never fails and is never full: what a component says too much does not end it.
#[derive(Clone, Default)]
pub(super) struct Stderr(Arc<Mutex<Vec<u8>>>);

impl Stderr {
    fn keep(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MOST_BYTES - kept.len();
        kept.extend_from_slice(&bytes[..room.min(bytes.len())]);
    }

    /// Tells the log what was said once the call is over, however it ends.
    pub(super) fn tell_at_the_end(&self, call: Arc<CallContext>) -> Telling {
        Telling { stderr: self.clone(), call }
    }
}

/// Tells it when it is dropped.
pub(super) struct Telling {
    stderr: Stderr,
    call: Arc<CallContext>,
}

impl Drop for Telling {
    fn drop(&mut self) {
        let said = self.stderr.0.lock().unwrap_or_else(PoisonError::into_inner);
        for line in self.call.scrubber.scrub_text(&String::from_utf8_lossy(&said)).lines() {
            log::debug(|| format!("{}: stderr: {line}", self.call.tool));
        }
    }
}

impl IsTerminal for Stderr {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stderr {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Stderr {
    async fn ready(&mut self) {}
}

impl OutputStream for Stderr {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.keep(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT)
    }
}

impl AsyncWrite for Stderr {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.keep(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
