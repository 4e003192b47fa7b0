//! Limits: each has an effect, and the error that it causes names it.

use std::io::Read;
use std::net::TcpListener;

use reference_gateway::{Answer, Fault, What, When};
use serde_json::json;

use super::cases;
use super::probe::{GRANTS, World, assert_all_right};

cases!(
    /// The keys of `[limits]`.
    Limit {
        CallSeconds,
        RequestSeconds,
        ConnectSeconds,
        MemoryMib,
        ConcurrentCalls,
        RequestsPerCall,
        ConcurrentRequests,
        RequestBytes,
        ResponseBytes,
        HeaderBytesOfARequest,
        HeaderBytesOfAResponse,
        ResultBytes,
    }
);

/// A limit, how it is exceeded, and the text that comes of it.
fn exceeded(case: Limit) -> (&'static str, String) {
    let world = |limit: &str| World::with(&format!("{GRANTS}[limits]\n{limit}\n"), |start, _| start);
    match case {
        Limit::CallSeconds => {
            let mut world = world("call_seconds = 1");
            ("`call_seconds` = 1", world.try_with("misbehave", json!({ "misdeed": "loop-forever" })).text)
        }
        Limit::RequestSeconds => {
            let mut world = world("request_seconds = 1");
            world.granted.fault(Fault::new(When::any(), What::Silence));
            let attempt = world.attempt();
            ("no answer within `request_seconds` = 1", world.try_as("fetch", &attempt).text)
        }
        Limit::ConnectSeconds => ("`connect_seconds` = 1", silent_handshake()),
        Limit::MemoryMib => {
            let mut world = world("memory_mib = 8");
            ("`memory_mib` = 8", world.try_with("misbehave", json!({ "misdeed": "allocate-forever" })).text)
        }
        Limit::ConcurrentCalls => {
            let mut world = world("concurrent_calls = 1\ncall_seconds = 2");
            let arguments = json!({ "name": "misbehave", "arguments": { "misdeed": "loop-forever" } });
            let looping = world.client.request("tools/call", arguments);
            let waiting = world.client.request("tools/call", looping["params"].clone());
            world.client.server.send(&looping);
            world.client.server.send(&waiting);
            let answers = [world.client.server.receive(), world.client.server.receive()];
            let answer = answers.iter().find(|answer| answer["id"] == waiting["id"]).expect("both are answered");
            ("`concurrent_calls` = 1", answer["result"].to_string())
        }
        Limit::RequestsPerCall => {
            let mut world = world("requests_per_call = 2");
            let attempt = world.attempt().set("repeat", 3);
            let tried = world.try_as("fetch", &attempt);
            assert_eq!(tried.granted_saw.len(), 2);
            ("check `rate`: the call made its `requests_per_call` = 2", tried.text)
        }
        Limit::ConcurrentRequests => {
            let mut world = world("concurrent_requests = 1\nrequest_seconds = 2");
            world.granted.fault(Fault::new(When::any().always(), What::Silence));
            let arguments = json!({ "name": "fetch", "arguments": { "attempt": world.attempt().0 } });
            let first = world.client.request("tools/call", arguments.clone());
            world.client.server.send(&first);
            world.granted.wait_until("it has the first request", |granted| granted.requests().len() == 1);
            let second = world.client.request("tools/call", arguments);
            world.client.server.send(&second);
            let answers = [world.client.server.receive(), world.client.server.receive()];
            let answer = answers.iter().find(|answer| answer["id"] == second["id"]).expect("both are answered");
            ("`concurrent_requests` = 1", answer["result"].to_string())
        }
        Limit::RequestBytes => {
            let mut world = world("request_bytes = 100");
            let attempt = world.attempt().method("POST").path("/api/v1/model-mappings").body("x".repeat(101));
            ("check `body`: the body is over `request_bytes` = 100", world.try_as("fetch", &attempt).text)
        }
        Limit::ResponseBytes => {
            let mut world = world("response_bytes = 1024");
            world.granted.fault(Fault::new(When::any(), What::Answer(Answer::json(200, "x".repeat(1025)))));
            let attempt = world.attempt();
            ("check `response`: the answer is over `response_bytes` = 1024", world.try_as("fetch", &attempt).text)
        }
        Limit::HeaderBytesOfARequest => {
            let mut world = world("header_bytes = 1024");
            let attempt = world.attempt().headers(&[("Accept", &"x".repeat(1024))]);
            (
                "check `headers`: the target and the headers are over `header_bytes` = 1024",
                world.try_as("fetch", &attempt).text,
            )
        }
        Limit::HeaderBytesOfAResponse => {
            let mut world = world("header_bytes = 1024");
            let long = What::ExtraHeaders(vec![("X-Long".to_owned(), "x".repeat(1024))]);
            world.granted.fault(Fault::new(When::any(), long));
            let attempt = world.attempt();
            (
                "check `response`: the answer's headers are over `header_bytes` = 1024",
                world.try_as("fetch", &attempt).text,
            )
        }
        Limit::ResultBytes => {
            let mut world = world("result_bytes = 1024");
            world.granted.fault(Fault::new(When::any(), What::Answer(Answer::json(200, "x".repeat(2000)))));
            let attempt = world.attempt();
            ("over `result_bytes` = 1024", world.try_as("fetch", &attempt).text)
        }
    }
}

/// A server that takes the connection and never says a word of TLS.
fn silent_handshake() -> String {
    let silent = TcpListener::bind("127.0.0.1:0").expect("127.0.0.1 has a free port");
    let port = silent.local_addr().expect("it is bound").port();
    let base_url = format!("https://127.0.0.1:{port}");
    let holding = std::thread::spawn(move || {
        let (mut stream, _) = silent.accept().expect("one connection comes");
        // Reads what comes until the other side gives up.
        stream.read_to_end(&mut Vec::new())
    });
    let grants = format!("{GRANTS}[limits]\nconnect_seconds = 1\n");
    let mut world = World::with(&grants, |start, _| start.env("AIGATEWAY_URL", base_url));
    let attempt = world.attempt().scheme("https").authority(format!("127.0.0.1:{port}"));
    let text = world.try_as("fetch", &attempt).text;
    drop(world);
    _ = holding.join();
    text
}

#[test]
fn each_limits_error_names_it() {
    let wrong = Limit::ALL.iter().filter_map(|case| {
        let (limit, text) = exceeded(*case);
        let text: String = text.chars().take(500).collect();
        (!text.contains(limit)).then(|| format!("{case:?}: `{limit}` is not in: {text}"))
    });
    assert_all_right(&wrong.collect::<Vec<_>>());
}

#[test]
fn bodies_that_are_never_finished_hold_no_memory_of_the_hosts_beyond_the_rate() {
    let grants = format!("{GRANTS}[limits]\nrequests_per_call = 2\nrequest_bytes = 1000\n");
    let mut world = World::with(&grants, |start, _| start);
    let post = world.attempt().method("POST").path("/api/v1/model-mappings").body("x".repeat(900));
    let tried = world.try_with("at_once", json!({ "attempt": post.0, "times": 20 }));
    let ended =
        tried.result["structuredContent"]["result"].as_array().unwrap_or_else(|| panic!("{}", tried.text)).clone();
    assert_eq!(tried.granted_saw.len(), 2);
    assert_eq!(ended.iter().filter(|ended| *ended == "ErrorCode::HttpRequestDenied").count(), 18, "{ended:?}");
}

#[test]
fn all_requests_of_one_call_are_answered_although_few_run_at_the_same_time() {
    let grants = format!("{GRANTS}[limits]\nconcurrent_requests = 2\n");
    let mut world = World::with(&grants, |start, _| start);
    let get = world.attempt();
    let tried = world.try_with("at_once", json!({ "attempt": get.0, "times": 20 }));
    assert_eq!(tried.result["structuredContent"]["result"], json!(vec!["200"; 20]), "{}", tried.text);
    assert!(world.granted.connections() <= 2, "{}", world.granted.connections());
}
