//! Lines: what is no message, what is too long, and how lines are told apart.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use reference_gateway::What;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use serde_json::{Value, json};

use super::{
    LEGACY, MODERN, VERSIONS, ask, assert_lives, assert_sound, call, in_every_version, opened, refused, request,
    sign_of_life, start_call, update,
};
use crate::support::Start;

/// The longest line that is read, in bytes.
const MOST: usize = 16 << 20;

/// A call with its id at the end, where the SDKs of Python and TypeScript put it, in this many bytes.
fn call_of(bytes: usize, id: u32) -> Vec<u8> {
    let meta = crate::support::modern_meta();
    let head =
        format!(r#"{{"method":"tools/call","params":{{"_meta":{meta},"name":"no_such_tool","arguments":{{"a":""#);
    let tail = format!(r#""}}}},"jsonrpc":"2.0","id":{id}}}"#);
    let filling = "x".repeat(bytes - head.len() - tail.len());
    format!("{head}{filling}{tail}").into_bytes()
}

#[test]
fn a_line_that_is_not_json_is_answered_as_such() {
    in_every_version(|server| {
        for line in ["hello", "{", "}", "\"", "{]", "nul", "{\"a\":01}", "\u{feff}{}", "{} {}", "'a'", "\0", "\u{1b}[A"]
        {
            assert_eq!(refused(server, line.as_bytes(), &Value::Null), -32700, "{line:?}");
        }
        assert_lives(server);
    });
}

#[test]
fn a_broken_message_is_answered_to_its_id_where_that_is_readable() {
    in_every_version(|server| {
        let broken = [
            r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":{"#,
            r#"{"jsonrpc":"2.0","method":"ping","params":{"a":"\ud800"},"id":7}"#,
            r#"{"id":7,"method":"ping","params":{"a":NaN}}"#,
        ];
        for line in broken {
            assert_eq!(refused(server, line.as_bytes(), &json!(7)), -32700, "{line}");
        }
        let deep = format!(r#"{{"params":{}{},"id":7}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(refused(server, deep.as_bytes(), &json!(7)), -32700);
        assert_lives(server);
    });
}

#[test]
fn invalid_utf_8_is_not_json() {
    in_every_version(|server| {
        for line in [b"\xff".as_slice(), b"\xc3\x28", b"\xed\xa0\x80", b"{\"\xff\":1}"] {
            assert_eq!(refused(server, line, &Value::Null), -32700, "{line:?}");
        }
        assert_eq!(refused(server, b"{\"id\":1,\"method\":\"ping\",\"a\":\"\xff\"}", &json!(1)), -32700);
        assert_lives(server);
    });
}

#[test]
fn a_batch_is_refused_as_a_whole() {
    in_every_version(|server| {
        for line in ["[]", r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, "[1,2]", "[[]]"] {
            assert_eq!(refused(server, line.as_bytes(), &Value::Null), -32600, "{line}");
        }
        assert_lives(server);
    });
}

#[test]
fn what_is_json_and_no_message_is_an_invalid_request() {
    in_every_version(|server| {
        for line in ["5", "\"ping\"", "true", "null", "{}", r#"{"jsonrpc":"2.0"}"#, r#"{"jsonrpc":"2.0","method":5}"#] {
            assert_eq!(refused(server, line.as_bytes(), &Value::Null), -32600, "{line}");
        }
        let with_id = [
            r#"{"id":3,"method":"ping"}"#,
            r#"{"jsonrpc":"1.0","id":3,"method":"ping"}"#,
            r#"{"jsonrpc":2.0,"id":3,"method":"ping"}"#,
            r#"{"jsonrpc":null,"id":3,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":3}"#,
            r#"{"jsonrpc":"2.0","id":3,"method":null}"#,
        ];
        for line in with_id {
            assert_eq!(refused(server, line.as_bytes(), &json!(3)), -32600, "{line}");
        }
        assert_lives(server);
    });
}

#[test]
fn an_id_is_a_string_or_a_whole_number() {
    in_every_version(|server| {
        for id in ["null", "true", "[1]", "{}", "1.5"] {
            let line = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
            assert_eq!(refused(server, line.as_bytes(), &Value::Null), -32600, "{id}");
        }
        for id in [json!(u64::MAX), json!(1e300)] {
            let line = json!({ "jsonrpc": "2.0", "id": id, "method": "ping" }).to_string();
            assert_eq!(refused(server, line.as_bytes(), &id), -32600, "{id}");
        }
    });
}

#[test]
fn an_id_of_any_legal_kind_comes_back_as_it_was() {
    let long = "x".repeat(100_000);
    let ids = [
        json!(0),
        json!(-1),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(9_007_199_254_740_993_i64),
        json!(""),
        json!("1"),
        json!(1),
        json!(" "),
        json!("null"),
        json!("🦀\n\"\\\u{0}"),
        json!(long),
        json!("2f1c6a0e-6b0a-4d0e"),
    ];
    for version in VERSIONS {
        let (_gateway, server) = opened(version);
        for id in &ids {
            assert!(ask(&server, &sign_of_life(version, id.clone())).get("result").is_some());
            assert!(ask(&server, &call(version, id.clone(), "list_models", json!({}))).get("result").is_some());
            assert!(ask(&server, &call(version, id.clone(), "no_such_tool", json!({}))).get("error").is_some());
        }
    }
}

#[test]
fn a_number_and_a_string_of_the_same_digits_are_two_ids() {
    let (gateway, server) = opened(LEGACY);
    start_call(&gateway, &server, &update(LEGACY, 1), What::Silence);
    assert_eq!(ask(&server, &sign_of_life(LEGACY, "1"))["result"], json!({}));
}

#[test]
fn notifications_and_answers_are_never_answered() {
    let quiet = [
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 5 } }),
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": {} } }),
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": {} }),
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled" }),
        json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": 1, "progress": 2 } }),
        json!({ "jsonrpc": "2.0", "method": "notifications/roots/list_changed" }),
        json!({ "jsonrpc": "2.0", "method": "notifications/no-such", "params": [1] }),
        json!({ "jsonrpc": "2.0", "method": "tools/list" }),
        json!({ "jsonrpc": "2.0", "method": "initialize", "params": 5 }),
        json!({ "jsonrpc": "2.0", "id": 1, "result": {} }),
        json!({ "jsonrpc": "2.0", "id": "x", "error": { "code": 1, "message": "m" } }),
    ];
    let unopened = Start::bare().serve();
    quiet.iter().for_each(|line| unopened.send(line));
    assert_lives(&unopened);
    in_every_version(|server| {
        quiet.iter().for_each(|line| server.send(line));
        assert_lives(server);
    });
}

#[test]
fn the_longest_line_is_served_and_a_longer_one_is_refused_to_its_id() {
    in_every_version(|server| {
        let served = |bytes: usize, id: u32| {
            server.send_bytes(&call_of(bytes, id));
            server.send_bytes(b"\n");
            let answer = server.receive();
            assert_eq!(answer["id"], id, "{answer}");
            answer["error"]["code"].as_i64().unwrap()
        };
        assert_eq!(served(MOST, 1), -32602);
        assert_eq!(served(MOST + 1, 2), -32600);
        assert_eq!(served(MOST + (1 << 20), 3), -32600);
        assert_lives(server);
    });
}

#[test]
fn a_line_too_long_without_a_readable_id_is_refused_as_well() {
    in_every_version(|server| {
        let garbage = vec![b'x'; MOST + 1];
        assert_eq!(refused(server, &garbage, &Value::Null), -32600);
        let mut call = br#"{"jsonrpc":"2.0","id":"early","method":"tools/call","params":{"a":""#.to_vec();
        call.resize(MOST + 1, b'x');
        assert_eq!(refused(server, &call, &json!("early")), -32600);
        assert_lives(server);
    });
}

#[test]
fn a_line_may_arrive_in_pieces_and_several_at_once() {
    in_every_version(|server| {
        let ping = |id: u32| sign_of_life(LEGACY, id).to_string();

        for byte in ping(1).as_bytes().chunks(1) {
            server.send_bytes(byte);
        }
        server.send_bytes(b"\n");
        assert_eq!(server.receive()["id"], 1);

        let (begun, rest) = (&ping(3)[..20], &ping(3)[20..]);
        server.send_bytes(format!("{}\n{begun}", ping(2)).as_bytes());
        assert_eq!(server.receive()["id"], 2);
        server.send_bytes(format!("{rest}\n{}\n", ping(4)).as_bytes());
        assert_eq!([server.receive()["id"].clone(), server.receive()["id"].clone()], [3, 4]);
    });
}

#[test]
fn empty_lines_and_carriage_returns_are_no_matter() {
    in_every_version(|server| {
        let ping = |id: u32| sign_of_life(LEGACY, id);
        server.send_bytes(format!("\n\r\n   \n\t\n{}\r\n  {}  \n\n\n{}\n", ping(1), ping(2), ping(3)).as_bytes());
        let answers = [server.receive(), server.receive(), server.receive()];
        assert_eq!(answers.map(|answer| answer["id"].clone()), [1, 2, 3]);
        assert_lives(server);
    });
}

#[test]
fn the_last_line_is_served_even_without_a_line_break() {
    for version in VERSIONS {
        let (_gateway, server) = opened(version);
        server.send_bytes(call(version, "last", "list_models", json!({})).to_string().as_bytes());
        server.close_stdin();
        let answer = server.receive();
        assert_sound(&answer);
        assert!(answer["result"]["structuredContent"].is_object(), "{answer}");
        assert!(server.wait().success());
    }
}

#[test]
fn half_a_line_before_the_end_is_refused_to_its_id() {
    in_every_version(|server| {
        server.send_bytes(br#"{"jsonrpc":"2.0","id":"half","method":"tools/call","params":{"name":"list_mo"#);
        server.close_stdin();
        let answer = server.receive();
        assert_sound(&answer);
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!("half"), &json!(-32700)));
        assert!(server.wait().success());
    });
}

#[test]
fn unknown_fields_are_no_matter() {
    in_every_version(|server| {
        let mut list = request(MODERN, 1, "tools/list", json!({ "extra": [1, null] }));
        list["extension"] = json!({ "a": null });
        list["params"]["_meta"]["com.example/trace"] = json!("x");
        assert_eq!(ask(server, &list)["result"]["tools"].as_array().unwrap().len(), 4);
    });
}

#[test]
fn a_client_may_share_a_pipe_that_does_not_block() {
    let (to_server, mut writing) = std::io::pipe().unwrap();
    fcntl_setfl(&to_server, fcntl_getfl(&to_server).unwrap() | OFlags::NONBLOCK).unwrap();
    let start = Start::bare();
    let mut command = start.command();
    let mut child = command.stdin(to_server).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();

    for id in 1..=3 {
        // Between the answer and the next request there is nothing to be read.
        writeln!(writing, "{}", sign_of_life(LEGACY, id)).unwrap();
        let answer: Value = serde_json::from_str(&answers.next().expect("an answer").unwrap()).unwrap();
        assert_eq!(answer["id"], id);
    }

    drop(writing);
    assert!(child.wait().unwrap().success());
}
