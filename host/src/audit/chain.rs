//! The file: records appended under a lock, each with the hash of the line before it.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::digest::sha256;

/// What stands for the hash of the line before the first.
pub(super) const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// How much of an existing file is verified when it is continued.
const TAIL_BYTES: u64 = 256 << 10;

/// The head of a chain: the last record, as a witness remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Its sequence number.
    pub(crate) seq: u64,
    /// The SHA-256 of its line.
    pub(crate) hash: String,
}

/// What the chain needs of a record.
#[derive(Debug, Deserialize)]
pub(super) struct Link<'a> {
    pub(super) v: u32,
    pub(super) seq: u64,
    #[serde(borrow)]
    pub(super) prev: &'a str,
    #[serde(borrow)]
    pub(super) time: &'a str,
    #[serde(borrow, rename = "type")]
    pub(super) kind: &'a str,
    #[serde(borrow)]
    pub(super) chain: Option<&'a str>,
}

/// A log that is open for appending.
pub(super) struct Log {
    path: PathBuf,
    file: File,
    sync: bool,
    most_bytes: u64,
    /// Where the last record that this process knows of ends.
    size: u64,
    head: Option<Head>,
    chain: String,
}

/// What is at the end of a file.
struct Tail {
    head: Option<Head>,
    /// Bytes of a last line without a line break.
    torn: Vec<u8>,
}

impl Log {
    pub(super) fn open(path: &Path, sync: bool, most_bytes: u64) -> Result<Self> {
        let file = open_for_append(path)?;
        let chain = String::new();
        let mut log = Self { path: path.to_owned(), file, sync, most_bytes, size: 0, head: None, chain };
        log.locked(|log| log.catch_up()).with_context(|| format!("cannot continue `{}`", path.display()))?;
        Ok(log)
    }

    /// Appends one record, whole or not at all.
    pub(super) fn append(&mut self, record: &Map<String, Value>) -> Result<Head> {
        self.locked(|log| {
            log.catch_up()?;
            if log.size > log.most_bytes {
                log.rotate()?;
            }
            log.write(record)
        })
        .with_context(|| format!("the audit log `{}` cannot be written", self.path.display()))
    }

    /// Runs with the file locked against other processes. The one that is locked is the one that the path names.
    fn locked<T>(&mut self, run: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        loop {
            self.file.lock()?;
            let named = fs::metadata(&self.path).context("it is gone")?;
            if is_same(&self.file.metadata()?, &named) {
                break;
            }
            // Another process rotated it.
            self.file = open_for_append(&self.path)?;
            (self.size, self.head) = (0, None);
        }
        let result = run(self);
        self.file.unlock()?;
        result
    }

    /// Takes in what other processes appended, and closes what a crash left open. A new file gets its first record.
    fn catch_up(&mut self) -> Result<()> {
        let size = self.file.metadata()?.len();
        if size == self.size && size > 0 {
            return Ok(());
        }
        ensure!(size >= self.size, "it was cut from {} to {size} bytes while it was in use", self.size);
        let tail = self.read_tail(size)?;
        self.size = size;
        self.head = tail.head;
        if self.chain.is_empty() && size > 0 {
            self.chain = self.first_chain()?;
        }
        if size == 0 {
            self.chain = random_id()?;
            let start = json!({ "type": "chain.start", "chain": self.chain });
            self.write(&object(start)).map(|_| ())
        } else if !tail.torn.is_empty() {
            self.close_torn(&tail.torn)
        } else {
            Ok(())
        }
    }

    /// Ends a torn line, and chains to its bytes as well as to the last whole record.
    fn close_torn(&mut self, torn: &[u8]) -> Result<()> {
        self.file.write_all(b"\n").context("cannot close a torn line")?;
        self.size += 1;
        let line = [torn, b"\n"].concat();
        let after = self.head.as_ref().map_or(NOTHING, |head| &head.hash).to_owned();
        let seq = self.head.as_ref().map_or(0, |head| head.seq);
        self.head = Some(Head { seq, hash: sha256(&line) });
        self.write(&object(json!({ "type": "chain.torn", "torn": torn.len(), "after": after }))).map(|_| ())
    }

    fn write(&mut self, record: &Map<String, Value>) -> Result<Head> {
        let seq = self.head.as_ref().map_or(0, |head| head.seq + 1);
        let prev = self.head.as_ref().map_or(NOTHING, |head| &head.hash);
        let time = humantime::format_rfc3339_micros(SystemTime::now()).to_string();
        let mut line = object(json!({ "v": 1, "seq": seq, "prev": prev, "time": time }));
        line.extend(record.clone());
        let bytes = summed(&serde_json::to_string(&line)?).into_bytes();
        let written = self.file.write_all(&bytes).and_then(|()| if self.sync { self.file.sync_data() } else { Ok(()) });
        if let Err(error) = written {
            // A part of a line would look like a crash.
            _ = self.file.set_len(self.size);
            return Err(error.into());
        }
        self.size += bytes.len() as u64;
        let head = Head { seq, hash: sha256(&bytes) };
        self.head = Some(head.clone());
        Ok(head)
    }

    /// Moves the file aside, and begins the next one with a link to it.
    fn rotate(&mut self) -> Result<()> {
        let seq = self.head.as_ref().map_or(0, |head| head.seq);
        let aside = PathBuf::from(format!("{}.{seq:012}", self.path.display()));
        ensure!(!aside.exists(), "`{}` is in the way of its rotation", aside.display());
        fs::rename(&self.path, &aside).context("it cannot be rotated")?;
        let next = open_for_append(&self.path)?;
        next.lock()?;
        let old = std::mem::replace(&mut self.file, next);
        self.size = 0;
        let previous = aside.file_name().map(|name| name.to_string_lossy().into_owned());
        let record = json!({ "type": "chain.continued", "chain": self.chain, "previous": previous });
        self.write(&object(record))?;
        Ok(old.unlock()?)
    }

    /// Reads the last records, checks that each follows the one before, and returns the last.
    fn read_tail(&mut self, size: u64) -> Result<Tail> {
        let start = self.size.min(size).max(size.saturating_sub(TAIL_BYTES));
        let known = (start == self.size).then(|| self.head.clone()).flatten();
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(start))?;
        (&self.file).take(size - start).read_to_end(&mut bytes)?;
        let mut rest = bytes.as_slice();
        if known.is_none() && start > 0 {
            // It begins somewhere in a line.
            let line = rest.iter().position(|byte| *byte == b'\n').context("a line of it is too long")?;
            rest = &rest[line + 1..];
        }
        let mut tail = Tail { head: known, torn: Vec::new() };
        let mut prev_line_torn = false;
        for line in rest.split_inclusive(|byte| *byte == b'\n') {
            if line.last() != Some(&b'\n') {
                tail.torn = line.to_vec();
                break;
            }
            match serde_json::from_slice::<Link<'_>>(line) {
                Ok(link) => {
                    let follows = tail.head.as_ref().is_none_or(|head| head.hash == link.prev);
                    ensure!(follows, "its record {} does not follow the one before", link.seq);
                    tail.head = Some(Head { seq: link.seq, hash: sha256(line) });
                    prev_line_torn = false;
                }
                // A line that a crash cut off was closed later; the record after it hashes it.
                Err(_) if !prev_line_torn && tail.head.is_some() => {
                    let seq = tail.head.as_ref().map_or(0, |head| head.seq);
                    tail.head = Some(Head { seq, hash: sha256(line) });
                    prev_line_torn = true;
                }
                Err(error) => bail!("it is no audit log: {error}"),
            }
        }
        Ok(tail)
    }

    fn first_chain(&mut self) -> Result<String> {
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(0))?;
        (&self.file).take(4096).read_to_end(&mut bytes)?;
        let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let link: Link<'_> = serde_json::from_slice(first).context("its first line is no record")?;
        Ok(link.chain.context("its first record names no chain")?.to_owned())
    }
}

/// A record's line: its JSON with the SHA-256 of all that stands before it as its last field, `sum`. Every other byte
/// of a log is covered by the record after it; this covers the last one.
fn summed(json: &str) -> String {
    let open = &json[..json.len() - 1];
    format!("{open},\"sum\":\"{}\"}}\n", sha256(open))
}

/// Whether a line ends with its own sum.
pub(super) fn is_summed(line: &[u8]) -> bool {
    let text = std::str::from_utf8(line).unwrap_or_default();
    text.rsplit_once(",\"sum\":\"").is_some_and(|(open, _)| summed(&format!("{open}}}")) == text)
}

fn object(value: Value) -> Map<String, Value> {
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
fn is_same(a: &fs::Metadata, b: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
fn is_same(_a: &fs::Metadata, _b: &fs::Metadata) -> bool {
    true
}

/// 128 random bits in hexadecimal.
pub(super) fn random_id() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
