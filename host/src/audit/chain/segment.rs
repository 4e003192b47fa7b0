//! One file of a log: opened for appending, and written to whole lines at a time.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::line::{Head, Link, NOTHING, is_begun, is_summed, line};
use super::tail;
use crate::digest::sha256;

/// More than the first record of a file has: an id, and a file's name.
const FIRST_BYTES: u64 = 4096;

/// An open file, and where the chain in it ends.
pub(super) struct Segment {
    pub(super) file: File,
    identity: (u64, u64),
    sync: bool,
    /// Where the last record that this process knows of ends.
    pub(super) size: u64,
    pub(super) head: Option<Head>,
}

impl Segment {
    /// Opens a file, or creates it.
    pub(super) fn open(path: &Path, sync: bool) -> Result<Self> {
        let file = open_for_append(path)?;
        let identity = identity(&file.metadata()?);
        Ok(Self { file, identity, sync, size: 0, head: None })
    }

    /// Whether it is the file that this is the metadata of.
    pub(super) fn is(&self, metadata: &Metadata) -> bool {
        self.identity == identity(metadata)
    }

    /// Takes in what others appended, up to `size`, and closes what a crash left open.
    pub(super) fn catch_up(&mut self, size: u64) -> Result<()> {
        if self.head.is_none() && self.is_only_begun()? {
            // A crash in the first record: there is no chain yet that something could be missing from.
            self.file.set_len(0)?;
            self.size = 0;
            return Ok(());
        }
        let known = self.head.clone().map(|head| (self.size, head));
        let tail = tail::read(&self.file, known, size)?;
        (self.size, self.head) = (size, Some(tail.head));
        if tail.torn.is_empty() {
            return Ok(());
        }
        self.close(&tail.torn).inspect_err(|_| {
            // It is still open: the next one has to see it.
            (self.size, self.head) = (0, None);
        })
    }

    /// Ends a torn line. If nothing but the line break is missing, it is a record; otherwise a record follows that
    /// chains to its bytes as well as to the last whole record. Both in one step: a crash leaves the one or the other.
    fn close(&mut self, torn: &[u8]) -> Result<()> {
        let last = self.head.clone().context("it is no audit log: it has no record")?;
        let line_break = if torn.ends_with(b"\n") { "" } else { "\n" };
        let whole = [torn, line_break.as_bytes()].concat();
        let (text, head) = match missing_only_its_end(torn, &last) {
            Some(head) => (String::new(), head),
            None => {
                let record = json!({ "type": "chain.torn", "torn": torn.len(), "after": last.hash });
                line(last.seq + 1, &sha256(&whole), &object(record))?
            }
        };
        self.append(&format!("{line_break}{text}"), head).context("cannot close a torn line")?;
        Ok(())
    }

    /// Appends one record, whole or not at all.
    pub(super) fn write(&mut self, record: &Map<String, Value>) -> Result<Head> {
        let (seq, prev) = match &self.head {
            Some(head) => (head.seq + 1, head.hash.as_str()),
            None => (0, NOTHING),
        };
        let (text, head) = line(seq, prev, record)?;
        self.append(&text, head)
    }

    fn append(&mut self, text: &str, head: Head) -> Result<Head> {
        let written = self.file.write_all(text.as_bytes());
        let written = written.and_then(|()| if self.sync { self.file.sync_data() } else { Ok(()) });
        if let Err(error) = written {
            // A part of a line would look like a crash.
            _ = self.file.set_len(self.size);
            return Err(error.into());
        }
        self.size += text.len() as u64;
        self.head = Some(head.clone());
        Ok(head)
    }

    /// The id of the chain, from the first record.
    pub(super) fn chain(&self) -> Result<String> {
        let first = self.first_line()?;
        let link: Link<'_> = serde_json::from_slice(&first).context("its first line is no record")?;
        Ok(link.chain.context("its first record names no chain")?.to_owned())
    }

    fn is_only_begun(&self) -> Result<bool> {
        let first = self.first_line()?;
        Ok(!first.ends_with(b"\n") && is_begun(&first))
    }

    /// The first line, as far as a chain's first record goes.
    fn first_line(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        (&self.file).seek(SeekFrom::Start(0))?;
        (&self.file).take(FIRST_BYTES).read_to_end(&mut bytes)?;
        bytes.truncate(bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1));
        Ok(bytes)
    }
}

/// The head that the last of the torn lines makes, if it is a whole record but for its line break.
fn missing_only_its_end(torn: &[u8], head: &Head) -> Option<Head> {
    let start = memchr::memrchr(b'\n', torn).map_or(0, |at| at + 1);
    let prev = if start == 0 { head.hash.clone() } else { sha256(&torn[..start]) };
    let line = [&torn[start..], b"\n"].concat();
    let link = serde_json::from_slice::<Link<'_>>(&line).ok()?;
    let follows = link.prev == prev && link.seq == head.seq + 1 && is_summed(&line);
    follows.then(|| Head { seq: link.seq, hash: sha256(&line) })
}

/// A JSON object.
pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

fn open_for_append(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path).with_context(|| format!("cannot open `{}`", path.display()))
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

/// Elsewhere the name is the file: nobody else rotates it.
#[cfg(not(unix))]
fn identity(_metadata: &Metadata) -> (u64, u64) {
    (0, 0)
}
