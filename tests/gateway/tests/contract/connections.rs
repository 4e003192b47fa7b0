//! What the gateway tells of its connections and requests, and how it starts and stops.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reference_gateway::{Fault, Gateway, NewMapping, Role, What, When};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::client::{Client, MAPPINGS, create, get, path};

#[test]
fn requests_are_recorded_in_order_and_as_they_came() {
    let gateway = Gateway::start();
    let mut client = Client::connect(&gateway);
    client.request("POST", "/a%20b?c=%64", "k", "body");
    client.reply();
    get(&gateway, "alice", "/health");
    let requests = gateway.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!((requests[0].method.as_str(), requests[0].target.as_str()), ("POST", "/a%20b?c=%64"));
    assert_eq!((requests[0].header("x-api-key"), requests[0].body_text().as_str()), (Some("k"), "body"));
    assert_eq!((requests[0].connection, requests[1].connection), (1, 2));
    gateway.clear_requests();
    assert!(gateway.requests().is_empty());
}

#[test]
fn a_gateway_without_recording_records_nothing() {
    let gateway = Gateway::builder().without_recording().start().unwrap();
    get(&gateway, "alice", "/health");
    assert!(gateway.requests().is_empty());
}

#[test]
fn a_connection_that_its_client_closes_is_no_longer_open() {
    let gateway = Gateway::start();
    let mut client = Client::connect(&gateway);
    client.request("GET", "/health", "", "");
    client.reply();
    assert_eq!((gateway.connections(), gateway.open_connections()), (1, 1));
    drop(client);
    gateway.wait_until("the connection is closed", |gateway| gateway.open_connections() == 0);
    assert_eq!(gateway.connections(), 1);
}

#[test]
fn a_client_that_goes_away_during_a_delay_is_noticed() {
    let gateway = Gateway::start();
    for what in [What::Delay(Duration::from_secs(60)), What::Silence, What::Drip(Duration::from_secs(60))] {
        gateway.clear_requests();
        gateway.fault(Fault::new(When::any(), what));
        let mut client = Client::connect(&gateway);
        client.request("GET", "/health", "", "");
        gateway.wait_until("the request is there", |gateway| gateway.requests().len() == 1);
        drop(client);
        gateway.wait_until("the connection is closed", |gateway| gateway.open_connections() == 0);
    }
}

#[test]
fn idle_connections_can_be_closed_from_the_gateway() {
    let gateway = Gateway::start();
    let mut client = Client::connect(&gateway);
    client.request("GET", "/health", "", "");
    client.reply();
    gateway.close_connections();
    assert_eq!(client.rest().1.unwrap(), 0);
    assert_eq!(get(&gateway, "alice", "/health").status, 200, "it goes on listening");
}

#[test]
fn a_stopped_gateway_refuses_and_has_closed_everything() {
    let gateway = Gateway::start();
    gateway.fault(Fault::new(When::any().times(3), What::PerformLate(Duration::from_secs(60))));
    let port = gateway.port();
    let mut idle = Client::connect(&gateway);
    let mut busy = Client::connect(&gateway);
    busy.request("GET", "/health", "", "");
    gateway.wait_until("the request is there", |gateway| gateway.requests().len() == 1);
    let start = Instant::now();
    gateway.stop();
    assert!(start.elapsed() < Duration::from_secs(10), "a fault that sleeps does not hold it up");
    assert_eq!(idle.rest().0, "");
    assert_eq!(busy.rest().0, "");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn a_taken_port_is_an_error() {
    let gateway = Gateway::start();
    let error = Gateway::builder().port(gateway.port()).start().err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}

#[test]
fn users_are_those_that_were_named() {
    let gateway = Gateway::builder().user("zoe", Role::Admin).start().unwrap();
    assert_eq!(create(&gateway, "zoe", "g").json().get("owner_id"), None);
    let unknown = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| gateway.key("alice").len()));
    assert!(unknown.is_err());
}

#[test]
fn rows_can_be_put_in_and_taken_out_directly() {
    let gateway = Gateway::start();
    let row = gateway.insert(NewMapping { alias: "y".repeat(500), ..NewMapping::owned_by("carol", "") });
    assert_eq!(gateway.mappings(), [row]);
    gateway.clear_mappings();
    assert!(gateway.mappings().is_empty());
    assert_eq!(create(&gateway, "alice", "x").status, 201);
}

#[test]
fn ten_thousand_rows_are_listed_in_one_answer() {
    let gateway = Gateway::start();
    for number in 0..10_000 {
        gateway.insert(NewMapping::owned_by("alice", &format!("m{number}")));
    }
    let list = get(&gateway, "alice", &format!("{MAPPINGS}?limit=10000")).json();
    assert_eq!(list["data"].as_array().unwrap().len(), 10_000);
}

#[test]
fn with_tls_it_speaks_https_under_its_own_authority() {
    let gateway = Gateway::builder().tls().start().unwrap();
    assert_eq!(gateway.url(), format!("https://localhost:{}", gateway.port()));
    gateway.insert(NewMapping::global("x"));
    for name in ["localhost", "127.0.0.1"] {
        let mut stream = tls_stream(&gateway, name);
        let (key, path) = (gateway.key("alice"), path("x"));
        write!(stream, "GET {path} HTTP/1.1\r\nX-API-Key: {key}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
}

#[test]
fn without_tls_there_is_no_authority() {
    let gateway = Gateway::start();
    assert_eq!(gateway.ca_pem(), None);
    assert_eq!(gateway.url(), format!("http://127.0.0.1:{}", gateway.port()));
}

fn tls_stream(gateway: &Gateway, name: &str) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    let pem = gateway.ca_pem().expect("a gateway with TLS").as_bytes();
    roots.add(CertificateDer::from_pem_slice(pem).expect("a certificate")).expect("an authority");
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a configuration that works");
    let socket = TcpStream::connect(("127.0.0.1", gateway.port())).expect("the gateway listens");
    StreamOwned::new(connection, socket)
}
