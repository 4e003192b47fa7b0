//! Verifying a log: every line's hash and number, in constant memory.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::chain::{Head, Link, NOTHING, is_summed};
use crate::digest::{hexadecimal, sha256};

/// What became of a verification.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Every record follows the one before.
    Verified(Verified),
    /// One does not.
    Broken {
        /// In which file.
        file: PathBuf,
        /// At which line, counted from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing contradicts, but something is missing at an end.
    Incomplete(Verified, String),
}

/// What was verified.
#[derive(Debug, Default)]
pub(crate) struct Verified {
    /// How many records.
    pub(crate) records: u64,
    /// The chain's id.
    pub(crate) chain: String,
    /// The last record.
    pub(crate) head: Option<Head>,
    /// When the first was written.
    pub(crate) from: String,
    /// When the last was written.
    pub(crate) to: String,
    /// Lines that a crash cut off, and that the next record closed.
    pub(crate) torn: u64,
}

/// The state between two lines.
#[derive(Default)]
struct Walk<'w> {
    verified: Verified,
    /// A head to look for, and whether it was seen.
    witness: Option<&'w str>,
    witnessed: bool,
    /// What was found missing at the beginning.
    missing: Option<String>,
    /// The hash, so far, of lines that are no records: the next one has to account for them, and for the record before
    /// them.
    torn: Option<Sha256>,
    /// What was found missing at the end.
    cut: Option<String>,
}

/// The fields of a record that closes a torn line.
#[derive(Deserialize)]
struct Closing<'a> {
    after: &'a str,
}

/// Verifies the files as one chain, in the order given. With `witness`, the record with that hash must be there.
///
/// # Errors
///
/// When a file cannot be read.
pub(crate) fn verify(files: &[PathBuf], witness: Option<&str>) -> Result<Verdict> {
    let mut walk = Walk { witness, ..Walk::default() };
    for (at, file) in files.iter().enumerate() {
        if let Some(verdict) = verify_file(&mut walk, file, at + 1 == files.len())? {
            return Ok(verdict);
        }
    }
    Ok(match walk.witness {
        Some(_) if !walk.witnessed => {
            let file = files.last().cloned().unwrap_or_default();
            let reason =
                "no record has the hash of the witness: the log was cut after it was written, or is another one";
            Verdict::Broken { file, line: walk.verified.records + walk.verified.torn, reason: reason.to_owned() }
        }
        _ => match walk.missing.or(walk.cut) {
            Some(missing) => Verdict::Incomplete(walk.verified, missing),
            None => Verdict::Verified(walk.verified),
        },
    })
}

fn verify_file(walk: &mut Walk<'_>, file: &Path, is_last: bool) -> Result<Option<Verdict>> {
    let name = || format!("cannot read `{}`", file.display());
    let mut input = BufReader::with_capacity(128 << 10, File::open(file).with_context(name)?);
    let (mut line, mut before) = (Vec::new(), Vec::new());
    let mut number = 0;
    loop {
        number += 1;
        line.clear();
        if input.read_until(b'\n', &mut line).with_context(name)? == 0 {
            break;
        }
        let step = match line.last() {
            Some(b'\n') => walk.line(&line),
            _ if is_last => {
                walk.cut = Some(format!("its last line, {number}, was cut off after {} bytes", line.len()));
                break;
            }
            _ => Err("it was cut off, and another file follows".to_owned()),
        };
        if let Err(reason) = step {
            return Ok(Some(Verdict::Broken { file: file.to_owned(), line: number, reason }));
        }
        std::mem::swap(&mut line, &mut before);
    }
    if walk.torn.is_some() {
        walk.cut = walk.cut.take().or(Some(format!("its line {} is no record, and nothing follows it", number - 1)));
    } else if is_last && !is_summed(&before) {
        let reason = "its `sum` is not the hash of what stands before it: the last record was changed".to_owned();
        return Ok(Some(Verdict::Broken { file: file.to_owned(), line: number - 1, reason }));
    }
    Ok(None)
}

impl Walk<'_> {
    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        let Ok(link) = serde_json::from_slice::<Link<'_>>(line) else { return self.not_a_record(line) };
        if link.v != 1 {
            return Err(format!("it is of version {}, which is not known", link.v));
        }
        match (&self.verified.head, self.torn.take()) {
            (None, None) => self.first(&link)?,
            (None, Some(_)) => return Err("the line before is no record".to_owned()),
            (Some(head), None) => follows(&link, head.seq, &head.hash)?,
            (Some(head), Some(torn)) => closes(&link, head, &hexadecimal(&torn.finalize()), line)?,
        }
        let hash = sha256(line);
        self.witnessed |= self.witness == Some(hash.as_str());
        link.time.clone_into(&mut self.verified.to);
        self.verified.records += 1;
        self.verified.head = Some(Head { seq: link.seq, hash });
        Ok(())
    }

    fn first(&mut self, link: &Link<'_>) -> Result<(), String> {
        let chain = link.chain.ok_or("the first record names no chain")?;
        chain.clone_into(&mut self.verified.chain);
        link.time.clone_into(&mut self.verified.from);
        match (link.kind, link.seq, link.prev) {
            ("chain.start", 0, NOTHING) => {}
            ("chain.continued", seq, _) => {
                self.missing = Some(format!("it begins at record {seq}: give the files before it, too"));
            }
            _ => return Err("it is not the first record of a chain".to_owned()),
        }
        Ok(())
    }

    /// A line that is no record is one that a crash cut off, if the next record says so. There are several if another
    /// crash cut that one off.
    fn not_a_record(&mut self, line: &[u8]) -> Result<(), String> {
        if self.verified.head.is_none() {
            return Err("it is no record".to_owned());
        }
        self.verified.torn += 1;
        self.torn.get_or_insert_default().update(line);
        Ok(())
    }
}

fn follows(link: &Link<'_>, seq: u64, hash: &str) -> Result<(), String> {
    if link.seq != seq + 1 {
        return Err(format!("its number is {}, and {} was to come", link.seq, seq + 1));
    }
    if link.prev != hash {
        return Err("its `prev` is not the hash of the line before: that line was changed, or this one".to_owned());
    }
    Ok(())
}

fn closes(link: &Link<'_>, head: &Head, torn: &str, line: &[u8]) -> Result<(), String> {
    follows(link, head.seq, torn)?;
    let closing = serde_json::from_slice::<Closing<'_>>(line);
    match closing {
        Ok(closing) if link.kind == "chain.torn" && closing.after == head.hash => Ok(()),
        _ => Err("the line before is no record, and this one does not say that a crash cut it off".to_owned()),
    }
}
