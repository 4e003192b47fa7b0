//! MCP: the tools of a sandbox, served over stdin and stdout to clients of both eras.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio_util::sync::CancellationToken;

mod lines;
mod server;
mod transport;

pub(crate) use server::{Server, describe};

/// How long the last answers may take to be written once the calls are over.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// Serves until the input ends, the output is closed, or the process is told to stop.
///
/// # Errors
///
/// When the process's descriptors cannot be set up.
pub(crate) async fn serve(server: Server) -> Result<()> {
    let output = take_stdout().context("cannot set up stdout")?;
    let stop = CancellationToken::new();
    let (sender, written) = lines::write(output, stop.clone());
    tokio::spawn(stop_on_signals(stop.clone()));
    let transport = transport::Lines::new(lines::read(io::stdin()), sender, stop);
    let running = rmcp::service::serve_directly(Arc::new(server), transport, None);
    let ended = running.waiting().await.context("the protocol loop failed");
    // The SDK is gone, and with it the last sender: the thread ends once everything is written.
    _ = written.recv_timeout(LAST_WORDS);
    ended.map(|_| ())
}

/// Takes stdout for the protocol, and points its descriptor at stderr, so that a stray print cannot break the stream.
#[cfg(unix)]
fn take_stdout() -> io::Result<File> {
    let protocol = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    Ok(File::from(protocol))
}

#[cfg(not(unix))]
fn take_stdout() -> io::Result<File> {
    use std::os::windows::io::{AsHandle, OwnedHandle};
    let protocol: OwnedHandle = io::stdout().as_handle().try_clone_to_owned()?;
    Ok(File::from(protocol))
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
