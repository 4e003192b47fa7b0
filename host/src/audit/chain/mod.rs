//! The file: records appended under a lock, each with the hash of the line before it.

use std::error::Error;
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

mod line;
mod segment;
mod tail;

pub(crate) use line::Head;
pub(super) use line::{Link, NOTHING, is_summed};

use crate::digest::hexadecimal;
pub(super) use segment::identity;
use segment::{Segment, object};

/// How often to look while another process has the file: about as long as a record takes.
pub(super) const LOCK_EVERY: Duration = Duration::from_micros(50);

/// Another process has the file locked.
#[derive(Debug)]
pub(super) struct Busy;

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("another process holds it")
    }
}

impl Error for Busy {}

/// A log that is open for appending.
pub(super) struct Log {
    path: PathBuf,
    segment: Segment,
    sync: bool,
    most_bytes: u64,
    chain: String,
    /// Whether the file is locked already, for what comes next.
    locked_ahead: bool,
}

impl Log {
    pub(super) fn open(path: &Path, sync: bool, most_bytes: u64) -> Result<Self> {
        let segment = Segment::open(path, sync)?;
        let (path, chain) = (path.to_owned(), String::new());
        let mut log = Self { path, segment, sync, most_bytes, chain, locked_ahead: false };
        let opened = log.locked(Instant::now() + super::turns::LOCK_WITHIN, |log| Ok(log.forget_begun_rotation()?));
        opened.with_context(|| format!("cannot continue `{}`", log.path.display()))?;
        if sync {
            log.sync_folder();
        }
        Ok(log)
    }

    /// Appends one record, whole or not at all. Blocks while another process has the file, until `until`; then it is
    /// [`Busy`].
    pub(super) fn append(&mut self, record: &Map<String, Value>, until: Instant) -> Result<Head> {
        self.locked(until, |log| {
            if log.segment.size > log.most_bytes {
                log.rotate()?;
            }
            log.segment.write(record)
        })
        .with_context(|| format!("the audit log `{}` cannot be written", self.path.display()))
    }

    /// Locks the file for the next record, if no other process has it, and says whether that has it now.
    pub(super) fn lock_ahead(&mut self) -> Result<bool> {
        self.locked_ahead = match lock(&self.segment.file, Instant::now()) {
            Err(error) if error.is::<Busy>() => false,
            locked => locked.map(|()| true)?,
        };
        Ok(self.locked_ahead)
    }

    /// Gives up what [`Self::lock_ahead`] locked.
    pub(super) fn unlock_ahead(&mut self) {
        if std::mem::take(&mut self.locked_ahead) {
            _ = self.segment.file.unlock();
        }
    }

    /// Runs with the file locked against other processes, and with what they appended taken in. The file that is locked
    /// is the one that the path names.
    fn locked<T>(&mut self, until: Instant, run: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        loop {
            if !std::mem::take(&mut self.locked_ahead) {
                lock(&self.segment.file, until)?;
            }
            let named = fs::metadata(&self.path).context("it is gone");
            match named {
                Ok(named) if self.segment.is(&named) => {
                    let result = self.catch_up(named.len()).and_then(|()| run(self));
                    self.segment.file.unlock()?;
                    return result;
                }
                // Another process rotated it.
                Ok(_) => self.segment = Segment::open(&self.path, self.sync)?,
                // Other processes wait for the same lock, to be told the same.
                Err(gone) => {
                    self.segment.file.unlock()?;
                    return Err(gone);
                }
            }
        }
    }

    /// Takes in what other processes appended, and closes what a crash left open. A new file gets its first record.
    fn catch_up(&mut self, size: u64) -> Result<()> {
        if size == self.segment.size && size > 0 {
            return Ok(());
        }
        ensure!(size >= self.segment.size, "it was cut from {} to {size} bytes while it was in use", self.segment.size);
        if size > 0 {
            self.segment.catch_up(size)?;
        }
        if self.segment.size == 0 {
            self.chain = random_id()?;
            let start = json!({ "type": "chain.start", "chain": self.chain });
            self.segment.write(&object(start))?;
        } else if self.chain.is_empty() {
            self.chain = self.segment.chain()?;
        }
        Ok(())
    }

    /// Begins the next file, with a link to this one, which gets another name. The path names a file with a whole
    /// chain at every moment: whoever opens it meanwhile, or after a crash, goes on with the one or the other.
    fn rotate(&mut self) -> Result<()> {
        let seq = self.segment.head.as_ref().map_or(0, |head| head.seq);
        let aside = self.beside(&format!("{seq:012}"));
        ensure!(!aside.exists(), "`{}` is in the way of its rotation", aside.display());
        let begun = self.beside("next");
        // Left by a crash; nobody but who holds the lock makes one.
        _ = fs::remove_file(&begun);
        let mut next = Segment::open(&begun, self.sync)?;
        next.file.lock()?;
        next.head = self.segment.head.clone();
        let previous = aside.file_name().map(|name| name.to_string_lossy().into_owned());
        let record = json!({ "type": "chain.continued", "chain": self.chain, "previous": previous });
        next.write(&object(record))?;
        // A name that lasts must not be one of nothing.
        next.file.sync_data()?;
        self.exchange(&begun, &aside).context("it cannot be rotated")?;
        let old = std::mem::replace(&mut self.segment, next);
        if self.sync {
            self.sync_folder();
        }
        Ok(old.file.unlock()?)
    }

    /// Gives this file the name `aside`, and its own name to `begun`.
    fn exchange(&self, begun: &Path, aside: &Path) -> io::Result<()> {
        let linked = fs::hard_link(&self.path, aside);
        if linked.is_err() {
            // Some file systems have no second names: there the path names nothing for a moment.
            fs::rename(&self.path, aside)?;
        }
        fs::rename(begun, &self.path).inspect_err(|_| {
            _ = if linked.is_ok() { fs::remove_file(aside) } else { fs::rename(aside, &self.path) };
        })
    }

    /// After a crash within a rotation, the file may already have its other name, and still be written to.
    #[cfg(unix)]
    fn forget_begun_rotation(&self) -> io::Result<()> {
        use std::os::unix::fs::MetadataExt;
        let named = fs::metadata(&self.path)?;
        if named.nlink() < 2 {
            return Ok(());
        }
        let (prefix, number) = (self.beside("").into_os_string(), |c: &u8| c.is_ascii_digit());
        for entry in fs::read_dir(Path::new(".").join(self.folder()))? {
            let other = self.folder().join(entry?.file_name());
            let bytes = other.as_os_str().as_encoded_bytes();
            let rotated = bytes.strip_prefix(prefix.as_encoded_bytes()).is_some_and(|end| end.iter().all(number));
            if rotated && self.segment.is(&fs::metadata(&other)?) {
                fs::remove_file(&other)?;
            }
        }
        Ok(())
    }

    #[cfg(not(unix))]
    fn forget_begun_rotation(&self) -> io::Result<()> {
        Ok(())
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// The path with another ending.
    fn beside(&self, ending: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(".");
        path.push(ending);
        path.into()
    }

    /// Makes a new name as durable as what is written under it. Where a folder cannot be synced, the system does it
    /// by itself.
    fn sync_folder(&self) {
        _ = File::open(Path::new(".").join(self.folder())).and_then(|folder| folder.sync_all());
    }
}

/// Locks a file, and waits for that.
fn lock(file: &File, until: Instant) -> Result<()> {
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(LOCK_EVERY),
            Err(TryLockError::WouldBlock) => return Err(Busy.into()),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
}

/// 128 random bits in hexadecimal.
pub(super) fn random_id() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(hexadecimal(&bytes))
}
