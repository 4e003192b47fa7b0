//! The end of a log that is continued: verified, and with what a crash left there.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use anyhow::{Context, Result, ensure};

use super::line::{Head, Link};
use crate::digest::sha256;

/// How much of an existing file is verified when it is continued.
const TAIL_BYTES: u64 = 256 << 10;

/// What is at the end of a file.
#[derive(Debug)]
pub(super) struct Tail {
    /// The last record.
    pub(super) head: Head,
    /// What follows it and is no record.
    pub(super) torn: Vec<u8>,
}

/// The state between two lines.
#[derive(Default)]
struct Walk {
    head: Option<Head>,
    torn: Vec<u8>,
}

/// Reads the last records of the first `size` bytes, and checks that each follows the one before. `known` is a record
/// and where it ends.
///
/// # Errors
///
/// When they cannot be read, or are no intact chain.
pub(super) fn read(file: &File, known: Option<(u64, Head)>, size: u64) -> Result<Tail> {
    if let Some((end, head)) = known
        && size.saturating_sub(end) <= TAIL_BYTES
    {
        let mut walk = Walk { head: Some(head), torn: Vec::new() };
        walk.lines(&bytes(file, end, size)?)?;
        return walk.tail().context("there is no record");
    }
    let mut most = TAIL_BYTES;
    loop {
        let start = size.saturating_sub(most);
        let bytes = bytes(file, start, size)?;
        // It begins somewhere in a line.
        let first = memchr::memchr(b'\n', &bytes).map_or(bytes.len(), |at| at + 1);
        let mut walk = Walk::default();
        walk.lines(if start == 0 { &bytes } else { &bytes[first..] })?;
        match walk.tail() {
            Some(tail) => return Ok(tail),
            None => ensure!(start > 0, "it is no audit log: there is no record in it"),
        }
        // The last record is longer.
        most *= 4;
    }
}

fn bytes(mut file: &File, start: u64, end: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.take(end - start).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Walk {
    fn lines(&mut self, bytes: &[u8]) -> Result<()> {
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            match serde_json::from_slice::<Link<'_>>(line) {
                Ok(link) if line.ends_with(b"\n") => self.follow(&link, line)?,
                // What a crash cut off: the next record has to account for it.
                _ => self.torn.extend_from_slice(line),
            }
        }
        Ok(())
    }

    fn follow(&mut self, link: &Link<'_>, line: &[u8]) -> Result<()> {
        if let Some(head) = &self.head {
            let torn = (!self.torn.is_empty()).then(|| sha256(&self.torn));
            let prev = torn.as_deref().unwrap_or(&head.hash);
            let follows = link.prev == prev && link.seq == head.seq + 1;
            ensure!(follows, "its record {} does not follow the one before", link.seq);
        }
        self.head = Some(Head { seq: link.seq, hash: sha256(line) });
        self.torn.clear();
        Ok(())
    }

    fn tail(self) -> Option<Tail> {
        let torn = self.torn;
        self.head.map(|head| Tail { head, torn })
    }
}
