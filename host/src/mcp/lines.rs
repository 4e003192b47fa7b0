//! Lines, and the two threads that read them from stdin and write them to stdout wherever that takes threads.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// The longest message that is read: clients send up to 10 MiB.
pub(super) const MOST_LINE_BYTES: usize = 16 << 20;

/// How far a longer one is searched for its id: clients put it at the end.
const MOST_SEARCHED_BYTES: u64 = 64 << 20;

/// How many lines are read ahead.
pub(super) const MOST_LINES_AHEAD: usize = 16;

/// How many answers wait for the one that is being written.
pub(super) const MOST_LINES_BEHIND: usize = 64;

/// A line of input.
pub(super) enum Line {
    /// Without its line break; the last one need not have had one.
    Complete(Vec<u8>),
    /// Longer than [`MOST_LINE_BYTES`].
    TooLong {
        /// The id of its request, if it has a readable one.
        id: Option<Value>,
    },
}

impl Line {
    /// The room that it takes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Complete(bytes) => bytes.len(),
            Self::TooLong { .. } => 0,
        }
    }
}

/// Where lines are put in to be written, and what is told when all of them are.
pub(super) type Output = (mpsc::Sender<Vec<u8>>, oneshot::Receiver<()>);

/// Reads lines in a thread of its own until the end of input.
pub(super) fn read(input: impl Read + Send + 'static) -> mpsc::Receiver<Line> {
    let (sender, receiver) = mpsc::channel(MOST_LINES_AHEAD);
    std::thread::spawn(move || {
        let mut input = BufReader::with_capacity(64 << 10, input);
        while let Ok(Some(line)) = read_line(&mut input) {
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// The next line, or nothing at the end.
pub(super) fn read_line(input: &mut impl BufRead) -> io::Result<Option<Line>> {
    let mut bytes = Vec::new();
    input.by_ref().take(MOST_LINE_BYTES as u64 + 1).read_until(b'\n', &mut bytes)?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        return Ok(Some(Line::Complete(bytes)));
    }
    if bytes.len() <= MOST_LINE_BYTES {
        return Ok((!bytes.is_empty()).then_some(Line::Complete(bytes)));
    }
    let id = id_in(BufReader::new(bytes.chain(Rest(input)).take(MOST_SEARCHED_BYTES)));
    input.skip_until(b'\n')?;
    Ok(Some(Line::TooLong { id }))
}

/// What is left of a line, without its line break.
struct Rest<'a, R>(&'a mut R);

impl<R: BufRead> Read for Rest<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.0.fill_buf()?;
        let most = available.len().min(into.len());
        let count = memchr::memchr(b'\n', &available[..most]).unwrap_or(most);
        into[..count].copy_from_slice(&available[..count]);
        self.0.consume(count);
        Ok(count)
    }
}

/// Writes lines in a thread of its own, each as a whole, until the last sender is gone or `over` is cancelled; then
/// the receiver is told. When nobody reads them any more, `over` is cancelled here.
pub(super) fn write(mut output: File, over: CancellationToken) -> Output {
    let (sender, mut receiver) = mpsc::channel::<Vec<u8>>(MOST_LINES_BEHIND);
    let (done, written) = oneshot::channel();
    std::thread::spawn(move || {
        while let Some(line) = receiver.blocking_recv() {
            if over.is_cancelled() {
                break;
            }
            if output.write_all(&line).is_err() {
                over.cancel();
                break;
            }
        }
        _ = done.send(());
    });
    (sender, written)
}

/// The id of a message that cannot be read as a whole, if it comes before whatever is wrong with it.
pub(super) fn id_in(message: impl Read) -> Option<Value> {
    struct Id<'a>(&'a mut Option<Value>);

    impl<'de> Visitor<'de> for Id<'_> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(key) = map.next_key::<String>()? {
                match key.as_str() {
                    "id" => *self.0 = Some(map.next_value()?),
                    _ => _ = map.next_value::<IgnoredAny>()?,
                }
            }
            Ok(())
        }
    }

    let mut id = None;
    // Where it fails does not matter; what was found before that counts.
    _ = serde_json::Deserializer::from_reader(message).deserialize_map(Id(&mut id));
    id.filter(is_id)
}

/// Whether this can be the id of a request, in some size: then it is what an answer to it has to bear. No version has
/// one with a fraction, in a request or in an answer.
pub(super) fn is_id(value: &Value) -> bool {
    value.is_string() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_broken_message_is_found_when_it_comes_before_the_break() {
        let id = |head: &str| id_in(head.as_bytes()).map(|id| id.to_string());
        assert_eq!(id(r#"{"jsonrpc":"2.0","id":7,"params":{"a":"bbb"#), Some("7".to_owned()));
        assert_eq!(id(r#"{"id":"x","params":[1,2"#), Some(r#""x""#.to_owned()));
        assert_eq!(id(r#"{"params":"\ud800","id":-1}"#), Some("-1".to_owned()));
        assert_eq!(id(r#"{"id":null,"#), None);
        assert_eq!(id(r#"{"params":{"id":1"#), None);
        assert_eq!(id("aaaa"), None);
    }

    #[test]
    fn a_line_may_end_with_the_input_and_may_be_too_long() {
        let long = "a".repeat(MOST_LINE_BYTES);
        let text = format!("one\n\n{{\"a\":\"{long}\",\"id\":5}}\n{long}a\nlast");
        let mut input = BufReader::new(text.as_bytes());
        let mut seen = Vec::new();
        while let Some(line) = read_line(&mut input).unwrap() {
            seen.push(match line {
                Line::Complete(bytes) => String::from_utf8(bytes).unwrap(),
                Line::TooLong { id } => format!("too long: {id:?}"),
            });
        }
        assert_eq!(seen, ["one", "", "too long: Some(Number(5))", "too long: None", "last"]);
    }
}
