//! MCP: the tools of a sandbox, served over stdin and stdout to clients of both eras.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio_util::sync::CancellationToken;

mod answer;
mod descriptors;
mod in_flight;
mod lines;
mod message;
#[cfg(target_os = "linux")]
mod pipes;
mod progress;
mod server;
mod transport;

pub(crate) use server::{Server, describe};
use transport::Ending;

/// How long the last answers may take to be written once the calls are over.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// How often it is looked whether the client is still there while nothing is read.
const LOOK: Duration = Duration::from_millis(100);

/// Serves until the input ends, the output is closed, or the process is told to stop.
///
/// # Errors
///
/// When the process's descriptors cannot be set up.
pub(crate) async fn serve(server: Server) -> Result<()> {
    let output = descriptors::take_stdout().context("cannot set up stdout")?;
    let ending = Ending::default();
    let (sender, written) = match pipes::write(&output, &ending.over) {
        Some(written) => written,
        None => {
            end_with_the_output(output.try_clone().context("cannot set up stdout")?, ending.over.clone());
            lines::write(output, ending.over.clone())
        }
    };
    tokio::spawn(stop_on_signals(ending.stop.clone()));
    let lines = pipes::read().unwrap_or_else(|| lines::read(io::stdin()));
    let transport = transport::Lines::new(lines, sender, ending.clone());
    let running = rmcp::service::serve_directly(Arc::new(server), transport, None);
    tokio::select! {
        biased;
        // The SDK would go on waiting for calls that had their time.
        () = ending.over.cancelled() => {}
        ended = running.waiting() => {
            ended.context("the protocol loop failed")?;
        }
    }
    // The writer ends once everything is written, or after the line that it is at.
    _ = tokio::time::timeout(LAST_WORDS, written).await;
    Ok(())
}

/// Waits until the client is gone: nobody reads what is written, or nothing was sent and nothing will be.
pub(crate) async fn client_gone() {
    while !descriptors::stdin_has_ended() && !descriptors::stdout_is_closed() {
        tokio::time::sleep(LOOK).await;
    }
}

/// Elsewhere than on Linux, threads read and write.
#[cfg(not(target_os = "linux"))]
mod pipes {
    pub(super) fn read() -> Option<tokio::sync::mpsc::Receiver<super::lines::Line>> {
        None
    }

    pub(super) fn write(
        _output: &std::fs::File,
        _over: &tokio_util::sync::CancellationToken,
    ) -> Option<super::lines::Output> {
        None
    }
}

/// Watches for a client that closes its end: nobody is there for an answer, even if there is none to be written now.
fn end_with_the_output(output: File, over: CancellationToken) {
    std::thread::spawn(move || {
        if descriptors::is_closed_at_last(&output) {
            over.cancel();
        }
    });
}

/// The first signal ends the input; calls in flight get the time that they get at its end. The third ends the
/// process.
#[cfg(unix)]
async fn stop_on_signals(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    for signals in 1.. {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stop.cancel();
        // Claude Code sends SIGINT and, 0.1 s later, SIGTERM: that is still one wish.
        if signals > 2 {
            std::process::exit(0);
        }
    }
}

#[cfg(not(unix))]
async fn stop_on_signals(stop: CancellationToken) {
    if tokio::signal::ctrl_c().await.is_ok() {
        stop.cancel();
    }
}
