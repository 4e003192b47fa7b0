//! Both ends of the protocol without threads, where they are pipes that Linux opens anew: the runtime reads and writes
//! them itself. With a thread at each end, a line is handed from thread to thread twice before it is answered.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::OFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::lines::{Line, MOST_LINE_BYTES, MOST_LINES_AHEAD, MOST_LINES_BEHIND, Output, id_in, read_line};

/// What is read at a time: nearly every message as a whole.
const CHUNK: usize = 16 << 10;

/// The file system that pipes without a name are in. Of a named one that nobody has opened for writing, the end cannot
/// be seen.
const PIPE_FILE_SYSTEM: u64 = 0x5049_5045;

/// Reads lines from stdin until its end; none if it is no such pipe.
pub(super) fn read() -> Option<mpsc::Receiver<Line>> {
    let stdin = rustix::stdio::stdin();
    let mut pipe = pipe::Receiver::from_file(open_anew(stdin, OpenOptions::new().read(true))?).ok()?;
    let (sender, receiver) = mpsc::channel(MOST_LINES_AHEAD);
    // The same pipe, in the mode in which reading waits.
    let waiting = File::from(rustix::io::fcntl_dupfd_cloexec(stdin, 3).ok()?);
    tokio::spawn(async move { _ = read_lines(&mut pipe, &waiting, &sender).await });
    Some(receiver)
}

/// Writes lines, each as a whole, as [`super::lines::write`] does; none if it is no such pipe.
pub(super) fn write(output: &File, over: &CancellationToken) -> Option<Output> {
    let pipe = pipe::Sender::from_file(open_anew(output, OpenOptions::new().write(true))?).ok()?;
    let (sender, receiver) = mpsc::channel(MOST_LINES_BEHIND);
    let (done, written) = oneshot::channel();
    let over = over.clone();
    tokio::spawn(async move {
        write_lines(pipe, receiver, over).await;
        _ = done.send(());
    });
    Some((sender, written))
}

/// The same pipe with a mode of its own: in the one that is shared with the client, nothing may change.
fn open_anew(descriptor: impl AsFd, options: &mut OpenOptions) -> Option<File> {
    let statistics = rustix::fs::fstatfs(&descriptor).ok()?;
    if u64::try_from(statistics.f_type).ok()? != PIPE_FILE_SYSTEM {
        return None;
    }
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).ok()?;
    options.custom_flags(flags).open(format!("/proc/self/fd/{}", descriptor.as_fd().as_raw_fd())).ok()
}

async fn read_lines(pipe: &mut pipe::Receiver, waiting: &File, sender: &mpsc::Sender<Line>) -> io::Result<()> {
    let mut read = Vec::with_capacity(CHUNK);
    loop {
        // Bytes that were looked at before hold no line break.
        let mut searched = read.len();
        read.reserve(CHUNK);
        if pipe.read_buf(&mut read).await? == 0 {
            break;
        }
        while let Some(end) = memchr::memchr(b'\n', &read[searched..]) {
            let rest = read.split_off(searched + end + 1);
            let mut line = std::mem::replace(&mut read, rest);
            line.pop();
            searched = 0;
            if !send(sender, whole(line)).await {
                return Ok(());
            }
        }
        if read.len() > MOST_LINE_BYTES {
            let (line, rest) = read_too_long(std::mem::take(&mut read), waiting.try_clone()?).await?;
            read = rest;
            if !send(sender, line).await {
                return Ok(());
            }
        }
    }
    if !read.is_empty() {
        send(sender, Line::Complete(read)).await;
    }
    Ok(())
}

/// A line that was read to its end; it may still be longer than any message, by less than a chunk.
fn whole(line: Vec<u8>) -> Line {
    if line.len() > MOST_LINE_BYTES { Line::TooLong { id: id_in(line.as_slice()) } } else { Line::Complete(line) }
}

async fn send(sender: &mpsc::Sender<Line>, line: Line) -> bool {
    sender.send(line).await.is_ok()
}

/// Lets a thread read the rest of a line that is longer than any message, and gives what came after it.
async fn read_too_long(begun: Vec<u8>, waiting: File) -> io::Result<(Line, Vec<u8>)> {
    let read = move || {
        let mut input = BufReader::with_capacity(CHUNK, io::Read::chain(begun.as_slice(), waiting));
        let line = read_line(&mut input)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok((line, input.buffer().to_vec()))
    };
    tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
}

async fn write_lines(mut pipe: pipe::Sender, mut lines: mpsc::Receiver<Vec<u8>>, over: CancellationToken) {
    loop {
        let line = tokio::select! {
            biased;
            () = over.cancelled() => return,
            // Nobody is there for an answer, even if there is none to be written now.
            _ = pipe.ready(Interest::ERROR) => break,
            line = lines.recv() => line,
        };
        let Some(line) = line else { return };
        if pipe.write_all(&line).await.is_err() {
            break;
        }
    }
    over.cancel();
}
