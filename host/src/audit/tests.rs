//! Logs that are cut, changed, torn and rotated, at every byte.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Map, json};

use super::chain::Log;
use super::turns::LOCK_WITHIN;
use super::{Value, Verdict, verify};

const LARGE: u64 = 1 << 30;

fn in_time() -> Instant {
    Instant::now() + LOCK_WITHIN
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// Opens a log, appends so many records, and closes it.
fn append(path: &Path, count: usize) {
    let mut log = Log::open(path, false, LARGE).unwrap();
    for at in 0..count {
        log.append(&object(json!({ "type": "test", "at": at, "text": "\n\u{2028}\"{}" })), in_time()).unwrap();
    }
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn log(&self) -> PathBuf {
        self.0.path().join("log")
    }

    /// All files of the log, oldest first.
    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> = fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.rotate_left(1);
        assert_eq!(files.last(), Some(&self.log()));
        files
    }

    /// The number of records and of torn lines of a log that verifies.
    fn verified(&self) -> (u64, u64) {
        match verify(&self.files(), None).unwrap() {
            Verdict::Verified(verified) => (verified.records, verified.torn),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_log_that_is_cut_at_any_byte_is_continued_and_accounts_for_what_was_torn() {
    let folder = Folder::new();
    append(&folder.log(), 2);
    let whole = fs::read(folder.log()).unwrap();
    for length in 0..=whole.len() {
        fs::write(folder.log(), &whole[..length]).unwrap();

        append(&folder.log(), 1);

        let (records, torn) = folder.verified();
        let kept = whole[..length].iter().filter(|byte| **byte == b'\n').count() as u64;
        let only_the_line_break = u64::from(whole.get(length) == Some(&b'\n'));
        let kept = kept + only_the_line_break;
        let begins = u64::from(kept == 0);
        let cut = whole[..length].last().is_some_and(|byte| *byte != b'\n');
        assert_eq!(torn, u64::from(cut && kept > 0 && only_the_line_break == 0), "{length} bytes");
        assert_eq!(records, kept + torn + begins + 1, "{length} bytes");
    }
}

#[test]
fn a_crash_while_a_torn_line_is_closed_is_closed_as_well() {
    let folder = Folder::new();
    append(&folder.log(), 2);
    let torn = fs::metadata(folder.log()).unwrap().len() as usize - 20;
    fs::write(folder.log(), &fs::read(folder.log()).unwrap()[..torn]).unwrap();
    append(&folder.log(), 0);
    let closed = fs::read(folder.log()).unwrap();
    for length in torn + 1..=closed.len() {
        fs::write(folder.log(), &closed[..length]).unwrap();

        append(&folder.log(), 1);

        let (records, torn_lines) = folder.verified();
        assert_eq!(records, 4, "the first, one whole one, the one that closes, and the one after it: {length} bytes");
        assert!(torn_lines >= 1);
    }
}

/// A log in three files, with a torn line in the second.
fn rotated_and_torn() -> Folder {
    let folder = Folder::new();
    let mut log = Log::open(&folder.log(), false, 900).unwrap();
    for at in 0..8 {
        log.append(&object(json!({ "type": "test", "at": at })), in_time()).unwrap();
        if at == 4 {
            let mut torn = fs::OpenOptions::new().append(true).open(folder.log()).unwrap();
            torn.write_all(b"{\"v\":1,\"seq\":7,\"prev\":\"12").unwrap();
        }
    }
    assert_eq!(folder.files().len(), 3);
    assert_eq!(folder.verified().1, 1);
    folder
}

/// Writes one byte in place.
fn set_byte(file: &fs::File, at: usize, byte: u8) {
    let mut file = file;
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.write_all(&[byte]).unwrap();
}

#[test]
fn every_changed_byte_of_every_file_is_found() {
    let folder = rotated_and_torn();
    let files = folder.files();
    for path in &files {
        let bytes = fs::read(path).unwrap();
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        for (at, byte) in bytes.iter().enumerate() {
            // The lowest bit, the case of a letter, and a line break.
            for changed in [byte ^ 1, byte ^ 0x20, b'\n'].into_iter().filter(|changed| changed != byte) {
                set_byte(&file, at, changed);
                let verdict = verify(&files, None).unwrap();
                let found = !matches!(verdict, Verdict::Verified(_));
                assert!(found, "byte {at} of {} as {changed:#x}: {verdict:?}", path.display());
            }
            set_byte(&file, at, *byte);
        }
    }
    folder.verified();
}

#[test]
fn every_deleted_doubled_or_swapped_line_of_every_file_is_found() {
    let folder = rotated_and_torn();
    let files = folder.files();
    for (file, text) in files.iter().map(|file| (file, fs::read_to_string(file).unwrap())) {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        for at in 0..lines.len() {
            let is_last = Some(file) == files.last() && at + 1 == lines.len();
            let without = [&lines[..at], &lines[at + 1..]].concat();
            let doubled = [&lines[..=at], &lines[at..]].concat();
            let mut swapped = lines.clone();
            swapped.swap(at, (at + 1) % lines.len());
            for changed in [without, doubled, swapped].map(|lines| lines.concat()) {
                fs::write(file, &changed).unwrap();
                let verified = matches!(verify(&files, None).unwrap(), Verdict::Verified(_));
                // That the end is missing is what a witness finds.
                assert!(!verified || is_last || changed == text, "line {at} of {}", file.display());
            }
        }
        fs::write(file, &text).unwrap();
    }
}

#[test]
fn a_record_longer_than_what_is_read_at_once_is_continued() {
    let folder = Folder::new();
    append(&folder.log(), 1);
    let long = object(json!({ "type": "long", "text": "x".repeat(1_500_000) }));
    Log::open(&folder.log(), false, LARGE).unwrap().append(&long, in_time()).unwrap();

    append(&folder.log(), 1);

    assert_eq!(folder.verified(), (4, 0));
}

#[test]
fn two_that_write_and_rotate_one_log_in_turn_leave_one_chain() {
    let folder = Folder::new();
    let mut logs = [1500, 2500].map(|size| Log::open(&folder.log(), false, size).unwrap());
    for at in 0..200 {
        logs[at * 7 % 3 % 2].append(&object(json!({ "type": "test", "at": at })), in_time()).unwrap();
    }

    assert!(folder.files().len() > 20);
    assert_eq!(folder.verified().0, 200 + folder.files().len() as u64);
}

#[test]
fn a_crash_within_a_rotation_leaves_one_chain() {
    let folder = Folder::new();
    append(&folder.log(), 3);
    // The next file was begun, and this one has its other name already.
    fs::write(folder.0.path().join("log.next"), "{\"v\":1,\"seq\":4,\"pre").unwrap();
    fs::hard_link(folder.log(), folder.0.path().join("log.000000000003")).unwrap();

    let mut log = Log::open(&folder.log(), false, 1000).unwrap();
    for at in 0..4 {
        log.append(&object(json!({ "type": "test", "at": at })), in_time()).unwrap();
    }

    assert!(!folder.0.path().join("log.000000000003").exists() && !folder.0.path().join("log.next").exists());
    assert_eq!(folder.verified().0, 1 + 3 + 4 + folder.files().len() as u64 - 1);
}

#[test]
fn a_rotation_that_fails_leaves_the_file_as_it_was() {
    let folder = Folder::new();
    let mut log = Log::open(&folder.log(), false, 600).unwrap();
    while fs::metadata(folder.log()).unwrap().len() <= 600 {
        log.append(&object(json!({ "type": "test" })), in_time()).unwrap();
    }
    let before = fs::read(folder.log()).unwrap();
    // A folder of that name is in the way.
    fs::create_dir(folder.0.path().join("log.next")).unwrap();

    let refused = log.append(&object(json!({ "type": "test" })), in_time());

    assert!(refused.is_err());
    assert_eq!(fs::read(folder.log()).unwrap(), before);
    fs::remove_dir(folder.0.path().join("log.next")).unwrap();
    log.append(&object(json!({ "type": "test" })), in_time()).unwrap();
    assert_eq!(folder.files().len(), 2);
    folder.verified();
}

#[test]
fn what_was_deleted_is_not_written_by_anybody_and_blocks_nobody() {
    let folder = Folder::new();
    let mut logs = [LARGE, LARGE].map(|size| Log::open(&folder.log(), false, size).unwrap());
    fs::remove_file(folder.log()).unwrap();

    for log in &mut logs {
        let error = format!("{:#}", log.append(&object(json!({ "type": "test" })), in_time()).unwrap_err());
        assert!(error.contains("it is gone"), "{error}");
    }
}

#[test]
fn what_is_no_log_is_not_touched() {
    let folder = Folder::new();
    for text in ["hello", "hello\n", "{}\n{}\n", "\0\0\0\0", "{\"v\":1,\"seq\":0}\n"] {
        fs::write(folder.log(), text).unwrap();
        assert!(Log::open(&folder.log(), false, LARGE).is_err(), "{text:?}");
        assert_eq!(fs::read_to_string(folder.log()).unwrap(), text);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn what_cannot_be_synced_is_not_written() {
    let device = Path::new("/dev/null");

    assert!(Log::open(device, false, LARGE).is_ok());
    assert!(Log::open(device, true, LARGE).is_err());
}
