//! What comes back: answers without end, in pieces, or in two readings; and the key in them.

use std::time::Duration;

use reference_gateway::{Answer, Fault, What, When};

use super::cases;
use super::probe::{GRANTS, Verdict, World, assert_all_right};
use Verdict::{Allowed, AnswerDenied, AnswerFails};

cases!(
    /// What an answer may be like.
    Answers {
        EndlessBody,
        BodyOverTheCap,
        ContentEncoding,
        SlowHeaders,
        NoAnswer,
        KeyInAHeader,
        KeyInTheBody,
        KeyAcrossChunks,
        KeyEscapedAsJson,
        KeyPercentEncoded,
        KeyInBase64,
        KeyInAHeadersName,
        KeyInTheContentEncoding,
        KeyInTrailers,
        KeyInTheReason,
        NotHttp,
        MalformedHeaders,
        LengthsThatDisagree,
        LengthAndChunks,
        EncodingsOfTheTransfer,
        CutOff,
        BrokenChunks,
        ClosedWithoutAnswer,
        SwitchingProtocols,
        InformationalAnswers,
        InformationalAnswersWithoutEnd,
        OldHttp,
        HeadersOverTheCap,
        TooManyHeaders,
    }
);

/// Small enough to be over quickly.
const LIMITS: &str = "[limits]\nresponse_bytes = 65536\nheader_bytes = 8192\nrequest_seconds = 1\n";

/// What GRANTED does, and what shall come of it.
type Row = (What, Verdict);

fn rows(case: Answers, key: &str) -> Vec<Row> {
    let bytes = |text: String| What::Bytes(text.into_bytes());
    let ok = |headers: &str, body: &str| bytes(format!("HTTP/1.1 200 OK\r\n{headers}\r\n{body}"));
    let all =
        |answers: &[What], verdict: Verdict| answers.iter().map(|what| (what.clone(), verdict)).collect::<Vec<_>>();
    let body = |text: String| vec![(What::Answer(Answer::json(200, text)), Allowed(200))];
    let broken = AnswerFails("HttpProtocolError");
    match case {
        Answers::EndlessBody => vec![(What::EndlessBody, AnswerDenied("response"))],
        Answers::BodyOverTheCap => vec![(What::Answer(Answer::big(1)), AnswerDenied("response"))],
        Answers::ContentEncoding => ["gzip", "br", "identity", "aes128gcm"]
            .map(|encoding| (extra("Content-Encoding", encoding), AnswerDenied("encoding")))
            .into(),
        Answers::SlowHeaders => vec![(What::Drip(Duration::from_millis(300)), AnswerDenied("deadline"))],
        Answers::NoAnswer => all(&[What::Silence, What::SilenceWithin(60)], AnswerDenied("deadline")),
        Answers::KeyInAHeader => vec![
            (extra("X-Echo", key), Allowed(200)),
            (extra("Location", &format!("/?key={key}&x")), Allowed(200)),
            (What::EchoKey, Allowed(500)),
        ],
        Answers::KeyInTheBody => body(format!("{key} and {key}")),
        Answers::KeyAcrossChunks => {
            let (first, second) = key.split_at(20);
            let chunks = format!("14\r\n{first}\r\n{:x};ext={key}\r\n{second}\r\n0\r\n\r\n", second.len());
            vec![(ok("Transfer-Encoding: chunked\r\n", &chunks), Allowed(200))]
        }
        Answers::KeyEscapedAsJson => {
            let escaped: String = key.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
            body(format!("{{\"key\":\"{escaped}\",\"half\":\"\\u0061{}\"}}", &key[1..]))
        }
        Answers::KeyPercentEncoded => {
            let escaped: String = key.bytes().map(|byte| format!("%{byte:02X}")).collect();
            [body(escaped.clone()), vec![(extra("Location", &format!("/?{escaped}")), Allowed(200))]].concat()
        }
        Answers::KeyInBase64 => {
            ["", "x", "xy"].iter().flat_map(|before| body(base64(&format!("{before}{key}:")))).collect()
        }
        Answers::KeyInAHeadersName => vec![(extra(&format!("X-{key}"), "1"), Allowed(200))],
        Answers::KeyInTheContentEncoding => vec![(extra("Content-Encoding", key), AnswerDenied("encoding"))],
        Answers::KeyInTrailers => {
            let chunks = format!("2\r\nok\r\n0\r\nX-Echo: {key}\r\n\r\n");
            vec![(ok("Transfer-Encoding: chunked\r\nTrailer: X-Echo\r\n", &chunks), Allowed(200))]
        }
        Answers::KeyInTheReason => {
            vec![(bytes(format!("HTTP/1.1 500 {key}\r\nContent-Length: 0\r\n\r\n")), Allowed(500))]
        }
        Answers::NotHttp => [
            "garbage\r\n\r\n",
            "{\"data\":[]}",
            "HTTP/9.9 200 OK\r\n\r\n",
            "HTTP/1.1 2000 OK\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "\0\0\0\0",
        ]
        .map(|text| (bytes(text.to_owned()), broken))
        .into(),
        Answers::MalformedHeaders => {
            ["No colon\r\n", "Space : x\r\n", "A: b\r\n folded\r\n", "Nul: a\0b\r\n", ": x\r\n", "A\u{7f}: x\r\n"]
                .map(|header| (ok(&format!("{header}Content-Length: 0\r\n"), ""), broken))
                .into()
        }
        Answers::LengthsThatDisagree => {
            let mut rows: Vec<Row> = [
                "Content-Length: 2\r\nContent-Length: 5\r\n",
                "Content-Length: 2, 5\r\n",
                "Content-Length: -2\r\n",
                "Content-Length: 0x2\r\n",
                "Content-Length: 99999999999999999999\r\n",
            ]
            .map(|header| (ok(header, "hello"), broken))
            .into();
            rows.push((ok("Content-Length: 2\r\nContent-Length: 2\r\n", "ok"), AnswerDenied("encoding")));
            rows
        }
        Answers::LengthAndChunks => [
            ok("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "2\r\nok\r\n0\r\n\r\n"),
            ok("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "2\r\nok\r\n0\r\n\r\n"),
        ]
        .map(|what| (what, AnswerDenied("encoding")))
        .into(),
        Answers::EncodingsOfTheTransfer => {
            ["gzip, chunked", "chunked, chunked", "identity", "xchunked", "chunked\r\nTransfer-Encoding: chunked"]
                .map(|coding| {
                    (ok(&format!("Transfer-Encoding: {coding}\r\n"), "2\r\nok\r\n0\r\n\r\n"), AnswerDenied("encoding"))
                })
                .into()
        }
        Answers::CutOff => all(
            &[What::LengthTooLong(5), What::TruncatedChunk, What::CloseWithin(200)],
            AnswerFails("HttpResponseIncomplete"),
        ),
        Answers::BrokenChunks => [
            "zz\r\nok\r\n0\r\n\r\n",
            "2\r\nokay\r\n0\r\n\r\n",
            "fffffffffffffffff\r\nok",
            "-2\r\nok\r\n0\r\n\r\n",
            "2 \r\nok",
        ]
        .map(|chunks| (ok("Transfer-Encoding: chunked\r\n", chunks), AnswerFails("HttpResponseIncomplete")))
        .into(),
        Answers::ClosedWithoutAnswer => {
            all(&[What::Close, What::Reset, What::CloseWithin(10)], AnswerFails("ConnectionTerminated"))
        }
        Answers::SwitchingProtocols => {
            vec![(
                bytes(
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n".to_owned(),
                ),
                AnswerDenied("encoding"),
            )]
        }
        Answers::InformationalAnswers => {
            let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
            vec![(bytes(text.to_owned()), Allowed(200))]
        }
        Answers::InformationalAnswersWithoutEnd => {
            vec![(bytes("HTTP/1.1 100 Continue\r\n\r\n".repeat(50_000)), AnswerFails("Connection"))]
        }
        Answers::OldHttp => vec![
            (bytes("HTTP/1.0 200 OK\r\n\r\nuntil the end".to_owned()), Allowed(200)),
            (
                bytes("HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok".to_owned()),
                Allowed(200),
            ),
            (bytes("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n".to_owned()), broken),
        ],
        Answers::HeadersOverTheCap => vec![(extra("X-Long", &"x".repeat(10_000)), AnswerDenied("response"))],
        Answers::TooManyHeaders => {
            let headers = (0..150).map(|at| (format!("X-{at}"), "1".to_owned())).collect();
            vec![(What::ExtraHeaders(headers), AnswerDenied("response"))]
        }
    }
}

/// Whether the case is about the key, so that something must have been redacted in what the component hands on.
fn shows_a_redaction(case: Answers) -> bool {
    use Answers::*;
    matches!(
        case,
        KeyInAHeader
            | KeyInTheBody
            | KeyAcrossChunks
            | KeyEscapedAsJson
            | KeyPercentEncoded
            | KeyInBase64
            | KeyInTheContentEncoding
    )
}

fn extra(name: &str, value: &str) -> What {
    What::ExtraHeaders(vec![(name.to_owned(), value.to_owned())])
}

fn base64(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let encode = |chunk: &[u8]| {
        let bits = chunk.iter().chain([&0, &0]).take(3).fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
        (0..=chunk.len()).map(move |at| char::from(ALPHABET[(bits >> (18 - 6 * at) & 63) as usize]))
    };
    text.as_bytes().chunks(3).flat_map(encode).collect()
}

#[test]
fn an_answer_is_handed_in_whole_and_scrubbed_or_not_at_all() {
    let mut world = World::with(&format!("{GRANTS}{LIMITS}"), |start, _| start.args(["--audit-log", "audit.jsonl"]));
    let key = world.granted.key("alice").to_owned();
    let mut wrong = Vec::new();
    for case in Answers::ALL {
        for (what, verdict) in rows(*case, &key) {
            let shown = format!("{what:?}").chars().take(300).collect::<String>();
            // Every time: a GET is tried once more when a connection that was kept turns out to be closed.
            world.granted.fault(Fault::new(When::any().always(), what));
            let attempt = world.attempt().headers(&[("X-API-Key", "placeholder-for-api_key")]);
            let tried = world.try_as("fetch", &attempt);
            world.granted.clear_faults();
            let text: String = tried.text.chars().take(600).collect();
            if let Err(why) = verdict.judge(&tried) {
                wrong.push(format!("{case:?}: {shown}: {why}\n  {text}"));
            }
            if tried.text.contains(&key) || tried.text.contains(&key[3..]) || tried.text.contains(&base64(&key)[4..40])
            {
                wrong.push(format!("{case:?}: {shown}: the key is in the result\n  {text}"));
            }
            if shows_a_redaction(*case) && !tried.text.contains("[redacted]") {
                wrong.push(format!("{case:?}: {shown}: no redaction\n  {text}"));
            }
        }
    }
    assert_all_right(&wrong);
    let said = world.client.server.stderr();
    assert!(!said.contains(&key), "{said}");
    let audit = std::fs::read_to_string(world.client.server.path("audit.jsonl")).expect("the audit log is there");
    assert!(audit.contains("was not asked for") && !audit.contains(&key), "{audit}");
}

#[test]
fn bytes_behind_an_answer_are_never_taken_for_the_next_one() {
    let mut world = World::start();
    let forged = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
    let heads = [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ];
    for head in heads {
        world.granted.fault(Fault::new(When::any(), What::Bytes(format!("{head}{forged}").into_bytes())));
        let attempt = world.attempt();
        let first = world.try_as("fetch", &attempt);
        assert!(!first.failed && !first.text.contains("forged"), "{head}: {}", first.text);
        let second = world.try_as("fetch", &attempt);
        assert!(!second.failed && second.text.contains("providers"), "{head}: {}", second.text);
    }
    // On a connection that stays open, too.
    world.granted.fault(Fault::new(When::any(), What::LengthTooShort(5)));
    let attempt = world.attempt();
    world.try_as("fetch", &attempt);
    let second = world.try_as("fetch", &attempt);
    assert!(!second.failed && second.text.contains("providers"), "{}", second.text);
}

#[test]
fn a_cookie_is_not_kept() {
    let mut world = World::start();
    world.granted.fault(Fault::new(When::any(), extra("Set-Cookie", "session=1")));
    let attempt = world.attempt();
    world.try_as("fetch", &attempt);
    let second = world.try_as("fetch", &attempt);
    assert_eq!(second.granted_saw[0].header("Cookie"), None);
}

#[test]
fn what_the_component_decodes_to_the_key_is_scrubbed_from_its_result() {
    let mut world = World::start();
    let key = world.granted.key("alice").to_owned();
    let shifted: String = format!("<{key}>").bytes().map(|byte| char::from(byte + 1)).collect();
    world.granted.fault(Fault::new(When::any(), What::Answer(Answer::json(200, shifted))));
    let attempt = world.attempt();
    let tried = world.try_as("decode", &attempt);
    assert_eq!(tried.result["structuredContent"]["result"], "<[redacted]>");
    assert!(!tried.text.contains(&key), "{}", tried.text);
}
