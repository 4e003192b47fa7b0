//! How an answer goes over the wire when something is wrong with it.

use std::io::{self, Write};
use std::time::Duration;

use crate::answer::Answer;
use crate::connection::Connection;
use crate::fault::What;
use crate::http::Request;

/// What becomes of a connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// The next request may come.
    Next,
    /// Closed, after everything sent has arrived.
    Close,
    /// Ended without a word.
    Cut,
    /// Ended with a reset.
    Reset,
}

/// The two things that a fault may ask of the gateway behind it.
pub(crate) trait Behind {
    /// Performs the request, and gives the true answer.
    fn perform(&self) -> Answer;
    /// Revokes the key of the request.
    fn revoke_key(&self);
    /// Stops listening and ends every connection but that of the request.
    fn stop_listening(&self);
    /// Sleeps, even if the client goes away, but fails as soon as the gateway stops.
    fn sleep(&self, duration: Duration) -> io::Result<()>;
}

/// Answers a request in the way that `what` says. An error is a connection that ended by itself.
pub(crate) fn deliver(
    what: What,
    behind: &impl Behind,
    connection: &mut Connection,
    request: &Request,
) -> io::Result<Then> {
    match what {
        What::Delay(duration) => {
            let answer = behind.perform();
            connection.wait(duration)?;
            whole(connection, &answer)
        }
        What::PerformLate(duration) => {
            behind.sleep(duration)?;
            whole(connection, &behind.perform())
        }
        What::Answer(answer) => whole(connection, &answer),
        What::AnswerAfterPerforming(answer) => {
            behind.perform();
            whole(connection, &answer)
        }
        What::Bytes(bytes) => connection.send(&bytes).map(|()| Then::Close),
        What::RevokeKey => {
            behind.revoke_key();
            whole(connection, &behind.perform())
        }
        What::StopAfterAnswer => {
            let answer = behind.perform().closing();
            behind.stop_listening();
            whole(connection, &answer)
        }
        What::EchoKey => whole(connection, &echo_of_key(request)),
        What::ExtraHeaders(headers) => {
            let add = |answer: Answer, (name, value): &(String, String)| answer.header(name, value);
            whole(connection, &headers.iter().fold(behind.perform(), add))
        }
        What::Close | What::Reset | What::Silence => Ok(end(&what, connection)),
        What::CloseAfterPerforming | What::ResetAfterPerforming | What::SilenceAfterPerforming => {
            behind.perform();
            Ok(end(&what, connection))
        }
        What::CloseWithin(count) | What::ResetWithin(count) | What::SilenceWithin(count) => {
            let bytes = behind.perform().bytes();
            connection.send(&bytes[..count.min(bytes.len())])?;
            Ok(end(&what, connection))
        }
        What::CloseAfterAnswer | What::ResetAfterAnswer | What::CloseOnReuse => {
            connection.send(&behind.perform().bytes())?;
            Ok(end(&what, connection))
        }
        What::Drip(interval) => drip(connection, &behind.perform().bytes(), interval),
        What::LengthTooLong(by) => misstated(connection, behind.perform(), |length| length + by, Then::Cut),
        What::LengthTooShort(by) => {
            misstated(connection, behind.perform(), |length| length.saturating_sub(by), Then::Next)
        }
        What::TruncatedChunk => truncated_chunk(connection, &behind.perform()),
        What::EndlessBody => endless_body(connection, &behind.perform()),
    }
}

/// The answer as it should be sent.
pub(crate) fn whole(connection: &mut Connection, answer: &Answer) -> io::Result<Then> {
    connection.send(&answer.bytes())?;
    Ok(if answer.is_closing() { Then::Close } else { Then::Next })
}

/// How the faults end that differ in nothing else.
fn end(what: &What, connection: &mut Connection) -> Then {
    match what {
        What::Silence | What::SilenceAfterPerforming | What::SilenceWithin(_) => {
            connection.wait_for_close();
            Then::Cut
        }
        What::Reset | What::ResetAfterPerforming | What::ResetWithin(_) | What::ResetAfterAnswer => Then::Reset,
        What::CloseOnReuse => {
            connection.wait_for_bytes();
            Then::Cut
        }
        What::CloseAfterAnswer => Then::Close,
        _ => Then::Cut,
    }
}

fn echo_of_key(request: &Request) -> Answer {
    let key = request.key().unwrap_or_default();
    Answer::error(500, &format!("no session for key {key}")).header("X-Echo", key)
}

fn drip(connection: &mut Connection, bytes: &[u8], interval: Duration) -> io::Result<Then> {
    for (index, byte) in bytes.chunks(1).enumerate() {
        if index > 0 {
            connection.wait(interval)?;
        }
        connection.send(byte)?;
    }
    Ok(Then::Next)
}

fn misstated(
    connection: &mut Connection,
    answer: Answer,
    state: impl Fn(usize) -> usize,
    then: Then,
) -> io::Result<Then> {
    let length = state(answer.body().len()).to_string();
    connection.send(&answer.header("Content-Length", &length).bytes())?;
    Ok(then)
}

/// The first half of the body in a whole chunk, the second in one that promises a byte more than it has.
fn truncated_chunk(connection: &mut Connection, answer: &Answer) -> io::Result<Then> {
    let (first, second) = answer.body().split_at(answer.body().len() / 2);
    let mut bytes = answer.head("Transfer-Encoding: chunked");
    write_chunk(&mut bytes, first)?;
    write!(bytes, "{:x}\r\n", second.len() + 1)?;
    bytes.extend_from_slice(second);
    connection.send(&bytes)?;
    Ok(Then::Cut)
}

/// The body, then spaces without end: harmless to a reader of JSON except that they do not stop.
fn endless_body(connection: &mut Connection, answer: &Answer) -> io::Result<Then> {
    let mut bytes = answer.head("Transfer-Encoding: chunked");
    write_chunk(&mut bytes, answer.body())?;
    connection.send(&bytes)?;
    let mut more = Vec::new();
    write_chunk(&mut more, &[b' '; 64 * 1024])?;
    loop {
        connection.send(&more)?;
    }
}

fn write_chunk(bytes: &mut Vec<u8>, content: &[u8]) -> io::Result<()> {
    if content.is_empty() {
        return Ok(());
    }
    write!(bytes, "{:x}\r\n", content.len())?;
    bytes.extend_from_slice(content);
    bytes.extend_from_slice(b"\r\n");
    Ok(())
}
