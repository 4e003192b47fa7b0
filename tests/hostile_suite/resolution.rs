//! Resolution: looked up once, every address vetted, and exactly a vetted one dialled. The resolver is the test's.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use aigateway_mcp::egress::{Egress, Resolve};
use aigateway_mcp::grants::Grants;
use aigateway_mcp::sandbox::{Outcome, Sandbox};
use aigateway_mcp::{KeysPerCall, SecretValue};
use hostile_components::PROBE;
use reference_gateway::Gateway;
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use super::cases;
use super::probe::{Evil, GRANTS, assert_all_right};

cases!(
    /// What a name may resolve to.
    Resolution {
        LinkLocal,
        Metadata,
        FourInsideSix,
        NotOneMachine,
        PlainTextToAnotherMachine,
        LocalhostElsewhere,
        MixedAnswers,
        MixedAnswersWithoutAGoodOne,
        GoodThenBad,
        BadAfterAReconnection,
        NoAddress,
        NoSuchName,
        AnAddressThatRefuses,
        AddressesAreNotLookedUp,
        NumericSpellingsAreNotLookedUp,
        DeniedRequestsAreNotLookedUp,
        TheDefaultPortWrittenOut,
        TheCertificateOfAnotherName,
        TheCertificateOfTheGrantedName,
        AnAuthorityThatNobodyTrusts,
    }
);

/// Answers lookups from a list, the last one for ever.
struct Names {
    answers: Mutex<VecDeque<Result<Vec<SocketAddr>, &'static str>>>,
    lookups: Mutex<Vec<String>>,
}

impl Resolve for Names {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        _port: u16,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>> {
        self.lookups.lock().unwrap().push(host.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        let answer = answer.expect("there is an answer").map_err(io::Error::other);
        Box::pin(async move { answer })
    }
}

/// A sandbox inside this process, a granted server, and an evil one at the same port of another loopback address.
struct Inside {
    granted: Gateway,
    evil: Evil,
    names: Arc<Names>,
    sandbox: Sandbox,
    runtime: Runtime,
    folder: tempfile::TempDir,
}

/// How a name is answered, with the granted server's port in the place of `PORT`.
type Answers<'a> = &'a [Result<&'a [&'a str], &'static str>];

impl Inside {
    fn new(granted: Gateway, base_url: &str, answers: Answers<'_>) -> Self {
        let port = granted.port().to_string();
        let evil = Evil::at(&format!("127.0.0.2:{port}"));
        let address = |text: &&str| text.replace("PORT", &port).parse().expect("an address and a port");
        let answers = answers.iter().map(|answer| answer.map(|addresses| addresses.iter().map(address).collect()));
        let names = Arc::new(Names { answers: Mutex::new(answers.collect()), lookups: Mutex::default() });
        let folder = tempfile::tempdir().expect("a temporary directory");
        let grants = Arc::new(grants(&granted, &folder, &base_url.replace("PORT", &port)));
        let probe = folder.path().join("probe.wasm");
        std::fs::write(&probe, PROBE).expect("the temporary directory is writable");
        let egress = Arc::new(Egress::new(grants.clone(), names.clone()).expect("the CA file is usable"));
        let secrets = HashMap::from([("api_key".to_owned(), SecretValue::parse(granted.key("alice")).expect("a key"))]);
        let sandbox = Sandbox::new(Some(&probe), grants, secrets, KeysPerCall::Accepted, egress);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { granted, evil, names, sandbox: sandbox.expect("the probe is usable"), runtime, folder }
    }

    /// What comes of a request: its answer, or why there is none.
    fn fetch(&self, scheme: &str, authority: &str, path: &str) -> Result<Value, String> {
        let authority = authority.replace("PORT", &self.granted.port().to_string());
        let attempt = json!({ "method": "GET", "scheme": scheme, "authority": authority, "path": path });
        let arguments = Map::from_iter([("attempt".to_owned(), attempt)]);
        let tool = self.sandbox.tool("fetch").expect("the probe has the tool");
        match self.runtime.block_on(self.sandbox.call(tool, arguments)) {
            Outcome::Answer(answer) => Ok(serde_json::from_str(&answer).expect("an answer is JSON")),
            Outcome::Failure(text) => Err(text),
        }
    }

    fn lookups(&self) -> Vec<String> {
        self.names.lookups.lock().unwrap().clone()
    }

    /// What is wrong, if the request was not denied by the check or any server was reached.
    fn expect_denied(&self, result: &Result<Value, String>, check: &str) -> Result<(), String> {
        let denied = format!("The sandbox denied a request by the check `{check}`");
        match result {
            Err(text) if text.contains(&denied) => self.expect_reached(0),
            other => Err(format!("not denied by `{check}`: {other:?}")),
        }
    }

    fn expect_allowed(&self, result: &Result<Value, String>) -> Result<(), String> {
        match result {
            Ok(answer) if answer["status"] == 200 => self.expect_reached(1),
            other => Err(format!("not allowed: {other:?}")),
        }
    }

    fn expect_failed(&self, result: &Result<Value, String>, error: &str) -> Result<(), String> {
        match result {
            Err(text) if text.contains(error) && !text.contains("The sandbox denied") => self.expect_reached(0),
            other => Err(format!("not failed with `{error}`: {other:?}")),
        }
    }

    /// EVIL never, GRANTED by this many requests.
    fn expect_reached(&self, requests: usize) -> Result<(), String> {
        let (evil, granted) = (self.evil.connections(), self.granted.requests().len());
        self.granted.clear_requests();
        match (evil, granted == requests) {
            (0, true) => Ok(()),
            _ => Err(format!("EVIL saw {evil} connections, GRANTED {granted} requests instead of {requests}")),
        }
    }

    fn expect_lookups(&self, count: usize) -> Result<(), String> {
        let lookups = self.lookups();
        if lookups.len() == count { Ok(()) } else { Err(format!("not {count} lookups: {lookups:?}")) }
    }
}

fn grants(granted: &Gateway, folder: &tempfile::TempDir, base_url: &str) -> Grants {
    let mut text = GRANTS.replace("${AIGATEWAY_URL}", base_url);
    if base_url.starts_with("http://gateway.example") {
        text = text.replace("\n[tools]", "\nallow_plaintext = true\n[tools]");
    }
    if let Some(ca) = granted.ca_pem().filter(|_| !base_url.contains("untrusted")) {
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, ca).expect("the temporary directory is writable");
        text.push_str(&format!("[tls]\nca_file = {:?}\n", file.to_str().expect("the path is UTF-8")));
    }
    Grants::parse(&text, |_| None).expect("the grants are valid")
}

/// All of these answers are refused for this base URL, without a handshake.
fn refused(base_url: &str, authority: &str, addresses: &[&str]) -> Result<(), String> {
    let scheme = base_url.split("://").next().expect("a scheme");
    let answers: Vec<[&str; 1]> = addresses.iter().map(|address| [*address]).collect();
    let answers: Vec<Result<&[&str], &'static str>> = answers.iter().map(|answer| Ok(answer.as_slice())).collect();
    let inside = Inside::new(Gateway::start(), base_url, &answers);
    for address in addresses {
        let result = inside.fetch(scheme, authority, "/v1/models");
        inside.expect_denied(&result, "address").map_err(|wrong| format!("{address}: {wrong}"))?;
    }
    inside.expect_lookups(addresses.len())
}

const GOOD: Result<&[&str], &str> = Ok(&["127.0.0.1:PORT"]);
const EVIL: Result<&[&str], &str> = Ok(&["127.0.0.2:PORT"]);

fn outcome(case: Resolution) -> Result<(), String> {
    match case {
        Resolution::LinkLocal => {
            refused("http://gateway.example", "gateway.example", &["169.254.1.1:80", "[fe80::1]:80"])?;
            refused("https://gateway.example", "gateway.example", &["169.254.1.1:443", "[fe80::1]:443"])
        }
        Resolution::Metadata => refused(
            "https://gateway.example",
            "gateway.example",
            &["169.254.169.254:443", "168.63.129.16:443", "100.100.100.200:443", "[fd00:ec2::254]:443"],
        ),
        Resolution::FourInsideSix => refused(
            "http://gateway.example",
            "gateway.example",
            &[
                "[::ffff:169.254.169.254]:80",
                "[64:ff9b::a9fe:a9fe]:80",
                "[2002:a9fe:a9fe::]:80",
                "[::169.254.169.254]:80",
            ],
        ),
        Resolution::NotOneMachine => refused(
            "http://gateway.example",
            "gateway.example",
            &["0.0.0.0:80", "[::]:80", "224.0.0.1:80", "255.255.255.255:80", "[ff02::1]:80"],
        ),
        Resolution::PlainTextToAnotherMachine => refused(
            "http://localhost",
            "localhost",
            &["192.0.2.1:80", "10.0.0.1:80", "[2001:db8::1]:80", "[::ffff:192.0.2.1]:80"],
        ),
        Resolution::LocalhostElsewhere => {
            refused("https://localhost", "localhost", &["192.0.2.1:443", "[2001:db8::1]:443"])
        }
        Resolution::MixedAnswers => {
            let answer: &[&str] = &["169.254.169.254:PORT", "192.0.2.1:PORT", "127.0.0.1:PORT", "127.0.0.2:PORT"];
            let inside = Inside::new(Gateway::start(), "http://localhost:PORT", &[Ok(answer)]);
            let result = inside.fetch("http", "localhost:PORT", "/v1/models");
            inside.expect_allowed(&result)?;
            inside.expect_lookups(1)
        }
        Resolution::MixedAnswersWithoutAGoodOne => {
            let answer: &[&str] = &["192.0.2.1:PORT", "[fe80::1]:PORT"];
            let inside = Inside::new(Gateway::start(), "http://localhost:PORT", &[Ok(answer)]);
            let result = inside.fetch("http", "localhost:PORT", "/v1/models");
            inside.expect_denied(&result, "address")?;
            inside.expect_lookups(1)
        }
        Resolution::GoodThenBad => {
            let inside = Inside::new(Gateway::start(), "http://localhost:PORT", &[GOOD, EVIL]);
            let result = inside.fetch("http", "localhost:PORT", "/v1/models");
            inside.expect_allowed(&result)?;
            inside.expect_lookups(1)?;
            // The connection that was vetted is used again.
            let result = inside.fetch("http", "localhost:PORT", "/v1/models");
            inside.expect_allowed(&result)?;
            inside.expect_lookups(1)
        }
        Resolution::BadAfterAReconnection => {
            let bad: &[&str] = &["192.0.2.1:PORT"];
            let inside = Inside::new(Gateway::start(), "http://localhost:PORT", &[GOOD, Ok(bad)]);
            let result = inside.fetch("http", "localhost:PORT", "/v1/models");
            inside.expect_allowed(&result)?;
            inside.granted.close_connections();
            inside.granted.wait_until("its connections are closed", |granted| granted.open_connections() == 0);
            let result = inside.fetch("http", "localhost:PORT", "/v1/models");
            inside.expect_denied(&result, "address")
        }
        Resolution::NoAddress => {
            let inside = Inside::new(Gateway::start(), "http://localhost:PORT", &[Ok(&[])]);
            let result = inside.fetch("http", "localhost:PORT", "/v1/models");
            inside.expect_failed(&result, "DestinationNotFound")?;
            inside.expect_lookups(1)
        }
        Resolution::NoSuchName => {
            let inside = Inside::new(Gateway::start(), "http://localhost:PORT", &[Err("no such name")]);
            let result = inside.fetch("http", "localhost:PORT", "/v1/models");
            inside.expect_failed(&result, "no such name")?;
            inside.expect_lookups(1)
        }
        Resolution::AnAddressThatRefuses => {
            let answer: &[&str] = &["127.0.0.3:PORT", "127.0.0.1:PORT", "127.0.0.2:PORT"];
            let inside = Inside::new(Gateway::start(), "http://localhost:PORT", &[Ok(answer)]);
            let result = inside.fetch("http", "localhost:PORT", "/v1/models");
            inside.expect_allowed(&result)?;
            inside.expect_lookups(1)
        }
        Resolution::AddressesAreNotLookedUp => {
            let inside = Inside::new(Gateway::start(), "http://127.0.0.1:PORT", &[EVIL]);
            let result = inside.fetch("http", "127.0.0.1:PORT", "/v1/models");
            inside.expect_allowed(&result)?;
            inside.expect_lookups(0)
        }
        Resolution::NumericSpellingsAreNotLookedUp => {
            let inside = Inside::new(Gateway::start(), "http://127.0.0.1:PORT", &[EVIL]);
            for host in ["2130706433", "0x7f000001", "127.1", "0177.0.0.1"] {
                let result = inside.fetch("http", &format!("{host}:PORT"), "/v1/models");
                inside.expect_denied(&result, "origin")?;
            }
            inside.expect_lookups(0)
        }
        Resolution::DeniedRequestsAreNotLookedUp => {
            let inside = Inside::new(Gateway::start(), "http://localhost:PORT", &[EVIL]);
            for (authority, path) in [
                ("localhost:PORT", "/api/v1/users"),
                ("evil.example:PORT", "/v1/models"),
                ("localhost:1", "/v1/models"),
            ] {
                if inside.fetch("http", authority, path).is_ok() {
                    return Err(format!("{authority}{path} is allowed"));
                }
            }
            inside.expect_lookups(0)
        }
        Resolution::TheDefaultPortWrittenOut => {
            let inside = Inside::new(Gateway::start(), "http://gateway.example", &[GOOD]);
            for authority in ["gateway.example", "gateway.example:80", "GATEWAY.Example", "Gateway.Example:80"] {
                let result = inside.fetch("http", authority, "/v1/models");
                inside.expect_allowed(&result).map_err(|wrong| format!("{authority}: {wrong}"))?;
            }
            for authority in ["gateway.example:443", "gateway.example:8080", "gateway.example:PORT"] {
                let result = inside.fetch("http", authority, "/v1/models");
                inside.expect_denied(&result, "origin").map_err(|wrong| format!("{authority}: {wrong}"))?;
            }
            let hosts = inside.lookups();
            if hosts.iter().all(|host| host == "gateway.example") { Ok(()) } else { Err(format!("{hosts:?}")) }
        }
        Resolution::TheCertificateOfAnotherName => {
            let inside = Inside::new(secure(), "https://gateway.example", &[GOOD]);
            let result = inside.fetch("https", "gateway.example", "/v1/models");
            inside.expect_failed(&result, "TlsCertificateError")
        }
        Resolution::TheCertificateOfTheGrantedName => {
            let inside = Inside::new(secure(), "https://localhost:PORT", &[GOOD]);
            let result = inside.fetch("https", "localhost:PORT", "/v1/models");
            inside.expect_allowed(&result)
        }
        Resolution::AnAuthorityThatNobodyTrusts => {
            let inside = Inside::new(secure(), "https://untrusted.example", &[GOOD]);
            assert!(!inside.folder.path().join("ca.pem").exists());
            let result = inside.fetch("https", "untrusted.example", "/v1/models");
            inside.expect_failed(&result, "TlsCertificateError")
        }
    }
}

fn secure() -> Gateway {
    Gateway::builder().tls().start().expect("127.0.0.1 has a free port")
}

#[test]
fn a_name_is_looked_up_once_and_only_a_vetted_address_is_dialled() {
    let wrong =
        Resolution::ALL.iter().filter_map(|case| outcome(*case).err().map(|wrong| format!("{case:?}: {wrong}")));
    assert_all_right(&wrong.collect::<Vec<_>>());
}
