//! The two threads at the process's ends: one reads lines from stdin, one writes lines to stdout.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};

use rmcp::model::RequestId;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The longest message that is read: clients send up to 10 MiB.
pub(super) const MOST_LINE_BYTES: usize = 16 << 20;

/// How much of a longer one is kept, to find its id in.
const HEAD_BYTES: usize = 64 << 10;

/// A line of input.
pub(super) enum Line {
    /// Without its line break; the last one need not have had one.
    Complete(Vec<u8>),
    /// Longer than [`MOST_LINE_BYTES`].
    TooLong {
        /// How it begins.
        head: Vec<u8>,
    },
}

/// Reads lines in a thread of its own until the end of input.
pub(super) fn read(input: impl Read + Send + 'static) -> mpsc::Receiver<Line> {
    let (sender, receiver) = mpsc::channel(64);
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

fn read_line(input: &mut impl BufRead) -> io::Result<Option<Line>> {
    let mut bytes = Vec::new();
    input.by_ref().take(MOST_LINE_BYTES as u64 + 1).read_until(b'\n', &mut bytes)?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        return Ok(Some(Line::Complete(bytes)));
    }
    if bytes.len() <= MOST_LINE_BYTES {
        return Ok((!bytes.is_empty()).then_some(Line::Complete(bytes)));
    }
    bytes.truncate(HEAD_BYTES);
    bytes.shrink_to_fit();
    input.skip_until(b'\n')?;
    Ok(Some(Line::TooLong { head: bytes }))
}

/// Writes lines in a thread of its own. When nobody reads them any more, `stop` is cancelled; when the last sender is
/// gone and everything is written, the receiver at the end is told.
pub(super) fn write(
    mut output: File,
    stop: CancellationToken,
) -> (mpsc::Sender<Vec<u8>>, std::sync::mpsc::Receiver<()>) {
    let (sender, mut receiver) = mpsc::channel::<Vec<u8>>(64);
    let (done, written) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        while let Some(line) = receiver.blocking_recv() {
            if output.write_all(&line).is_err() {
                stop.cancel();
                break;
            }
        }
        _ = done.send(());
    });
    (sender, written)
}

/// The id of a message of which only the head is there.
pub(super) fn id_in(head: &[u8]) -> Option<RequestId> {
    struct Id<'a>(&'a mut Option<RequestId>);

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
    // It ends in the middle, so this always fails; what was found before that counts.
    _ = serde_json::Deserializer::from_slice(head).deserialize_map(Id(&mut id));
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_torn_message_is_found_when_it_comes_first() {
        let id = |head: &str| id_in(head.as_bytes()).map(|id| id.to_string());
        assert_eq!(id(r#"{"jsonrpc":"2.0","id":7,"params":{"a":"bbb"#), Some("7".to_owned()));
        assert_eq!(id(r#"{"id":"x","params":[1,2"#), Some("x".to_owned()));
        assert_eq!(id(r#"{"params":{"id":1"#), None);
        assert_eq!(id("aaaa"), None);
    }

    #[test]
    fn a_line_may_end_with_the_input_and_may_be_too_long() {
        let long = vec![b'a'; MOST_LINE_BYTES + 1];
        let text = [b"one\n\n".as_slice(), &long, b"\nlast"].concat();
        let mut input = BufReader::new(text.as_slice());
        let mut seen = Vec::new();
        while let Some(line) = read_line(&mut input).unwrap() {
            seen.push(match line {
                Line::Complete(bytes) => String::from_utf8(bytes).unwrap(),
                Line::TooLong { head } => format!("too long: {}", head.len()),
            });
        }
        assert_eq!(seen, ["one", "", &format!("too long: {HEAD_BYTES}"), "last"]);
    }
}
