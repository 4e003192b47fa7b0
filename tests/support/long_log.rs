//! Audit logs of any length, written faster than by making calls.

use std::io::{self, Write};

use sha2::{Digest, Sha256};

/// The fields of the records of one call after the other: of a size and a form as calls of the built-in tools leave
/// them. `CALL` stands for the call's number, `HASH` for the hash of a body.
const CALL: [&str; 6] = [
    r#""type":"tool.call","call":CALL,"mcp.method.name":"tools/call","gen_ai.tool.name":"list_models","arguments":["search"]"#,
    r#""type":"egress.intent","call":CALL,"egress":CALL,"gen_ai.tool.name":"list_models","rule":"GET /v1/models","http.request.method":"GET","url.scheme":"http","server.address":"127.0.0.1","server.port":8088,"url.path":"/v1/models","http.request.body.size":0,"key":false"#,
    r#""type":"egress.outcome","http.response.status_code":200,"network.peer.address":"127.0.0.1","network.peer.port":8088,"http.response.body.size":1234,"body.sha256":"HASH","redactions":0,"call":CALL,"egress":CALL,"gen_ai.tool.name":"list_models","duration_ms":1.234"#,
    r#""type":"egress.intent","call":CALL,"egress":CALL,"gen_ai.tool.name":"list_models","rule":"GET /api/v1/model-mappings?page&limit","http.request.method":"GET","url.scheme":"http","server.address":"127.0.0.1","server.port":8088,"url.path":"/api/v1/model-mappings","http.request.body.size":0,"key":true"#,
    r#""type":"egress.outcome","http.response.status_code":200,"network.peer.address":"127.0.0.1","network.peer.port":8088,"http.response.body.size":4321,"body.sha256":"HASH","redactions":0,"call":CALL,"egress":CALL,"gen_ai.tool.name":"list_models","duration_ms":2.345"#,
    r#""type":"tool.result","call":CALL,"gen_ai.tool.name":"list_models","duration_ms":4.567"#,
];

/// Writes a chain of so many records, its first one included, and returns the hash of the last.
///
/// # Errors
///
/// When `output` cannot be written.
pub(crate) fn write(output: &mut impl Write, records: u64) -> io::Result<String> {
    let mut head = "0".repeat(64);
    for seq in 0..records {
        let fields = match seq {
            0 => r#""type":"chain.start","chain":"00112233445566778899aabbccddeeff""#.to_owned(),
            _ => fields(seq - 1, &head),
        };
        let second = seq / 1000;
        let time = format!(
            "2026-11-24T{:02}:{:02}:{:02}.{:03}000Z",
            second / 3600 % 24,
            second / 60 % 60,
            second % 60,
            seq % 1000
        );
        let mut line = format!(r#"{{"v":1,"seq":{seq},"prev":"{head}","time":"{time}",{fields}"#);
        line = format!("{line},\"sum\":\"{}\"}}\n", hash(&line));
        head = hash(&line);
        output.write_all(line.as_bytes())?;
    }
    Ok(head)
}

fn fields(at: u64, hash: &str) -> String {
    let fields = CALL[(at % CALL.len() as u64) as usize].replace("CALL", &(at / CALL.len() as u64).to_string());
    format!(r#""session":"ffeeddccbbaa99887766554433221100",{}"#, fields.replace("HASH", hash))
}

fn hash(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = |byte: u8| [byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)]));
    Sha256::digest(text).into_iter().flat_map(digits).collect()
}
