//! What the audit log costs: per call, and to verify.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::client::Client;
use crate::process;
use crate::row::{Row, Unit};
use crate::samples::{Samples, milliseconds};
use crate::setup::Setup;

/// Calls with and without the log, and the verification of a long one.
pub(crate) fn rows(setup: &Setup) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let mut rows = calls(setup, folder.path())?;
    rows.push(verification(setup, folder.path())?);
    Ok(rows)
}

fn calls(setup: &Setup, folder: &Path) -> Result<Vec<Row>> {
    let file = |name| folder.join(name).to_string_lossy().into_owned();
    let logged = setup.server.with(&["--audit-log", &file("audit.jsonl")]);
    let synced = setup.server.with(&["--audit-log", &file("synced.jsonl"), "--audit-sync"]);
    let mut clients = [Client::start(&setup.server)?, Client::start(&logged)?, Client::start(&synced)?];
    let mut samples = [Samples::default(), Samples::default(), Samples::default()];
    for _ in 0..setup.size.rounds {
        for (client, samples) in clients.iter_mut().zip(&mut samples) {
            samples.add(client.one_at_a_time(&Setup::list_models(), setup.size.calls / 5)?);
        }
    }
    let [off, on, sync] = samples;
    let row = |what, samples: &Samples| {
        Row::new(what, Unit::Milliseconds, milliseconds(samples.p50()))
            .p95(milliseconds(samples.p95()))
            .beside("without", milliseconds(off.p50()))
    };
    Ok(vec![row("list_models with an audit log", &on), row("list_models with --audit-sync", &sync)])
}

fn verification(setup: &Setup, folder: &Path) -> Result<Row> {
    let log = folder.join("long.jsonl");
    write_log(&log, setup.size.records)?;
    let started = Instant::now();
    let mut verify = Command::new(&setup.server.path)
        .args(["audit", "verify"])
        .arg(&log)
        .stdout(Stdio::null())
        .spawn()
        .context("cannot start `audit verify`")?;
    let mut most = 0.0;
    let status = loop {
        if let Some(status) = verify.try_wait()? {
            break status;
        }
        // It may end between the two questions.
        most = process::peak_memory(verify.id()).unwrap_or(most);
        std::thread::sleep(std::time::Duration::from_millis(1));
    };
    ensure!(status.success(), "the log does not verify: {status}");
    let what = format!("audit verify of {} records, in {most:.1} MiB", setup.size.records);
    Ok(Row::new(what, Unit::Seconds, started.elapsed().as_secs_f64()))
}

/// A log of so many records, each of the size that a request's has.
fn write_log(path: &Path, records: usize) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let mut prev = "0".repeat(64);
    for seq in 0..records {
        let own = if seq == 0 { r#""type":"chain.start","chain":"0123456789abcdef0123456789abcdef""# } else { REQUEST };
        let open = format!(r#"{{"v":1,"seq":{seq},"prev":"{prev}","time":"2026-11-24T00:00:00.000000Z",{own}"#);
        let line = format!("{open},\"sum\":\"{}\"}}\n", sha256(open.as_bytes()));
        prev = sha256(line.as_bytes());
        file.write_all(line.as_bytes())?;
    }
    Ok(file.flush()?)
}

const REQUEST: &str = r#""session":"0123456789abcdef0123456789abcdef","type":"egress.intent","call":7,"egress":12,"gen_ai.tool.name":"list_models","rule":"GET /api/v1/model-mappings?page&limit","http.request.method":"GET","url.scheme":"http","server.address":"localhost","server.port":8088,"url.path":"/api/v1/model-mappings","http.request.body.size":0,"key":true"#;

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
