//! Faults: when they strike, and what each looks like from outside.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use reference_gateway::{Answer, Fault, Gateway, What, When};

use crate::client::{Client, MAPPINGS, body, create, get, owned, path};

/// A gateway that does this to the next request, and a client that has sent it: alice creates `x`.
fn created_under(what: What) -> (Gateway, Client) {
    let gateway = Gateway::start();
    gateway.fault(Fault::new(When::post(MAPPINGS), what));
    let mut client = Client::connect(&gateway);
    client.request("POST", MAPPINGS, gateway.key("alice"), &body("x"));
    (gateway, client)
}

/// Whether `x` is there, and the gateway answers the next request on a new connection.
fn is_written(gateway: &Gateway) -> bool {
    get(gateway, "alice", &path("x")).status == 200
}

fn ends_in_a_reset(client: &mut Client) -> bool {
    matches!(client.rest().1, Err(error) if error.kind() == ErrorKind::ConnectionReset)
}

#[test]
fn a_fault_takes_the_next_matching_request_and_no_other() {
    let gateway = Gateway::start();
    gateway.fault(Fault::new(When::get(MAPPINGS), What::Answer(Answer::html(502))));
    assert_eq!(get(&gateway, "alice", "/health").status, 200);
    assert_eq!(create(&gateway, "alice", "x").status, 201);
    assert_eq!(gateway.faults_to_come(), 1);
    assert_eq!(get(&gateway, "alice", MAPPINGS).status, 502);
    assert_eq!(gateway.faults_to_come(), 0);
    assert_eq!(get(&gateway, "alice", MAPPINGS).status, 200);
}

#[test]
fn faults_strike_the_nth_several_or_all_requests() {
    let statuses = |when: When| {
        let gateway = Gateway::start();
        gateway.fault(Fault::new(when, What::Answer(Answer::empty(503))));
        [(); 5].map(|()| get(&gateway, "alice", "/health").status)
    };
    assert_eq!(statuses(When::any().nth(2)), [200, 503, 200, 200, 200]);
    assert_eq!(statuses(When::any().times(2)), [503, 503, 200, 200, 200]);
    assert_eq!(statuses(When::any().nth(3).times(2)), [200, 200, 503, 503, 200]);
    assert_eq!(statuses(When::path("/health").always()), [503; 5]);
    assert_eq!(statuses(When::put("/").always()), [200; 5]);
}

#[test]
fn faults_are_consumed_in_order_and_can_be_cleared() {
    let gateway = Gateway::start();
    for status in [500, 502, 504] {
        gateway.fault(Fault::new(When::any(), What::Answer(Answer::html(status))));
    }
    assert_eq!(get(&gateway, "alice", "/health").status, 500);
    assert_eq!(get(&gateway, "alice", "/health").status, 502);
    gateway.clear_faults();
    assert_eq!(get(&gateway, "alice", "/health").status, 200);
}

#[test]
fn an_answer_can_take_the_place_of_performing() {
    let (gateway, mut client) = created_under(What::Answer(Answer::html(502)));
    let reply = client.reply();
    assert_eq!((reply.status, reply.header("Content-Type")), (502, Some("text/html")));
    assert!(reply.text().contains("502 Bad Gateway"));
    assert!(!is_written(&gateway));
}

#[test]
fn an_answer_can_lie_about_what_was_performed() {
    let (gateway, mut client) = created_under(What::AnswerAfterPerforming(Answer::json(500, r#"{"error":"no"}"#)));
    assert_eq!(client.reply().error(), owned(500, "no"));
    assert!(is_written(&gateway));
}

#[test]
fn answers_come_in_every_kind() {
    let gateway = Gateway::start();
    let answer = |answer: Answer| {
        gateway.fault(Fault::new(When::any(), What::Answer(answer)));
        get(&gateway, "alice", "/health")
    };
    assert_eq!(answer(Answer::empty(204)).body, b"");
    assert_eq!(answer(Answer::new(200, "text/plain", b"\xff\xfe".as_slice())).body, b"\xff\xfe");
    assert_eq!(answer(Answer::redirect(302, "http://elsewhere/")).header("Location"), Some("http://elsewhere/"));
    assert_eq!(answer(Answer::empty(429).header("Retry-After", "1")).header("Retry-After"), Some("1"));
    let big = answer(Answer::big(3));
    assert_eq!(big.body.len(), 3_000_000);
    assert_eq!(big.json()["data"], serde_json::json!([]));
}

#[test]
fn a_delay_holds_the_answer_back() {
    let start = Instant::now();
    let (_gateway, mut client) = created_under(What::Delay(Duration::from_millis(60)));
    assert_eq!(client.reply().status, 201);
    assert!(start.elapsed() >= Duration::from_millis(60));
}

#[test]
fn a_late_performance_happens_though_the_client_is_gone() {
    let start = Instant::now();
    let (gateway, client) = created_under(What::PerformLate(Duration::from_millis(60)));
    gateway.wait_until("the request is there", |gateway| gateway.requests().len() == 1);
    drop(client);
    gateway.wait_until("the row is written", |gateway| gateway.mappings().len() == 1);
    assert!(start.elapsed() >= Duration::from_millis(60));
}

#[test]
fn a_connection_can_close_without_an_answer() {
    for (what, written) in [(What::Close, false), (What::CloseAfterPerforming, true)] {
        let (gateway, mut client) = created_under(what);
        assert_eq!(client.rest().1.unwrap(), 0);
        assert_eq!(is_written(&gateway), written);
    }
}

#[test]
fn a_connection_can_be_reset_without_an_answer() {
    for (what, written) in [(What::Reset, false), (What::ResetAfterPerforming, true)] {
        let (gateway, mut client) = created_under(what);
        assert!(ends_in_a_reset(&mut client));
        assert_eq!(is_written(&gateway), written);
    }
}

#[test]
fn an_answer_can_break_off_after_some_bytes() {
    let (gateway, mut client) = created_under(What::CloseWithin(20));
    assert_eq!(client.rest().0, "HTTP/1.1 201 Created");
    assert!(is_written(&gateway));
    let (gateway, mut client) = created_under(What::ResetWithin(20));
    assert!(ends_in_a_reset(&mut client));
    assert!(is_written(&gateway));
    let (gateway, mut client) = created_under(What::SilenceWithin(20));
    let mut start = [0; 20];
    client.read_exact(&mut start);
    assert_eq!(&start, b"HTTP/1.1 201 Created");
    assert!(client.is_silent());
    assert!(is_written(&gateway));
}

#[test]
fn a_connection_can_end_behind_a_whole_answer() {
    let (_gateway, mut client) = created_under(What::CloseAfterAnswer);
    let reply = client.reply();
    assert_eq!((reply.status, reply.header("Connection")), (201, None), "it is not announced");
    assert_eq!(client.rest().1.unwrap(), 0);
    let (_gateway, mut client) = created_under(What::ResetAfterAnswer);
    assert_eq!(client.reply().status, 201);
    assert!(ends_in_a_reset(&mut client));
}

#[test]
fn a_connection_can_die_in_the_moment_of_its_reuse() {
    let (gateway, mut client) = created_under(What::CloseOnReuse);
    assert_eq!(client.reply().status, 201);
    assert!(client.is_silent(), "until then it looks alive");
    client.request("GET", "/health", "", "");
    assert!(client.try_reply().is_err());
    assert_eq!(gateway.requests().len(), 1, "the second one is not read");
}

#[test]
fn silence_lasts_until_the_client_closes() {
    for (what, written) in [(What::Silence, false), (What::SilenceAfterPerforming, true)] {
        let (gateway, mut client) = created_under(what);
        assert!(client.is_silent());
        assert_eq!(is_written(&gateway), written);
        drop(client);
        gateway.wait_until("the connection is closed", |gateway| gateway.open_connections() == 0);
    }
}

#[test]
fn a_dripping_answer_comes_byte_by_byte() {
    let start = Instant::now();
    let (_gateway, mut client) = created_under(What::Drip(Duration::from_micros(200)));
    assert_eq!(client.reply().json()["alias"], "x");
    assert!(start.elapsed() >= Duration::from_millis(60), "some 400 bytes, 0.2 ms each");
}

#[test]
fn a_length_can_be_too_long() {
    let (_gateway, mut client) = created_under(What::LengthTooLong(5));
    assert_eq!(client.try_reply().unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn a_length_can_be_too_short() {
    let (_gateway, mut client) = created_under(What::LengthTooShort(5));
    let body = client.reply().body;
    assert!(serde_json::from_slice::<serde_json::Value>(&body).is_err());
    let mut left = [0; 5];
    client.read_exact(&mut left);
    assert!(left.ends_with(b"\"}"), "the rest of the body stands where the next answer should");
}

#[test]
fn a_chunk_can_be_truncated() {
    let (_gateway, mut client) = created_under(What::TruncatedChunk);
    assert_eq!(client.try_reply().unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn an_endless_body_ends_when_the_client_closes() {
    let (gateway, mut client) = created_under(What::EndlessBody);
    let mut bytes = vec![0; 1_000_000];
    client.read_exact(&mut bytes);
    drop(client);
    gateway.wait_until("the connection is closed", |gateway| gateway.open_connections() == 0);
}

#[test]
fn bytes_can_stand_in_for_an_answer() {
    let (gateway, mut client) = created_under(What::Bytes(b"SSH-2.0-OpenSSH\r\n".to_vec()));
    assert_eq!(client.rest().0, "SSH-2.0-OpenSSH\r\n");
    assert!(!is_written(&gateway));
}

#[test]
fn header_fields_can_be_added() {
    let headers = vec![("Set-Cookie".to_owned(), "a=b".to_owned())];
    let (_gateway, mut client) = created_under(What::ExtraHeaders(headers));
    let reply = client.reply();
    assert_eq!((reply.status, reply.header("Set-Cookie")), (201, Some("a=b")));
}

#[test]
fn the_key_of_a_request_can_be_echoed() {
    let (gateway, mut client) = created_under(What::EchoKey);
    let key = gateway.key("alice");
    let reply = client.reply();
    assert_eq!(reply.header("X-Echo"), Some(key));
    assert_eq!(reply.error(), (500, format!("no session for key {key}")));
    assert!(!is_written(&gateway));
}

#[test]
fn a_key_that_is_revoked_in_the_middle_is_refused_from_that_request_on() {
    let gateway = Gateway::start();
    assert_eq!(create(&gateway, "alice", "x").status, 201);
    gateway.fault(Fault::new(When::get(MAPPINGS), What::RevokeKey));
    assert_eq!([get(&gateway, "alice", MAPPINGS).status, get(&gateway, "alice", MAPPINGS).status], [401, 401]);
    assert_eq!(get(&gateway, "bob", MAPPINGS).status, 200);
    gateway.restore_key("alice");
    assert_eq!(get(&gateway, "alice", MAPPINGS).status, 200);
}

#[test]
fn a_gateway_that_stops_after_an_answer_has_given_it_and_refuses_then() {
    let gateway = Gateway::start();
    let address = ("127.0.0.1", gateway.port());
    let idle = Client::connect(&gateway);
    gateway.fault(Fault::new(When::post(MAPPINGS), What::StopAfterAnswer));

    let created = create(&gateway, "alice", "x");

    assert_eq!(created.status, 201);
    assert_eq!(gateway.mappings().len(), 1);
    let refused = std::net::TcpStream::connect(address).map(|_| ()).map_err(|error| error.kind());
    assert_eq!(refused, Err(ErrorKind::ConnectionRefused));
    drop(idle);
    gateway.stop();
}
