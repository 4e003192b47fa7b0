//! A record as a line: what stands in front of its fields, and the sums that hold it fast.

use std::time::SystemTime;

use anyhow::Result;
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::digest::{hexadecimal, sha256};

/// What stands for the hash of the line before the first.
pub(in crate::audit) const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// How the first line of a log begins.
const FIRST: &str = r#"{"v":1,"seq":0,"prev":"0000000000000000000000000000000000000000000000000000000000000000","#;

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
pub(in crate::audit) struct Link<'a> {
    pub(in crate::audit) v: u32,
    pub(in crate::audit) seq: u64,
    #[serde(borrow)]
    pub(in crate::audit) prev: &'a str,
    #[serde(borrow)]
    pub(in crate::audit) time: &'a str,
    #[serde(borrow, rename = "type")]
    pub(in crate::audit) kind: &'a str,
    #[serde(borrow)]
    pub(in crate::audit) chain: Option<&'a str>,
}

/// A record's line, and the head that it makes.
///
/// Its last field, `sum`, is the SHA-256 of all that stands before it: every other byte of a log is covered by the
/// record after it; this covers the last one.
pub(super) fn line(seq: u64, prev: &str, record: &Map<String, Value>) -> Result<(String, Head)> {
    let time = humantime::format_rfc3339_micros(SystemTime::now());
    let fields = serde_json::to_string(record)?;
    let mut line = format!(r#"{{"v":1,"seq":{seq},"prev":"{prev}","time":"{time}",{}"#, &fields[1..]);
    // The closing brace comes after the sum.
    line.pop();
    let mut hash = Sha256::new_with_prefix(&line);
    let sum = format!(",\"sum\":\"{}\"}}\n", hexadecimal(&hash.clone().finalize()));
    hash.update(&sum);
    line.push_str(&sum);
    Ok((line, Head { seq, hash: hexadecimal(&hash.finalize()) }))
}

/// Whether a line ends with its own sum.
pub(in crate::audit) fn is_summed(line: &[u8]) -> bool {
    let text = std::str::from_utf8(line).unwrap_or_default();
    text.rsplit_once(",\"sum\":\"").is_some_and(|(open, sum)| sum == format!("{}\"}}\n", sha256(open)))
}

/// Whether these bytes are the beginning of a log's first line.
pub(super) fn is_begun(bytes: &[u8]) -> bool {
    bytes.starts_with(FIRST.as_bytes()) || FIRST.as_bytes().starts_with(bytes)
}
